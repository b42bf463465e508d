//! Pods of a retiring generation that are missing for a moment, until the DaemonSet controller has replaced them.
//!
//! A pod that was deleted or evicted shows nothing of what is on its node's disk. So a generation is needed on a node without a
//! pod of it as long as the DaemonSet controller says that there should be more of its pods than there are.

use std::collections::HashSet;

use super::{Need, Needed, Nodes};
use crate::coverage::Hold;
use crate::list::config::Group;
use crate::plan::generation::Generation;

impl<'a> Need<'a> {
    /// Adds to where a generation is needed the nodes on which a pod of it is missing. A generation whose rollout was never
    /// complete may have held nothing there.
    pub(super) fn add_absent(&self, generation: &Generation, newer: &[&Generation], needed: &mut Needed<'a>) {
        if !generation.reported.complete || !self.lacks_pods(generation) {
            return;
        }
        let nodes: Vec<&'a str> = match &self.nodes {
            Nodes::Read(nodes) => nodes.keys().copied().collect(),
            Nodes::Unreadable(_) => self.pods.keys().copied().collect(),
        };
        let names: HashSet<&str> = newer.iter().map(|generation| generation.name.as_str()).collect();
        for node in nodes.into_iter().filter(|node| self.is_absent_on(generation, node)) {
            self.add_node(node, generation, &names, needed);
        }
        // A node on which the list has no pod at all is not known without the right to read nodes.
        let unknown = matches!(self.nodes, Nodes::Unreadable(_));
        needed.awaits_pods = unknown && newer.iter().any(|newer| self.lacks_pods(newer));
    }

    fn add_node(&self, node: &'a str, generation: &Generation, newer: &HashSet<&str>, needed: &mut Needed<'a>) {
        let pods = self.pods.get(node).map(Vec::as_slice).unwrap_or_default();
        for image in self.made_for.get(generation.name.as_str()).into_iter().flatten() {
            let wanting: Vec<&Group> =
                self.groups_with(image).filter(|group| self.may_belong(group, generation, node)).collect();
            let held = || self.holds(node, pods, newer, image).any(|hold| hold != Hold::None);
            if !wanting.is_empty() && !held() {
                let blocker = self.blocker(node, pods, newer, image, &wanting);
                needed.add(node, image, blocker);
            }
        }
    }

    fn may_belong(&self, group: &Group, generation: &Generation, node: &str) -> bool {
        match &self.nodes {
            Nodes::Read(nodes) => nodes.get(node).is_some_and(|node| node.takes(&group.placement)),
            Nodes::Unreadable(deselection) => !deselection.has_left(group, &generation.name, node),
        }
    }

    fn is_absent_on(&self, generation: &Generation, node: &str) -> bool {
        generation.node_scope.includes(node) && self.on(node).all(|it| *it.pod.generation != *generation.name)
    }

    /// Whether there should be more pods of a generation than there are. While the DaemonSet controller has not said anything
    /// about the DaemonSet as it is now, there may be.
    fn lacks_pods(&self, generation: &Generation) -> bool {
        generation.scheduled.is_none_or(|scheduled| {
            let there = self.pods.values().filter(|pods| pods.iter().any(|it| *it.pod.generation == *generation.name));
            (there.count() as u64) < u64::from(scheduled.desired) + u64::from(scheduled.misscheduled)
        })
    }
}
