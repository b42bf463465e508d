//! Nodes that lack a pod of a DaemonSet because something refuses it: an admission webhook, a policy or a quota.
//!
//! As long as pods keep coming, the DaemonSet controller is only slow ([`super::generation::pod_creation`]). Nodes that
//! admission excludes by a node selector get no pod, or one that fits nowhere; they are reported as such.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::generation::Generation;
use super::generation::exclusion::Exclusion;
use super::generations::Generations;
use crate::coverage::Node;
use crate::list::config::Group;

/// Nodes without a pod of a DaemonSet although nothing is known to prevent it.
#[derive(Debug, Default)]
pub struct RefusedOn<'a> {
    /// The nodes; empty while it is too early to tell.
    pub nodes: BTreeSet<&'a str>,
    /// When to check again.
    pub wake_at: Option<Timestamp>,
}

/// Finds the nodes without a pod of a group's newest generation.
pub fn refused_on<'a>(
    newest: &Generation,
    group: &Group,
    context: &Context<'a>,
    generations: &Generations<'a>,
    exclusion: &Exclusion,
) -> RefusedOn<'a> {
    // A DaemonSet that another client changed may not select any of the nodes.
    if newest.altered.is_some() {
        return RefusedOn::default();
    }
    let pods = || context.pods_of(newest);
    let there: HashSet<&str> = pods().filter_map(|pod| pod.target.as_deref()).collect();
    let takes =
        |node: &Node| node.ready && !node.deleting && node.takes(&group.placement) && exclusion.on(node).is_none();
    let needed = generations.retiring.iter().flat_map(|it| it.needed.nodes.keys().copied());
    let expected: Vec<&str> = match context.nodes {
        // A node that has just joined has no pod yet. If it has a pod of an older generation, it has not just joined.
        Some(nodes) => {
            let needed: HashSet<&str> = needed.collect();
            let old = |node: &&Arc<Node>| there.is_empty() || needed.contains(node.name.as_str());
            let lacks_pod = |node: &&Arc<Node>| !there.contains(node.name.as_str());
            nodes
                .iter()
                .filter(lacks_pod)
                .filter(old)
                .filter(|node| takes(node))
                .map(|node| node.name.as_str())
                .collect()
        }
        // A taint may keep pods off some nodes, but hardly off all.
        None if there.is_empty() => needed.collect(),
        None => Vec::new(),
    };
    let nodes: BTreeSet<&str> = expected.into_iter().filter(|node| !there.contains(node)).collect();
    let youngest = pods().filter_map(|pod| pod.created).max();
    match newest.pods_due_at(youngest, context.now).filter(|_| !nodes.is_empty()) {
        Some(at) if at <= context.now => RefusedOn { nodes, wake_at: None },
        wake_at => RefusedOn { nodes: BTreeSet::new(), wake_at },
    }
}
