//! Coverage, nodes and the list → for each image: on which nodes it is warm, and why not on the others.
//!
//! ```text
//! SummaryInput ─► Summary ─► GroupSummary: the nodes of the group ─► ImageSummary: a state for each of them
//! ```
//! Every figure that users see comes from here. A summary only borrows, and images are computed one at a time, so thousands of
//! nodes with many images cost little memory.
//!
//! - [`image`], [`node_state`]: the state of one image, and of one image on one node
//! - [`progress`]: how many nodes of a group have all of its images
//! - [`reserved`]: what pods reserve on nodes
//! - [`node_warm_ups`]: how long new nodes take to become warm

mod image;
pub mod node_state;
pub mod node_warm_ups;
pub mod progress;
pub mod reserved;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

pub use image::{Behind, ImageSummary};
use node_state::{Held, ImageOnNode, NodeState, Why};
use progress::{GroupProgress, GroupProgressCount};

use crate::coverage::scheduler::{is_at_pod_limit, is_tainted, lacks_resources, scheduler_cause};
use crate::coverage::{
    Coverage, CoveredImage, CoveringPod, EvictionLoop, FailureCause, Hold, ImageState, Node, PodState, digest,
};
use crate::list::Config;
use crate::list::config::{Group, Image};
use crate::list::reference::ImageReference;
use crate::plan::Generation;
use crate::plan::generation::exclusion::Exclusion;
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
    sources: SummaryInput<'a>,
    /// The list with shards in place of groups.
    shards: Cow<'a, Config>,
    /// All nodes, by name.
    places: BTreeMap<&'a str, NodeContents<'a>>,
    /// The list's distinct images, by normal form.
    images: HashMap<String, ImageId>,
    /// The generations that are not being deleted, the newest first.
    newest_first: Vec<&'a Generation>,
    /// When the youngest pod of each generation was created.
    youngest_pods: HashMap<&'a str, Timestamp>,
}

type ImageId = usize;

#[derive(Debug, Default)]
struct NodeContents<'a> {
    /// `None` if nodes may not be read.
    node: Option<&'a Node>,
    /// The list's pods that are not being deleted: the newest generation first, and live pods before others.
    pods: Vec<PodHere<'a>>,
    /// The groups whose pods here are being deleted.
    leaving: HashSet<&'a str>,
}

#[derive(Debug)]
struct PodHere<'a> {
    pod: &'a CoveringPod,
    generation: Option<&'a Generation>,
    /// The place of its generation, the newest first; those that are not known come last.
    order: usize,
    /// Its images that are on the list, in the order of their ids. Pods that look alike share them.
    images: Rc<[(ImageId, &'a CoveredImage)]>,
}

impl<'a> PodHere<'a> {
    fn image(&self, id: ImageId) -> Option<&'a CoveredImage> {
        let place = self.images.partition_point(|(other, _)| *other < id);
        self.images.get(place).filter(|(other, _)| *other == id).map(|(_, image)| *image)
    }

    fn is_of(&self, group: &Group) -> bool {
        self.generation.is_some_and(|generation| generation.group == group.name.as_str())
    }

    fn revision(&self) -> u32 {
        self.generation.map_or(0, Generation::revision)
    }
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
            places: BTreeMap::new(),
            images,
            newest_first,
            youngest_pods: HashMap::new(),
        };
        for node in sources.nodes.into_iter().flatten() {
            summary.places.entry(&node.name).or_default().node = Some(node);
        }
        summary.place_pods();
        summary
    }

    fn place_pods(&mut self) {
        let mut generations: Vec<&Generation> = self.sources.generations.iter().collect();
        generations.sort_by_cached_key(|generation| generation.newest_first());
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
            let with_ids = || {
                let mut images: Vec<(ImageId, &CoveredImage)> = Vec::with_capacity(pod.images.len());
                for image in pod.images.iter() {
                    let listed = as_listed(image, generation);
                    let find = || self.images.get(&ImageReference::normal_form_of(listed)).copied();
                    images.extend(ids.entry(listed).or_insert_with(find).map(|id| (id, &**image)));
                }
                images.sort_by_key(|(id, _)| *id);
                images.into()
            };
            let images = images_of.entry((&*pod.generation, pod.images.as_ptr())).or_insert_with(with_ids);
            place.pods.push(PodHere { pod, generation, order, images: Rc::clone(images) });
        }
        for place in self.places.values_mut() {
            place.pods.sort_by_key(|here| (here.order, rank(&here.pod.state)));
        }
    }

    /// Whether nodes could be read. If not, everything is derived from pods.
    pub fn nodes_known(&self) -> bool {
        self.sources.nodes.is_some()
    }

    /// The groups of the list.
    pub fn groups(&self) -> impl Iterator<Item = GroupSummary<'_, 'a>> {
        self.sources.config.groups.iter().map(|group| self.group(group))
    }

    fn group<'s>(&'s self, group: &'a Group) -> GroupSummary<'s, 'a> {
        let newest = |shard: &'s Group| {
            let generation = self.newest_first.iter().find(|generation| generation.is_of(shard)).copied()?;
            let pods = self.sources.coverage.pods_of_generation(self.sources.list, &generation.name);
            Some(NewestOfShard { generation, shard, exclusion: Exclusion::of(generation, shard, pods) })
        };
        let shards = self.shards.groups.iter().filter(|shard| shard.name == group.name);
        let mut current: Vec<NewestOfShard> = shards.filter_map(newest).collect();
        current.sort_by_cached_key(|it| it.generation.newest_first());
        let belonging = match self.nodes_known() {
            true => self.places.iter().filter_map(|(name, place)| Some((*name, place, place.takes(group)?))).collect(),
            false => self.places_of_newest_pods(group),
        };
        let mut wanted = HashMap::new();
        for (index, it) in current.iter().enumerate() {
            let held = it.shard.images.iter().filter(|image| it.generation.holds(image));
            wanted.extend(held.map(|image| (image.reference.as_str(), index)));
        }
        GroupSummary { summary: self, group, current, wanted, places: belonging }
    }

    fn places_of_newest_pods(&self, group: &Group) -> Vec<(&'a str, &NodeContents<'a>, Belonging)> {
        let own = |place: &NodeContents| place.pods.iter().filter(|it| it.is_of(group)).map(PodHere::revision).max();
        let newest = self.places.values().filter_map(own).max();
        let places = self.places.iter();
        let belonging = places.filter(|(_, place)| {
            place.leaving.contains(group.name.as_str()) || (newest.is_some() && own(place) == newest)
        });
        belonging.map(|(name, place)| (*name, place, Belonging::Counted)).collect()
    }
}

/// Sorts pods that may hold something before those that do not.
fn rank(state: &PodState) -> u8 {
    match state {
        PodState::Live => 0,
        PodState::Unschedulable { .. } => 1,
        PodState::Ended { .. } => 2,
    }
}

/// Whether the images of a group should be warm on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belonging {
    Counted,
    /// The node got a taint that the group does not tolerate after its pod started there.
    Tainted,
    /// Warm images count, and missing ones do not.
    Cordoned,
    /// The node is not counted, for this reason.
    Aside(NodeState),
}

impl NodeContents<'_> {
    /// `None` if the group does not belong on the node.
    fn takes(&self, group: &Group) -> Option<Belonging> {
        let node = self.node?;
        let tainted = || {
            let mut own = self.pods.iter().filter(|it| it.is_of(group));
            own.any(|it| node.keeps(&it.pod.tolerations, &group.placement))
        };
        let takes = node.takes(&group.placement);
        (takes || tainted()).then_some(match takes {
            _ if node.deleting => Belonging::Aside(NodeState::Deleting),
            _ if !node.ready => Belonging::Aside(NodeState::NotReady),
            _ if node.unschedulable => Belonging::Cordoned,
            true => Belonging::Counted,
            false => Belonging::Tainted,
        })
    }
}

/// The newest generation of a shard.
#[derive(Debug)]
struct NewestOfShard<'s, 'a> {
    generation: &'a Generation,
    shard: &'s Group,
    exclusion: Exclusion<'a>,
}

impl<'a> NewestOfShard<'_, 'a> {
    /// The label that the generation's pod needs on the node and that is not there, if admission added it.
    fn excluded_by(&self, place: &NodeContents<'a>, pod: Option<&'a CoveringPod>) -> Option<&'a str> {
        let own = |pod: &CoveringPod| *pod.generation == *self.generation.name;
        match (place.node, pod) {
            _ if self.generation.altered.is_some() => None,
            (_, Some(pod)) if !own(pod) => None,
            (Some(node), _) => self.exclusion.on(node),
            (None, Some(pod)) => self.exclusion.of_pod(pod),
            (None, None) => None,
        }
    }
}

/// The coverage of one group.
#[derive(Debug)]
pub struct GroupSummary<'s, 'a> {
    summary: &'s Summary<'a>,
    /// The group.
    pub group: &'a Group,
    /// The newest generation of each of its shards, the newest of them first.
    current: Vec<NewestOfShard<'s, 'a>>,
    /// Which of these has an image, by reference.
    wanted: HashMap<&'s str, usize>,
    places: Vec<(&'a str, &'s NodeContents<'a>, Belonging)>,
}

impl<'a> GroupSummary<'_, 'a> {
    /// Restricts the summary to some nodes.
    pub fn only_on(mut self, is_wanted: impl Fn(&str) -> bool) -> Self {
        self.places.retain(|(node, ..)| is_wanted(node));
        self
    }

    /// Its generations that are not being deleted, the newest first.
    pub fn generations(&self) -> impl Iterator<Item = &'a Generation> {
        let all = self.summary.newest_first.iter().copied();
        all.filter(|generation| generation.group == self.group.name.as_str())
    }

    /// The newest generation of each of its shards, the newest of them first. All others are retiring.
    pub fn current(&self) -> impl Iterator<Item = &'a Generation> {
        self.current.iter().map(|it| it.generation)
    }

    /// The pods of its generations, including those that are being deleted.
    pub fn pods(&self) -> impl Iterator<Item = &'a CoveringPod> {
        let SummaryInput { list, coverage, generations, .. } = self.summary.sources;
        let own = generations.iter().filter(|generation| generation.group == self.group.name.as_str());
        own.flat_map(move |generation| coverage.pods_of_generation(list, &generation.name))
    }

    /// How many of its nodes have all images.
    pub fn progress(&self) -> GroupProgress {
        let mut count = GroupProgressCount::default();
        self.images().for_each(|image| count.add(&image));
        count.total()
    }

    /// Its images, in the order of the list. Each is computed when the iterator reaches it.
    pub fn images(&self) -> impl Iterator<Item = ImageSummary<'a>> {
        self.group.images.iter().map(|image| self.image(image))
    }

    /// The nodes on which its holders are evicted again and again for lack of disk.
    pub fn eviction_loops(&self) -> Vec<EvictionLoop<'a>> {
        let names: HashSet<&str> = self.generations().map(|generation| generation.name.as_str()).collect();
        let SummaryInput { coverage, now, .. } = self.summary.sources;
        let seen = coverage.eviction_loops(now).filter(|eviction_loop| names.contains(eviction_loop.generation));
        // What an earlier controller process saw.
        let noted = self.current().flat_map(|newest| {
            let evicted = newest.reported.eviction_loops(now);
            evicted.map(|(node, last)| EvictionLoop { node, generation: newest.name.as_str(), last })
        });
        let mut by_node: BTreeMap<&str, EvictionLoop> = BTreeMap::new();
        for eviction_loop in noted.chain(seen) {
            let known = by_node.entry(eviction_loop.node).or_insert_with(|| eviction_loop.clone());
            if known.last <= eviction_loop.last {
                *known = eviction_loop;
            }
        }
        by_node.into_values().collect()
    }

    /// Whether admission makes pods of its newest generations ask the registry for images that their nodes have.
    pub fn is_always_pulled(&self) -> bool {
        let SummaryInput { list, coverage, .. } = self.summary.sources;
        let pods = |newest: &Generation| coverage.pods_of_generation(list, &newest.name);
        self.current().any(|newest| newest.is_overridden_in_any(pods(newest)))
    }

    fn image(&self, image: &'a Image) -> ImageSummary<'a> {
        let id = self.summary.images.get(&image.reference.normal_form()).copied().unwrap_or(ImageId::MAX);
        let newest = self.wanted.get(image.reference.as_str()).map(|index| &self.current[*index]);
        let wanted = newest.map(|newest| newest.generation);
        let on = |(name, place, belonging): &(&'a str, &NodeContents<'a>, Belonging)| {
            let held: Vec<Held> = place.held(id).collect();
            let (state, why) = self.state(place, *belonging, id, newest, !held.is_empty());
            let is_renewed = || held.iter().any(|held| wanted.is_some_and(|wanted| held.generation == wanted.name));
            let not_renewed =
                if state != NodeState::Warm || is_renewed() { None } else { place.not_renewed(id, wanted) };
            ImageOnNode {
                node: name,
                architecture: place.node.and_then(Node::architecture),
                state,
                why,
                not_renewed,
                held,
            }
        };
        ImageSummary { image, nodes: self.places.iter().map(on).collect() }
    }
}

impl<'a> GroupSummary<'_, 'a> {
    /// The state of an image on a node. `newest` is the newest generation of its shard, if it has the image, and `is_held` whether any
    /// holds it.
    fn state(
        &self,
        place: &NodeContents<'a>,
        belonging: Belonging,
        id: ImageId,
        newest: Option<&NewestOfShard<'_, 'a>>,
        is_held: bool,
    ) -> (NodeState, Option<Why<'a>>) {
        if let Belonging::Aside(state) = belonging {
            return (state, None);
        }
        if is_held {
            return (NodeState::Warm, None);
        }
        match belonging {
            Belonging::Cordoned => return (NodeState::Cordoned, None),
            Belonging::Tainted => return (NodeState::Tainted, None),
            Belonging::Counted | Belonging::Aside(_) => {}
        }
        let wanted = newest.map(|newest| newest.generation);
        let in_pod = place.in_the_newest(id, wanted);
        if let Some(label) = newest.and_then(|newest| newest.excluded_by(place, in_pod.map(|(pod, _)| pod))) {
            return (NodeState::Excluded, Some(Why { reason: "NodeSelector", message: label, init: None }));
        }
        in_pod.map_or_else(|| self.no_pod(place, wanted), |(pod, image)| reported_by(pod, image, wanted))
    }

    fn no_pod(&self, place: &NodeContents<'a>, wanted: Option<&'a Generation>) -> (NodeState, Option<Why<'a>>) {
        let Some(wanted) = wanted else { return (NodeState::Waiting, None) };
        if let Some(alteration) = &wanted.altered {
            let message = alteration.by.first().map_or("", String::as_str);
            return (NodeState::Displaced, Some(Why { reason: "Altered", message, init: None }));
        }
        let Summary { sources, youngest_pods, .. } = self.summary;
        let joined = place.node.and_then(|node| node.created);
        let is_replaced = place.leaving.contains(self.group.name.as_str());
        let youngest = youngest_pods.get(wanted.name.as_str()).copied();
        match !is_replaced && wanted.is_overdue(joined, youngest, sources.now) {
            true => (NodeState::Displaced, Some(Why { reason: "Missing", ..Why::default() })),
            false => (NodeState::Waiting, Some(Why { reason: "PodNotCreated", ..Why::default() })),
        }
    }
}

impl<'a> NodeContents<'a> {
    fn held(&self, id: ImageId) -> impl Iterator<Item = Held<'a>> {
        let live = self.pods.iter().filter(|here| here.pod.state == PodState::Live);
        live.filter_map(move |here| {
            let image = here.image(id).filter(|image| image.state.hold() == Hold::Running)?;
            Some(Held { generation: &here.pod.generation, digest: digest(&image.image_id) })
        })
    }
}

impl<'a> NodeContents<'a> {
    /// The newest pod with the image; if the newest generation has the image, its pod.
    fn in_the_newest(&self, id: ImageId, wanted: Option<&Generation>) -> Option<(&'a CoveringPod, &'a CoveredImage)> {
        let mut with_it = self.pods.iter().filter_map(|here| Some((here, here.image(id)?)));
        let (here, image) = with_it.next()?;
        let is_newest =
            wanted.is_none_or(|wanted| *here.pod.generation == *wanted.name || here.revision() > wanted.revision());
        is_newest.then_some((here.pod, image))
    }
}

impl<'a> NodeContents<'a> {
    /// Why the newest pod with the image does not hold it, though an older one does and the newest generation does not.
    fn not_renewed(&self, id: ImageId, wanted: Option<&'a Generation>) -> Option<(NodeState, Why<'a>)> {
        let (pod, image) = self.in_the_newest(id, wanted)?;
        match reported_by(pod, image, wanted) {
            (state @ (NodeState::InitFailed | NodeState::Failed | NodeState::CannotStart), why) => Some((state, why?)),
            _ => None,
        }
    }
}

/// `wanted` stores causes that kubelets do not repeat between two attempts.
fn reported_by<'a>(
    pod: &'a CoveringPod,
    image: &'a CoveredImage,
    wanted: Option<&'a Generation>,
) -> (NodeState, Option<Why<'a>>) {
    match &pod.state {
        PodState::Live => {}
        PodState::Unschedulable { message } => return unschedulable(message),
        // The kubelet's reasons for a lack of capacity: `OutOfpods`, `OutOfcpu`, …
        PodState::Ended { reason, message } if reason.starts_with("OutOf") => {
            return (NodeState::NoCapacity, Some(Why { reason, message, init: None }));
        }
        PodState::Ended { reason, message } => {
            return (NodeState::Displaced, Some(Why { reason, message, init: None }));
        }
    }
    // What a pod reported of its images before it had to start again says nothing about now.
    if let (Some(failure), true) = (pod.initialization.failure(), image.state != ImageState::Held) {
        let FailureCause { reason, message } =
            failure.cause_or(wanted.and_then(|newest| newest.reported.init_cause_of(&failure.container)));
        return (NodeState::InitFailed, Some(Why { reason, message, init: Some(failure) }));
    }
    let why = image.state.cause_or(wanted.and_then(|newest| newest.reported.cause_of(&image.name)));
    let why = why.map(|FailureCause { reason, message }| Why { reason, message, init: None });
    match &image.state {
        ImageState::Waiting => (NodeState::Waiting, None),
        ImageState::Pulling | ImageState::Stopped => (NodeState::Pulling, None),
        ImageState::Interrupted { reason, message, .. } => {
            (NodeState::Pulling, Some(Why { reason, message, init: None }))
        }
        ImageState::Held => (NodeState::Warm, None),
        ImageState::Failed { .. } => (NodeState::Failed, why),
        ImageState::CannotStart { .. } => (NodeState::CannotStart, why),
    }
}

fn unschedulable(message: &str) -> (NodeState, Option<Why<'_>>) {
    let state = match () {
        () if is_tainted(message) => NodeState::Tainted,
        () if is_at_pod_limit(message) || lacks_resources(message) => NodeState::NoCapacity,
        () => NodeState::Unschedulable,
    };
    (state, Some(Why { reason: "Unschedulable", message: scheduler_cause(message), init: None }))
}

#[cfg(test)]
pub(crate) mod tests;
