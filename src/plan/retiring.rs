//! Where an older generation is still needed.
//!
//! A node needs it as long as its pod there holds an image that is still on the list and that no newer generation's pod
//! holds there as firmly. Newer generations that are to be deleted do not count, nor do pods that are removed by
//! scoping down.

mod absent;
mod needed;
mod on_node;
mod pod_images;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::deselection::Deselection;
use super::generation::{Generation, placement_hash};
use crate::coverage::{CoveredImage, CoveringPod, Hold, Node};
use crate::list::Config;
pub use needed::Needed;
use needed::NeededSoFar;
use on_node::{Newer, OnNode};
use pod_images::{ImageNumber, NormalForms, PodImageCache, PodImages};

/// The pods and the list, indexed to find out where generations are needed.
pub struct Need<'a> {
    pods: HashMap<&'a str, Vec<HoldingPod<'a>>>,
    /// How many pods of each generation are being deleted.
    deleting_pods: HashMap<&'a str, usize>,
    nodes: KnownNodes<'a>,
    config: &'a Config,
    /// The hash of the placement of each group of the list, in its order.
    placements: Vec<String>,
    /// By image: the groups of the list that want it.
    wanted: Vec<Vec<usize>>,
    /// All images.
    forms: NormalForms<'a>,
    /// The images that each generation was built with; empty if unknown.
    built_with: HashMap<&'a str, HashSet<ImageNumber>>,
    /// How many different sets of images the pods have.
    #[cfg(test)]
    pub distinct: usize,
}

/// The nodes, or what is derived from DaemonSets instead.
enum KnownNodes<'a> {
    Read(HashMap<&'a str, &'a Node>),
    Unreadable(Deselection<'a>),
}

/// A pod that is not being deleted.
pub struct HoldingPod<'a> {
    /// The pod as coverage has it.
    pub pod: &'a CoveringPod,
    /// Its images.
    images: Rc<PodImages<'a>>,
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

/// Why a generation is still needed, and what may end that. If there are several reasons, the greatest applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocker {
    /// Newer generations failed to pull the image, or were not built with it.
    Stuck,
    /// No pod of a newer generation can start or make progress on the node.
    NodesUnavailable,
    /// No newer generation has a pod for the node. Possibly none ever will: the newest may precede an edit that adds
    /// the node.
    Unserved,
    /// A newer generation may still pull the image.
    Moving,
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
            let placement = generation.and_then(|generation| generation.placement.as_deref());
            let images = images.of(pod, generation, &mut forms);
            by_node.entry(node).or_default().push(HoldingPod { pod, images, placement, wanted_by: Cell::new(None) });
        }
        let built_with = generations.iter().map(|generation| {
            let images = generation.images.values().map(|image| forms.number(image));
            (generation.name.as_str(), images.collect())
        });
        let built_with = built_with.collect();
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
        let nodes = match nodes {
            Some(nodes) => KnownNodes::Read(nodes.iter().map(|node| (node.name.as_str(), &**node)).collect()),
            None => {
                let pods = by_node.iter().flat_map(|(node, pods)| pods.iter().map(|it| (*node, &*it.pod.generation)));
                KnownNodes::Unreadable(Deselection::new(config, newest, generations, pods))
            }
        };
        Self {
            pods: by_node,
            deleting_pods,
            nodes,
            config,
            placements: config.groups.iter().map(|group| placement_hash(&group.placement)).collect(),
            wanted,
            forms,
            built_with,
            #[cfg(test)]
            distinct: images.len(),
        }
    }

    /// Where `generation` is needed. `staying` are the newer generations that stay.
    pub fn of(&self, generation: &Generation, staying: &[&Generation]) -> Needed<'a> {
        let newer = Newer::new(staying);
        let mut needed = NeededSoFar::default();
        for (node, pods) in &self.pods {
            let mut own = pods.iter().filter(|it| *it.pod.generation == *generation.name).peekable();
            if own.peek().is_none() {
                continue;
            }
            needed.runs_on += 1;
            let on = OnNode::new(self, node, pods, &newer);
            own.for_each(|own| self.add_pod(node, own, generation, &on, &mut needed));
        }
        self.add_absent(generation, staying, &newer, &mut needed);
        needed.total(&self.forms)
    }

    fn add_pod(
        &self,
        node: &'a str,
        own: &HoldingPod<'a>,
        generation: &Generation,
        on: &OnNode<'_, 'a>,
        needed: &mut NeededSoFar<'a>,
    ) {
        for it in &own.images.all {
            // Keep an image that may be on the disk until the pod has tried it.
            let hold = match it.image.state.hold() {
                Hold::None if generation.deserves_try(own.pod, it.image) => Hold::Exited,
                Hold::None => continue,
                hold => hold,
            };
            let wanting = || self.wanting(node, own, it.number);
            if wanting().next().is_some() && !on.is_held(it.number, hold) {
                needed.add(node, it.number, on.blocker(it.number, wanting()));
            }
        }
    }

    /// The pods that are not being deleted, with their nodes.
    pub fn pods(&self) -> impl Iterator<Item = (&'a str, &HoldingPod<'a>)> {
        self.pods.iter().flat_map(|(node, pods)| pods.iter().map(|pod| (*node, pod)))
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

    /// The selections of groups after which a generation's nodes have to be recounted before it is known where it is
    /// needed.
    pub fn uncounted(&self, generation: &Generation, needed: &Needed) -> Option<BTreeSet<String>> {
        let KnownNodes::Unreadable(deselection) = &self.nodes else { return None };
        let needed = needed.nodes.iter().flat_map(|(node, images)| images.iter().map(|image| (*node, image)));
        let groups = |image: &str| self.forms.find(image).into_iter().flat_map(|image| self.groups_with(image));
        let needed = needed.map(|(node, image)| (node, groups(image).map(|group| &self.config.groups[group])));
        deselection.uncounted(generation, needed)
    }

    /// Whether a generation was built with any image that another one is needed for.
    pub fn was_built_with_any_of(&self, generation: &Generation, needed: &Needed) -> bool {
        let images = self.built_with.get(generation.name.as_str());
        let with =
            |image: &Rc<str>| self.forms.find(image).zip(images).is_some_and(|(it, images)| images.contains(&it));
        needed.images.iter().any(with)
    }

    /// The groups that want the image on the pod's node. No group wants anything on a node that no longer exists.
    fn wanting(&self, node: &str, it: &HoldingPod<'a>, image: ImageNumber) -> impl Iterator<Item = usize> {
        self.groups_with(image).filter(move |group| self.wants(*group, node, it))
    }

    /// Whether a new pod could be scheduled there does not matter.
    fn wants(&self, group: usize, node: &str, it: &HoldingPod<'a>) -> bool {
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

    fn groups_with(&self, image: ImageNumber) -> impl Iterator<Item = usize> {
        self.wanted.get(image.index()).into_iter().flatten().copied()
    }
}
