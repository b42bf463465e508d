//! What the pods of newer generations hold on one node, and what may still come.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use super::generation_numbers::GenerationNumber;
use super::holding::{HoldingPod, Need, of_generation};
use super::needed::Blocker;
use super::pod_images::{Has, ImageNumber};
use crate::coverage::{CoveringPod, Hold, Node, PodState};
use crate::plan::generation::Generation;

/// The newer generations that stay.
pub struct Newer<'g> {
    names: HashSet<&'g str>,
    numbers: HashSet<GenerationNumber>,
    /// Whether any of them was built with an image, once that was asked.
    built: RefCell<HashMap<ImageNumber, bool>>,
}

impl<'g> Newer<'g> {
    pub fn new(generations: &[&'g Generation], need: &Need) -> Self {
        Self {
            names: generations.iter().map(|it| it.name.as_str()).collect(),
            numbers: generations.iter().filter_map(|it| need.number_of(it)).collect(),
            built: RefCell::default(),
        }
    }

    fn are_built_with(&self, image: ImageNumber, need: &Need) -> bool {
        let built_with = |name: &&str| {
            let images = need.built_with.get(*name);
            images.is_none_or(|images| images.is_empty() || images.contains(&image))
        };
        *self.built.borrow_mut().entry(image).or_insert_with(|| self.names.iter().any(built_with))
    }
}

/// A node with its pods, while it is found out which images an older generation is needed for there.
pub struct OnNode<'n, 'a> {
    need: &'n Need<'a>,
    name: &'n str,
    /// `None` if it cannot be read, or is gone.
    node: Option<&'a Node>,
    pods: &'n [HoldingPod<'a>],
    newer: &'n Newer<'n>,
    /// The group that was asked for last, and whether its pods belong on the node: most images are wanted by the same.
    takes: Cell<Option<(usize, bool)>>,
}

impl<'n, 'a> OnNode<'n, 'a> {
    pub fn new(need: &'n Need<'a>, name: &'n str, pods: &'n [HoldingPod<'a>], newer: &'n Newer<'n>) -> Self {
        Self { need, name, node: need.node(name), pods, newer, takes: Cell::new(None) }
    }

    /// The pods of newer generations that have a container of the image.
    pub fn newer_with(&self, image: ImageNumber) -> impl Iterator<Item = (&'n HoldingPod<'a>, Has)> {
        let (pods, newer) = (self.pods, self.newer);
        let generations = self.need.generations_with(image).filter(|it| newer.numbers.contains(it));
        let pods = generations.flat_map(move |generation| of_generation(pods, generation));
        pods.filter_map(move |it| Some((it, it.images.of(image)?)))
    }

    /// Whether pods of newer generations hold the image at least so firmly. A pod does not count if its tolerations no longer allow it
    /// on the node, because it may be removed at any time.
    pub fn is_held(&self, image: ImageNumber, hold: Hold) -> bool {
        let mut holding = self.newer_with(image).filter(|(_, has)| has.hold >= hold);
        holding.any(|(it, _)| self.need.wanting(self.name, it, image).next().is_some())
    }

    /// Whether the group's pods belong on the node, if it can be read.
    pub fn takes(&self, group: usize) -> bool {
        let group = self.need.alike(group);
        if let Some((_, takes)) = self.takes.get().filter(|(known, _)| *known == group) {
            return takes;
        }
        let takes = self.node.is_some_and(|node| node.takes(&self.need.config.groups[group].placement));
        self.takes.set(Some((group, takes)));
        takes
    }

    /// What keeps the older generation on the node for the image, which these groups want.
    pub fn blocker(&self, image: ImageNumber, mut wanting: impl Iterator<Item = usize>) -> Blocker {
        let with_it = || self.newer_with(image);
        if with_it().any(|(_, has)| has.failed) || !self.newer.are_built_with(image, self.need) {
            return Blocker::Stuck;
        }
        let can_come = match self.node {
            Some(node) => node.ready && !node.deleting && wanting.any(|group| self.takes(group)),
            None => !self.pods.iter().any(|it| it.pod.node_is_lost),
        };
        match can_come && !with_it().any(|(it, _)| cannot_start(it.pod)) {
            true if with_it().next().is_some() => Blocker::Moving,
            true => Blocker::Unserved,
            false => Blocker::NodesUnavailable,
        }
    }
}

fn cannot_start(pod: &CoveringPod) -> bool {
    pod.no_capacity.is_some()
        || pod.initialization.failure().is_some()
        || matches!(pod.state, PodState::Unschedulable { .. })
}

#[cfg(test)]
impl Need<'_> {
    /// The generations among these that have a pod with the image on the node, and how many of its pods are checked to find them.
    pub fn with_image<'n>(&'n self, node: &'n str, image: &str, generations: &[&Generation]) -> (Vec<&'n str>, usize) {
        let pods = self.pods.get(node).map(Vec::as_slice).unwrap_or_default();
        let Some(image) = self.forms.find(image) else { return (Vec::new(), 0) };
        let newer = Newer::new(generations, self);
        let on = OnNode::new(self, node, pods, &newer);
        let mut names: Vec<&str> = on.newer_with(image).map(|(it, _)| &*it.pod.generation).collect();
        names.sort_unstable();
        (names, self.generations_with(image).map(|generation| of_generation(pods, generation).len()).sum())
    }
}
