//! The pods of a list on their nodes, and what its groups want there.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::generation_numbers::{GenerationNumber, GenerationNumbers};
use super::pod_images::{ImageNumber, NormalForms, PodImageCache, PodImages};
use crate::coverage::{CoveredImage, CoveringPod, Node};
use crate::list::Config;
use crate::plan::deselection::Deselection;
use crate::plan::generation::{Generation, placement_hash};

/// The pods and the list, indexed to find out where generations are needed.
pub struct Need<'a> {
    /// By node; on each, in the order of generations.
    pub(super) pods: HashMap<&'a str, Vec<HoldingPod<'a>>>,
    generations: GenerationNumbers<'a>,
    /// By generation: on how many nodes it has pods.
    nodes_of: Vec<usize>,
    /// By image: the generations that have a pod with it. On a node with many pods, only theirs have to be checked.
    with_image: Vec<BTreeSet<GenerationNumber>>,
    /// How many pods of each generation are being deleted.
    deleting_pods: HashMap<&'a str, usize>,
    pub(super) nodes: KnownNodes<'a>,
    pub(super) config: &'a Config,
    /// The hash of the placement of each group of the list, in its order.
    placements: Vec<String>,
    /// For each group, the first one that wants its images on the same nodes: shards of one group all do.
    alike: Vec<usize>,
    /// By image: the groups of the list that want it.
    wanted: Vec<Vec<usize>>,
    /// All images.
    pub(super) forms: NormalForms<'a>,
    /// The images that each generation was built with; empty if unknown.
    pub(super) built_with: HashMap<&'a str, HashSet<ImageNumber>>,
    /// How many different sets of images the pods have.
    #[cfg(test)]
    pub distinct: usize,
}

/// The nodes, or what is derived from DaemonSets instead.
pub enum KnownNodes<'a> {
    Read(HashMap<&'a str, &'a Node>),
    Unreadable(Deselection<'a>),
}

/// A pod that is not being deleted.
pub struct HoldingPod<'a> {
    /// The pod as coverage has it.
    pub pod: &'a CoveringPod,
    /// Its generation.
    pub(super) generation: GenerationNumber,
    /// Its images.
    pub(super) images: Rc<PodImages<'a>>,
    /// The hash of the placement that its generation was created for, if known.
    placement: Option<&'a str>,
    /// The group that was asked for last, and whether it wants the pod on its node: most images are wanted by the same.
    wanted_by: Cell<Option<(usize, bool)>>,
}

impl<'a> HoldingPod<'a> {
    /// Its images in normal form, with their states.
    pub fn images(&self) -> impl Iterator<Item = (&Rc<str>, &'a CoveredImage)> {
        self.images.all.iter().map(|it| (&it.form, it.image))
    }
}

impl<'a> Need<'a> {
    /// Indexes pods by node. `newest` are the newest of the `generations`. `nodes` is `None` if the controller may not
    /// read them.
    pub fn new(
        config: &'a Config,
        generations: &'a [Generation],
        newest: &[&'a Generation],
        pods: impl Iterator<Item = &'a CoveringPod>,
        nodes: Option<&'a [Arc<Node>]>,
    ) -> Self {
        let known: HashMap<&str, &Generation> = generations.iter().map(|it| (it.name.as_str(), it)).collect();
        let mut numbers = GenerationNumbers::of(generations);
        let (mut forms, mut images) = (NormalForms::default(), PodImageCache::default());
        let mut by_node: HashMap<&str, Vec<HoldingPod>> = HashMap::new();
        let mut deleting_pods: HashMap<&str, usize> = HashMap::new();
        for pod in pods {
            let Some(node) = &pod.target else { continue };
            if pod.deleting {
                *deleting_pods.entry(&pod.generation).or_default() += 1;
                continue;
            }
            let generation = known.get(&*pod.generation).copied();
            if generation.is_some_and(|generation| !generation.node_scope.includes(node)) {
                continue;
            }
            by_node.entry(node).or_default().push(HoldingPod {
                pod,
                generation: numbers.number(&pod.generation),
                images: images.of(pod, generation, &mut forms),
                placement: generation.and_then(|generation| generation.placement.as_deref()),
                wanted_by: Cell::new(None),
            });
        }
        by_node.values_mut().for_each(|pods| pods.sort_by_key(|it| it.generation));
        let built_with = generations.iter().map(|generation| {
            let images = generation.images.values().map(|image| forms.number(image));
            (generation.name.as_str(), images.collect())
        });
        let built_with = built_with.collect();
        let wanted = wanted_by(config, &mut forms);
        let nodes = match nodes {
            Some(nodes) => KnownNodes::Read(nodes.iter().map(|node| (node.name.as_str(), &**node)).collect()),
            None => {
                let pods = by_node.iter().flat_map(|(node, pods)| pods.iter().map(|it| (*node, &*it.pod.generation)));
                KnownNodes::Unreadable(Deselection::new(config, newest, generations, pods))
            }
        };
        let placements: Vec<String> = config.groups.iter().map(|group| placement_hash(&group.placement)).collect();
        Self {
            nodes_of: nodes_of(numbers.count(), by_node.values()),
            with_image: images.generations_with(&numbers),
            generations: numbers,
            pods: by_node,
            deleting_pods,
            alike: alike(&placements, &nodes),
            nodes,
            config,
            placements,
            wanted,
            forms,
            built_with,
            #[cfg(test)]
            distinct: images.len(),
        }
    }

    /// The pods that are not being deleted, with their nodes.
    pub fn pods(&self) -> impl Iterator<Item = (&'a str, &HoldingPod<'a>)> {
        self.pods.iter().flat_map(|(node, pods)| pods.iter().map(|pod| (*node, pod)))
    }

    /// The same of one generation.
    pub fn pods_of(&self, generation: &str) -> impl Iterator<Item = (&'a str, &HoldingPod<'a>)> {
        let number = self.generations.find(generation);
        let of_node = move |pods| number.map(|number| of_generation(pods, number)).unwrap_or_default();
        self.pods.iter().flat_map(move |(node, pods)| of_node(pods).iter().map(|pod| (*node, pod)))
    }

    /// On how many nodes a generation has pods.
    pub(super) fn nodes_of(&self, generation: &Generation) -> usize {
        self.number_of(generation).map_or(0, |number| self.nodes_of[number.index()])
    }

    /// The number of a generation; `None` if nothing is known of it.
    pub(super) fn number_of(&self, generation: &Generation) -> Option<GenerationNumber> {
        self.generations.find(&generation.name)
    }

    /// The generations that have a pod with the image.
    pub(super) fn generations_with(&self, image: ImageNumber) -> impl Iterator<Item = GenerationNumber> {
        self.with_image.get(image.index()).into_iter().flatten().copied()
    }

    /// How many pods of a generation are being deleted.
    pub fn deleting_pods(&self, generation: &Generation) -> usize {
        self.deleting_pods.get(generation.name.as_str()).copied().unwrap_or_default()
    }

    /// The pods of a node.
    pub fn on(&self, node: &str) -> impl Iterator<Item = &HoldingPod<'a>> {
        self.pods.get(node).into_iter().flatten()
    }

    /// The node, if nodes can be read and it exists.
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        match &self.nodes {
            KnownNodes::Read(nodes) => nodes.get(name).copied(),
            KnownNodes::Unreadable(_) => None,
        }
    }

    /// The groups that want the image on the pod's node. No group wants anything on a node that no longer exists.
    pub(super) fn wanting(&self, node: &str, it: &HoldingPod<'a>, image: ImageNumber) -> impl Iterator<Item = usize> {
        self.groups_with(image).filter(move |group| self.wants(*group, node, it))
    }

    /// Whether a new pod could be scheduled there does not matter.
    fn wants(&self, group: usize, node: &str, it: &HoldingPod<'a>) -> bool {
        let group = self.alike(group);
        if let Some((_, wants)) = it.wanted_by.get().filter(|(known, _)| *known == group) {
            return wants;
        }
        let placement = &self.config.groups[group].placement;
        let wants = match &self.nodes {
            // If the placement is what it was, whatever else the pod tolerates was added by admission, as for a RuntimeClass.
            KnownNodes::Read(nodes) => nodes.get(node).is_some_and(|node| match it.placement {
                Some(before) if *before == self.placements[group] => node.is_selected(placement),
                _ => node.keeps(&it.pod.tolerations, placement),
            }),
            KnownNodes::Unreadable(deselection) => {
                !deselection.has_left(&self.config.groups[group], &it.pod.generation, node)
            }
        };
        it.wanted_by.set(Some((group, wants)));
        wants
    }

    pub(super) fn groups_with(&self, image: ImageNumber) -> impl Iterator<Item = usize> {
        self.wanted.get(image.index()).into_iter().flatten().copied()
    }

    /// The first group that wants its images on the same nodes as this one.
    pub(super) fn alike(&self, group: usize) -> usize {
        self.alike[group]
    }
}

/// For each image, the groups of the list that want it.
fn wanted_by<'a>(config: &'a Config, forms: &mut NormalForms<'a>) -> Vec<Vec<usize>> {
    let mut wanted: Vec<Vec<usize>> = Vec::new();
    for (index, group) in config.groups.iter().enumerate() {
        for image in &group.images {
            let image = forms.number_of_form(image.reference.normal_form().into()).index();
            wanted.resize(wanted.len().max(image + 1), Vec::new());
            // In several spellings, a group may have it more than once.
            if wanted[image].last() != Some(&index) {
                wanted[image].push(index);
            }
        }
    }
    wanted
}

/// For each group, the first one that wants its images on the same nodes. What a DaemonSet's status says is about one group only.
fn alike(placements: &[String], nodes: &KnownNodes) -> Vec<usize> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let alike = placements.iter().enumerate().map(|(index, placement)| match nodes {
        KnownNodes::Read(_) => *first.entry(placement).or_insert(index),
        KnownNodes::Unreadable(_) => index,
    });
    alike.collect()
}

/// The pods of a generation among those of a node, which are in the order of generations.
pub fn of_generation<'p, 'a>(pods: &'p [HoldingPod<'a>], generation: GenerationNumber) -> &'p [HoldingPod<'a>] {
    let pods = &pods[pods.partition_point(|it| it.generation < generation)..];
    &pods[..pods.partition_point(|it| it.generation == generation)]
}

/// On how many nodes each generation has pods, given the pods of each node in the order of generations.
fn nodes_of<'p, 'a: 'p>(count: usize, nodes: impl Iterator<Item = &'p Vec<HoldingPod<'a>>>) -> Vec<usize> {
    let mut nodes_of = vec![0; count];
    for pods in nodes {
        for same in pods.chunk_by(|one, other| one.generation == other.generation) {
            nodes_of[same[0].generation.index()] += 1;
        }
    }
    nodes_of
}
