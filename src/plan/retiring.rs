//! Where an older generation is still needed.
//!
//! A node needs it as long as its pod there holds an image that is still on the list and that no newer generation's pod
//! holds there as firmly. Newer generations that are to be deleted do not count, nor do pods that are removed by
//! scoping down.

mod absent;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::deselection::Deselection;
use super::generation::pods::as_listed;
use super::generation::{Generation, placement_hash};
use crate::coverage::{CoveredImage, CoveringPod, Hold, ImageState, Node, PodState};
use crate::list::Config;
use crate::list::config::Group;
use crate::list::reference::ImageReference;

/// The pods and the list, indexed to find out where generations are needed.
pub struct Need<'a> {
    pods: HashMap<&'a str, Vec<HoldingPod<'a>>>,
    /// How many pods of each generation are being deleted.
    deleting_pods: HashMap<&'a str, usize>,
    nodes: KnownNodes<'a>,
    config: &'a Config,
    /// What each group of the list wants, in its order.
    wanted: Vec<WantedByGroup>,
    /// The images that each generation was built with, in normal form; empty if unknown.
    built_with: HashMap<&'a str, HashSet<Rc<str>>>,
}

/// What a group of the list wants.
struct WantedByGroup {
    /// Its images, in normal form.
    images: HashSet<String>,
    /// The hash of its placement.
    placement: String,
}

/// The nodes, or what is derived from DaemonSets instead.
enum KnownNodes<'a> {
    Read(HashMap<&'a str, &'a Node>),
    Unreadable(Deselection<'a>),
}

/// A pod that is not being deleted, with its images in normal form, since references to the same image can differ.
pub struct HoldingPod<'a> {
    /// The pod as coverage has it.
    pub pod: &'a CoveringPod,
    /// The state of its images.
    pub images: Vec<(Rc<str>, &'a CoveredImage)>,
    /// The hash of the placement that its generation was created for, if known.
    placement: Option<&'a str>,
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

/// The nodes and images that an older generation is still needed for.
#[derive(Debug, Default, PartialEq)]
pub struct Needed<'a> {
    /// The images in normal form, by node.
    pub nodes: BTreeMap<&'a str, BTreeSet<Rc<str>>>,
    /// Why it is still needed, or `None` if it is not.
    pub blocker: Option<Blocker>,
    /// How many nodes have a pod of it that is not being deleted.
    pub runs_on: usize,
    /// Whether pods of it are missing on unknown nodes, where newer generations may be missing too.
    pub awaits_pods: bool,
}

impl<'a> Needed<'a> {
    /// Whether no node needs it.
    pub fn is_nowhere(&self) -> bool {
        self.nodes.is_empty() && !self.awaits_pods
    }

    fn add(&mut self, node: &'a str, image: &Rc<str>, blocker: Blocker) {
        self.nodes.entry(node).or_default().insert(Rc::clone(image));
        self.blocker = self.blocker.max(Some(blocker));
    }

    /// The images that it is needed for on any node.
    pub fn images(&self) -> impl Iterator<Item = &Rc<str>> {
        self.nodes.values().flatten()
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
        nodes: Option<&'a [Node]>,
    ) -> Self {
        let known: HashMap<&str, &Generation> = generations.iter().map(|it| (it.name.as_str(), it)).collect();
        let mut normal_forms = NormalForms::default();
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
            let images = pod.images.iter().map(|image| (normal_forms.of(as_listed(image, generation)), &**image));
            let placement = generation.and_then(|generation| generation.placement.as_deref());
            by_node.entry(node).or_default().push(HoldingPod { images: images.collect(), pod, placement });
        }
        let wanted = config.groups.iter().map(|group| {
            let images = group.images.iter().map(|image| image.reference.normal_form());
            WantedByGroup { images: images.collect(), placement: placement_hash(&group.placement) }
        });
        let built_with = generations.iter().map(|generation| {
            let images = generation.images.values().map(|image| normal_forms.of(image));
            (generation.name.as_str(), images.collect())
        });
        let nodes = match nodes {
            Some(nodes) => KnownNodes::Read(nodes.iter().map(|node| (node.name.as_str(), node)).collect()),
            None => {
                let pods = by_node.iter().flat_map(|(node, pods)| pods.iter().map(|it| (*node, &*it.pod.generation)));
                KnownNodes::Unreadable(Deselection::new(config, newest, generations, pods))
            }
        };
        Self { pods: by_node, deleting_pods, nodes, config, wanted: wanted.collect(), built_with: built_with.collect() }
    }

    /// Where `generation` is needed. `staying` are the newer generations that stay.
    pub fn of(&self, generation: &Generation, staying: &[&Generation]) -> Needed<'a> {
        let newer: HashSet<&str> = staying.iter().map(|generation| generation.name.as_str()).collect();
        let mut needed = Needed::default();
        for (node, pods) in &self.pods {
            let mut own = pods.iter().filter(|it| *it.pod.generation == *generation.name).peekable();
            needed.runs_on += usize::from(own.peek().is_some());
            for own in own {
                for (image, covered) in &own.images {
                    let wanting: Vec<&Group> = self.wanting(node, own, image).collect();
                    // Keep an image that may be on the disk until the pod has tried it.
                    let hold = match covered.state.hold() {
                        Hold::None if generation.deserves_try(own.pod, covered) => Hold::Exited,
                        Hold::None => continue,
                        hold => hold,
                    };
                    let held = || self.holds(node, pods, &newer, image).any(|other| other >= hold);
                    if wanting.is_empty() || held() {
                        continue;
                    }
                    let blocker = self.blocker(node, pods, &newer, image, &wanting);
                    needed.add(node, image, blocker);
                }
            }
        }
        self.add_absent(generation, staying, &mut needed);
        needed
    }

    /// How firmly pods of these generations hold the image. A pod does not count if its tolerations no longer allow it
    /// on the node, because it may be removed at any time.
    fn holds<'n>(
        &'n self,
        node: &'n str,
        pods: &'n [HoldingPod<'a>],
        generations: &'n HashSet<&str>,
        image: &'n Rc<str>,
    ) -> impl Iterator<Item = Hold> {
        let theirs = pods.iter().filter(|it| generations.contains(&*it.pod.generation));
        let stay = theirs.filter(move |it| self.wanting(node, it, image).next().is_some());
        stay.flat_map(|it| &it.images).filter(move |(other, _)| other == image).map(|(_, image)| image.state.hold())
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
        deselection.uncounted(generation, needed.map(|(node, image)| (node, self.groups_with(image))))
    }

    /// Whether a generation was built with any image that another one is needed for.
    pub fn was_built_with_any_of(&self, generation: &Generation, needed: &Needed) -> bool {
        let images = self.built_with.get(generation.name.as_str());
        images.is_some_and(|images| needed.images().any(|image| images.contains(image)))
    }

    /// The groups that want the image on the pod's node. No group wants anything on a node that no longer exists.
    fn wanting(&self, node: &str, it: &HoldingPod<'a>, image: &str) -> impl Iterator<Item = &'a Group> {
        // Whether a new pod could be scheduled there does not matter.
        let groups = self.wanted_by(image).filter(move |(group, wanted)| match &self.nodes {
            // If the placement is what it was, whatever else the pod tolerates was added by admission, as for a RuntimeClass.
            KnownNodes::Read(nodes) => nodes.get(node).is_some_and(|node| match it.placement {
                Some(placement) if *placement == wanted.placement => node.is_selected(&group.placement),
                _ => node.keeps(&it.pod.tolerations, &group.placement),
            }),
            KnownNodes::Unreadable(deselection) => !deselection.has_left(group, &it.pod.generation, node),
        });
        groups.map(|(group, _)| group)
    }

    fn wanted_by(&self, image: &str) -> impl Iterator<Item = (&'a Group, &WantedByGroup)> {
        self.config.groups.iter().zip(&self.wanted).filter(move |(_, wanted)| wanted.images.contains(image))
    }

    fn groups_with(&self, image: &str) -> impl Iterator<Item = &'a Group> {
        self.wanted_by(image).map(|(group, _)| group)
    }

    fn blocker(
        &self,
        node: &str,
        pods: &[HoldingPod],
        newer: &HashSet<&str>,
        image: &Rc<str>,
        wanting: &[&Group],
    ) -> Blocker {
        let has_failed =
            |state: &ImageState| matches!(state, ImageState::Failed { .. } | ImageState::CannotStart { .. });
        let built_with =
            |name: &&str| self.built_with.get(*name).is_none_or(|images| images.is_empty() || images.contains(image));
        if states(pods, newer, image).any(has_failed) || !newer.iter().any(built_with) {
            return Blocker::Stuck;
        }
        let newer_pods = pods.iter().filter(|it| newer.contains(&*it.pod.generation));
        let mut newer_pods = newer_pods.filter(|it| it.images.iter().any(|(other, _)| other == image)).peekable();
        let can_come = match self.node(node) {
            Some(node) => node.ready && !node.deleting && wanting.iter().any(|group| node.takes(&group.placement)),
            None => !pods.iter().any(|it| it.pod.node_is_lost),
        };
        let served = newer_pods.peek().is_some();
        let cannot_start = |pod: &CoveringPod| {
            pod.no_capacity.is_some()
                || pod.initialization.failure().is_some()
                || matches!(pod.state, PodState::Unschedulable { .. })
        };
        match can_come && !newer_pods.any(|it| cannot_start(it.pod)) {
            true if served => Blocker::Moving,
            true => Blocker::Unserved,
            false => Blocker::NodesUnavailable,
        }
    }
}

/// Caches normal forms, since thousands of pods refer to the same few images.
#[derive(Default)]
struct NormalForms<'a>(HashMap<&'a str, Rc<str>>);

impl<'a> NormalForms<'a> {
    fn of(&mut self, listed: &'a str) -> Rc<str> {
        Rc::clone(self.0.entry(listed).or_insert_with(|| ImageReference::normal_form_of(listed).into()))
    }
}

/// The states of an image in the pods of these generations.
fn states<'a>(
    pods: &'a [HoldingPod<'a>],
    generations: &'a HashSet<&str>,
    image: &'a str,
) -> impl Iterator<Item = &'a ImageState> {
    let theirs = pods.iter().filter(|it| generations.contains(&*it.pod.generation));
    theirs.flat_map(|it| &it.images).filter(move |(other, _)| **other == *image).map(|(_, image)| &image.state)
}
