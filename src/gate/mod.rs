//! New nodes, and what is warm there → which nodes to free, and what a condition of theirs says. Pure.
//!
//! Whoever makes a node gives it a startup taint, which keeps pods away. A list with a gate has its holders run there all the same, and
//! once the images are there, the taint is removed. Nothing ever puts it back: a gate is for the beginning of a node.
//!
//! ```text
//! Summary of a list ─► NodeWarmth on each node ─┬─► decision: free the node, or wait until when
//!                                           └─► condition: what the node says of its images
//! ```
//! - [`warmth`]: how far the images of a list are on a node
//! - [`lists_on_nodes`]: how far all lists are on nodes at one moment
//! - [`decision`]: whether a node is free
//! - [`condition`]: whether the condition of a node has to be written
//! - [`patch`]: the patches of Node objects

pub mod condition;
pub mod decision;
pub mod lists_on_nodes;
pub mod patch;
#[cfg(test)]
mod tests;
pub mod warmth;

use crate::coverage::Node;
use crate::list::config::TaintKey;

/// The type of the condition on nodes.
pub const CONDITION: &str = "kube-prepull.io/ImagesReady";

/// What is written to nodes. Each needs a right of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeWrite {
    /// The removal of a taint: `nodes`.
    Taint,
    /// A condition: `nodes/status`.
    Condition,
}

/// Whether a node has a taint with that key, whatever its value and effect are.
pub fn is_tainted(node: &Node, key: &TaintKey) -> bool {
    node.taints.iter().any(|taint| taint.key == key.as_str())
}
