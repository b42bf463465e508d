//! The input, sorted by node.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use super::node_contents::{ImageId, ListedImage, NodeContents, PodHere};

use crate::coverage::{Coverage, CoveredImage, CoveringPod, Node};
use crate::list::Config;
use crate::list::config::{Group, Image};
use crate::list::reference::ImageReference;
use crate::plan::Generation;
use crate::plan::generation::pods::as_listed;
use crate::plan::sharding;

/// The input of a summary.
#[derive(Clone, Copy, Debug)]
pub struct SummaryInput<'a> {
    /// The value of the list's label.
    pub list: &'a str,
    /// The list as accepted.
    pub config: &'a Config,
    /// The list's DaemonSets.
    pub generations: &'a [Generation],
    /// The list's pods.
    pub coverage: &'a Coverage,
    /// The cluster's nodes; `None` if they may not be read. Then a group's nodes are those that its newest generation has pods
    /// for: nodes without any pod, cordons and readiness are not known.
    pub nodes: Option<&'a [Arc<Node>]>,
    /// The current time.
    pub now: Timestamp,
}

/// A list's coverage.
#[derive(Debug)]
pub struct Summary<'a> {
    pub(super) sources: SummaryInput<'a>,
    /// The list with shards in place of groups.
    pub(super) shards: Cow<'a, Config>,
    /// All nodes, by name.
    pub(super) places: BTreeMap<&'a str, NodeContents<'a>>,
    /// The list's distinct images, by normal form.
    images: HashMap<String, ImageId>,
    /// By image: the generations that have a pod with it, by their places among all.
    with_image: Vec<BTreeSet<usize>>,
    /// By group: its generations, likewise.
    orders_of: HashMap<&'a str, Vec<usize>>,
    /// The generations that are not being deleted, the newest first.
    pub(super) newest_first: Vec<&'a Generation>,
    /// When the youngest pod of each generation was created.
    pub(super) youngest_pods: HashMap<&'a str, Timestamp>,
}

/// The listed images of a generation's pods, by its name and the address of the set of images that pods share.
type ImagesOfSets<'a> = HashMap<(&'a str, *const Arc<CoveredImage>), Rc<[(ImageId, &'a CoveredImage)]>>;

impl<'a> Summary<'a> {
    /// Sorts pods and generations by node.
    pub fn new(sources: SummaryInput<'a>) -> Self {
        let mut newest_first: Vec<&Generation> = sources.generations.iter().filter(|it| !it.deleting).collect();
        newest_first.sort_by_cached_key(|generation| generation.newest_first());
        let mut images = HashMap::new();
        for image in sources.config.groups.iter().flat_map(|group| &group.images) {
            let next = images.len();
            images.entry(image.reference.normal_form()).or_insert(next);
        }
        let mut summary = Self {
            sources,
            shards: sharding::split(sources.config, sources.generations),
            places: sources.nodes.into_iter().flatten().map(|it| (it.name.as_str(), NodeContents::of(it))).collect(),
            with_image: vec![BTreeSet::new(); images.len()],
            images,
            orders_of: HashMap::new(),
            newest_first,
            youngest_pods: HashMap::new(),
        };
        summary.place_pods();
        summary
    }

    fn place_pods(&mut self) {
        let mut generations: Vec<&Generation> = self.sources.generations.iter().collect();
        generations.sort_by_cached_key(|generation| generation.newest_first());
        for (order, generation) in generations.iter().enumerate() {
            self.orders_of.entry(&generation.group).or_default().push(order);
        }
        let numbered = generations.into_iter().enumerate();
        let known: HashMap<&str, (usize, &Generation)> =
            numbered.map(|(order, generation)| (generation.name.as_str(), (order, generation))).collect();
        let mut ids: HashMap<&str, Option<ImageId>> = HashMap::new();
        let mut images_of: ImagesOfSets = HashMap::new();
        for pod in self.sources.coverage.pods_of(self.sources.list) {
            if let Some(created) = pod.created {
                let youngest = self.youngest_pods.entry(&pod.generation).or_insert(created);
                *youngest = created.max(*youngest);
            }
            let Some(target) = pod.node.as_deref().or(pod.target.as_deref()) else { continue };
            let place = match self.sources.nodes {
                // No group belongs on a node that is gone.
                Some(_) => self.places.get_mut(target),
                None => Some(self.places.entry(target).or_default()),
            };
            let Some(place) = place else { continue };
            let (order, generation) = known.get(&*pod.generation).map_or((usize::MAX, None), |(n, it)| (*n, Some(*it)));
            if pod.deleting {
                place.leaving.extend(generation.map(|generation| generation.group.as_str()));
                continue;
            }
            let images = images_of.entry((&*pod.generation, pod.images.as_ptr())).or_insert_with(|| {
                let images = listed_images(pod, generation, &self.images, &mut ids);
                for (id, _) in &*images {
                    self.with_image[*id].insert(order);
                }
                images
            });
            place.add(PodHere { pod, generation, order, images: Rc::clone(images) });
        }
        self.places.values_mut().for_each(NodeContents::sort);
    }

    /// Whether nodes could be read. If not, everything is derived from pods.
    pub fn nodes_known(&self) -> bool {
        self.sources.nodes.is_some()
    }

    /// The generations of a group, by their places among all.
    pub(super) fn orders_of(&self, group: &Group) -> &[usize] {
        self.orders_of.get(group.name.as_str()).map_or(&[], Vec::as_slice)
    }

    /// An image of the list.
    pub(super) fn listed(&self, image: &Image) -> ListedImage<'_> {
        static NONE: BTreeSet<usize> = BTreeSet::new();
        match self.images.get(&image.reference.normal_form()) {
            Some(id) => ListedImage { id: *id, generations: &self.with_image[*id] },
            None => ListedImage { id: ImageId::MAX, generations: &NONE },
        }
    }
}

/// A pod's images that are on the list, in the order of their ids. `ids` are those that were looked up before.
fn listed_images<'a>(
    pod: &'a CoveringPod,
    generation: Option<&'a Generation>,
    known: &HashMap<String, ImageId>,
    ids: &mut HashMap<&'a str, Option<ImageId>>,
) -> Rc<[(ImageId, &'a CoveredImage)]> {
    let mut images: Vec<(ImageId, &CoveredImage)> = Vec::with_capacity(pod.images.len());
    for image in pod.images.iter() {
        let listed = as_listed(image, generation);
        let find = || known.get(&ImageReference::normal_form_of(listed)).copied();
        images.extend(ids.entry(listed).or_insert_with(find).map(|id| (id, &**image)));
    }
    images.sort_by_key(|(id, _)| *id);
    images.into()
}
