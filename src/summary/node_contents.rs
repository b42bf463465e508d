//! A node with the list's pods on it.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::node_state::{Held, NodeState, Why};
use super::reported::reported_by;
use crate::coverage::{CoveredImage, CoveringPod, Hold, Node, PodState, digest};
use crate::list::config::Group;
use crate::plan::Generation;

/// The number of an image among all images of the list.
pub type ImageId = usize;

/// An image of the list, and where to look for it: a node may have many pods, and few of them have the image.
#[derive(Clone, Copy, Debug)]
pub struct ListedImage<'s> {
    /// Its number.
    pub id: ImageId,
    /// The generations that have a pod with it, by their places among all.
    pub generations: &'s BTreeSet<usize>,
}

/// A node with the list's pods on it.
#[derive(Debug, Default)]
pub struct NodeContents<'a> {
    /// `None` if nodes may not be read.
    pub node: Option<&'a Node>,
    /// The list's pods that are not being deleted: the newest generation first, and live pods before others.
    pods: Vec<PodHere<'a>>,
    /// The groups whose pods here are being deleted.
    pub leaving: HashSet<&'a str>,
}

/// A pod on its node.
#[derive(Debug)]
pub struct PodHere<'a> {
    /// The pod.
    pub pod: &'a CoveringPod,
    /// Its generation, if that is known.
    pub generation: Option<&'a Generation>,
    /// The place of its generation, the newest first; those that are not known come last.
    pub order: usize,
    /// Its images that are on the list, in the order of their ids. Pods that look alike share them.
    pub images: Rc<[(ImageId, &'a CoveredImage)]>,
}

impl<'a> PodHere<'a> {
    fn image(&self, id: ImageId) -> Option<&'a CoveredImage> {
        let place = self.images.partition_point(|(other, _)| *other < id);
        self.images.get(place).filter(|(other, _)| *other == id).map(|(_, image)| *image)
    }

    /// The revision of its generation.
    pub fn revision(&self) -> u32 {
        self.generation.map_or(0, Generation::revision)
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
pub enum Belonging {
    /// They should.
    Counted,
    /// The node got a taint that the group does not tolerate after its pod started there.
    Tainted,
    /// Warm images count, and missing ones do not.
    Cordoned,
    /// The node is not counted, for this reason.
    Aside(NodeState),
}

impl<'a> NodeContents<'a> {
    /// A node without pods.
    pub fn of(node: &'a Node) -> Self {
        Self { node: Some(node), ..Self::default() }
    }

    /// Adds a pod. Once all are added, they have to be sorted.
    pub fn add(&mut self, pod: PodHere<'a>) {
        self.pods.push(pod);
    }

    /// Sorts the pods.
    pub fn sort(&mut self) {
        self.pods.sort_by_key(|here| (here.order, rank(&here.pod.state)));
    }

    /// The pods of the generations at these places, in the same order.
    pub fn pods_of<'n>(&'n self, orders: impl Iterator<Item = &'n usize>) -> impl Iterator<Item = &'n PodHere<'a>> {
        orders.flat_map(|order| {
            let pods = &self.pods[self.pods.partition_point(|it| it.order < *order)..];
            &pods[..pods.partition_point(|it| it.order == *order)]
        })
    }

    /// The pods with an image, the newest generation first.
    fn pods_with<'n>(&'n self, image: ListedImage<'n>) -> impl Iterator<Item = (&'n PodHere<'a>, &'a CoveredImage)> {
        self.pods_of(image.generations.iter()).filter_map(move |here| Some((here, here.image(image.id)?)))
    }

    /// Whether a group belongs on the node; `None` if not. `orders` are the places of its generations.
    pub fn takes(&self, group: &Group, orders: &[usize]) -> Option<Belonging> {
        let node = self.node?;
        let tainted = || self.pods_of(orders.iter()).any(|it| node.keeps(&it.pod.tolerations, &group.placement));
        let takes = node.takes(&group.placement);
        (takes || tainted()).then_some(match takes {
            _ if node.deleting => Belonging::Aside(NodeState::Deleting),
            _ if !node.ready => Belonging::Aside(NodeState::NotReady),
            _ if node.unschedulable => Belonging::Cordoned,
            true => Belonging::Counted,
            false => Belonging::Tainted,
        })
    }

    /// What holds an image, the newest generation first.
    pub fn held<'n>(&'n self, image: ListedImage<'n>) -> impl Iterator<Item = Held<'a>> {
        let live = self.pods_with(image).filter(|(here, _)| here.pod.state == PodState::Live);
        let held = live.filter(|(_, image)| image.state.hold() == Hold::Running);
        held.map(|(here, image)| Held { generation: &here.pod.generation, digest: digest(&image.image_id) })
    }

    /// The newest pod with the image; if the newest generation has the image, its pod.
    pub fn in_the_newest(
        &self,
        image: ListedImage,
        wanted: Option<&Generation>,
    ) -> Option<(&'a CoveringPod, &'a CoveredImage)> {
        let (here, image) = self.pods_with(image).next()?;
        let is_newest =
            wanted.is_none_or(|wanted| *here.pod.generation == *wanted.name || here.revision() > wanted.revision());
        is_newest.then_some((here.pod, image))
    }

    /// Why the newest pod with the image does not hold it, though an older one does and the newest generation does not.
    pub fn not_renewed(&self, image: ListedImage, wanted: Option<&'a Generation>) -> Option<(NodeState, Why<'a>)> {
        let (pod, image) = self.in_the_newest(image, wanted)?;
        match reported_by(pod, image, wanted) {
            (state @ (NodeState::InitFailed | NodeState::Failed | NodeState::CannotStart), why) => Some((state, why?)),
            _ => None,
        }
    }
}
