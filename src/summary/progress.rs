//! How many nodes of a group have all of its images, and whether that may still change by itself.

use super::image::ImageSummary;
use super::node_state::NodeState;

/// How many nodes of a group have all of its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupProgress {
    /// The nodes that count for all images.
    pub nodes: usize,
    /// Those that have all images.
    pub with_all: usize,
    /// Those that no pod of the newest generation can come to: they were tainted later, or admission excludes them.
    pub out_of_reach: usize,
    /// Whether an image is being pulled somewhere, or waits for it.
    pub is_moving: bool,
}

/// Of several groups, each with the number of nodes that have all images and that of all nodes: the one that lacks them on most nodes.
pub fn furthest_behind(groups: impl IntoIterator<Item = [usize; 2]>) -> Option<[usize; 2]> {
    groups.into_iter().max_by_key(|[with_all, nodes]| (nodes.saturating_sub(*with_all), *nodes))
}

/// Adds up the images of a group, one at a time. All of them are about the same nodes, in the same order.
#[derive(Debug, Default)]
pub struct GroupProgressCount {
    nodes: Vec<NodeSoFar>,
    is_moving: bool,
}

/// A node, over the images so far.
#[derive(Clone, Copy, Debug)]
struct NodeSoFar {
    counts: bool,
    has_all: bool,
    out_of_reach: bool,
}

impl GroupProgressCount {
    /// Adds an image.
    pub fn add(&mut self, image: &ImageSummary) {
        self.nodes.resize(image.nodes.len(), NodeSoFar { counts: true, has_all: true, out_of_reach: false });
        for (node, on) in self.nodes.iter_mut().zip(&image.nodes) {
            node.counts &= on.state.counts();
            node.has_all &= !on.state.is_behind();
            node.out_of_reach |= matches!(on.state, NodeState::Tainted | NodeState::Excluded);
            self.is_moving |= matches!(on.state, NodeState::Waiting | NodeState::Pulling);
        }
    }

    /// The sum.
    pub fn total(&self) -> GroupProgress {
        let counted = || self.nodes.iter().filter(|node| node.counts);
        GroupProgress {
            nodes: counted().count(),
            with_all: counted().filter(|node| node.has_all).count(),
            out_of_reach: counted().filter(|node| node.out_of_reach).count(),
            is_moving: self.is_moving,
        }
    }
}

impl GroupProgress {
    /// Whether all nodes that pods can come to have all images. Without any such node nothing is complete.
    pub fn is_complete(self) -> bool {
        self.with_all > 0 && self.with_all + self.out_of_reach == self.nodes
    }
}
