//! The pods of a list on their nodes, and what its groups want there.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::pod_images::{ImageNumber, NormalForms, PodImageCache, PodImages};
use crate::coverage::{CoveredImage, CoveringPod, Node};
use crate::list::Config;
use crate::plan::deselection::Deselection;
use crate::plan::generation::{Generation, placement_hash};

/// The pods and the list, indexed to find out where generations are needed.
pub struct Need<'a> {
    pub(super) pods: HashMap<&'a str, Vec<HoldingPod<'a>>>,
    /// How many pods of each generation are being deleted.
    deleting_pods: HashMap<&'a str, usize>,
    pub(super) nodes: KnownNodes<'a>,
    pub(super) config: &'a Config,
    /// The hash of the placement of each group of the list, in its order.
    placements: Vec<String>,
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

    /// The groups that want the image on the pod's node. No group wants anything on a node that no longer exists.
    pub(super) fn wanting(&self, node: &str, it: &HoldingPod<'a>, image: ImageNumber) -> impl Iterator<Item = usize> {
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

    pub(super) fn groups_with(&self, image: ImageNumber) -> impl Iterator<Item = usize> {
        self.wanted.get(image.index()).into_iter().flatten().copied()
    }
}
