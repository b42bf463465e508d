//! The coverage of one image.

use std::collections::BTreeMap;

use super::node_state::{Counts, ImageOnNode, NodeState, Why};
use crate::list::config::Image;

/// The coverage of one image.
#[derive(Clone, Debug)]
pub struct ImageSummary<'a> {
    /// The image.
    pub image: &'a Image,
    /// Every node of the group, by name, including those that do not count.
    pub nodes: Vec<ImageOnNode<'a>>,
}

/// Nodes that are behind for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind<'a> {
    /// The state of the image there.
    pub state: NodeState,
    /// Why.
    pub why: Option<Why<'a>>,
    /// The nodes, by name.
    pub nodes: Vec<&'a str>,
}

impl<'a> ImageSummary<'a> {
    /// The number of nodes in each state.
    pub fn counts(&self) -> Counts {
        self.nodes.iter().map(|node| node.state).collect()
    }

    /// The digests that warm nodes hold, by architecture, with the number of nodes. A node with several generations may hold
    /// several digests.
    pub fn digests(&self) -> BTreeMap<Option<&'a str>, BTreeMap<&'a str, usize>> {
        let mut digests: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| node.state == NodeState::Warm) {
            for (index, held) in node.held.iter().enumerate() {
                let is_again = node.held[..index].iter().any(|before| before.digest == held.digest);
                if let Some(digest) = held.digest.filter(|_| !is_again) {
                    *digests.entry(node.architecture).or_default().entry(digest).or_default() += 1;
                }
            }
        }
        digests
    }

    /// When the oldest rollout started that a warm node has the image from. `begun` gives the start of a generation's rollout;
    /// on each node, the newest generation that holds the image counts.
    pub fn held_since<T: Ord>(&self, begun: impl Fn(&str) -> Option<T>) -> Option<T> {
        let warm = self.nodes.iter().filter(|node| node.state == NodeState::Warm);
        warm.filter_map(|node| begun(node.held.first()?.generation)).min()
    }

    /// The nodes on which an older generation holds the image and the newest one cannot, by reason.
    pub fn kept(&self) -> Vec<Behind<'a>> {
        let mut by_reason: BTreeMap<(NodeState, Why), Vec<&str>> = BTreeMap::new();
        for (node, why) in self.nodes.iter().filter_map(|node| Some((node.node, node.not_renewed?))) {
            by_reason.entry(why).or_default().push(node);
        }
        by_reason.into_iter().map(|((state, why), nodes)| Behind { state, why: Some(why), nodes }).collect()
    }

    /// The nodes that are behind, by reason: the worst state first, and within it the reason with most nodes.
    pub fn behind(&self) -> Vec<Behind<'a>> {
        let mut by_reason: BTreeMap<(NodeState, Option<Why>), Vec<&str>> = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| node.state.is_behind()) {
            by_reason.entry((node.state, node.why)).or_default().push(node.node);
        }
        let mut behind: Vec<Behind> =
            by_reason.into_iter().map(|((state, why), nodes)| Behind { state, why, nodes }).collect();
        behind.sort_by_key(|behind| (behind.state, std::cmp::Reverse(behind.nodes.len())));
        behind
    }
}
