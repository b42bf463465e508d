//! Missing pods of a retiring generation, which the DaemonSet controller has yet to replace.
//!
//! A pod that was deleted or evicted no longer shows what is on its node's disk. So a generation counts as needed on a
//! node without its pod as long as its DaemonSet has fewer pods than it should have.

use super::holding::{KnownNodes, Need, of_generation};
use super::needed::NeededSoFar;
use super::on_node::{Newer, OnNode};
use crate::coverage::Hold;
use crate::plan::generation::Generation;

impl<'a> Need<'a> {
    /// Adds nodes with a missing pod to those that need the generation. A generation whose rollout was never complete
    /// may have held nothing there, so it is skipped.
    pub(super) fn add_absent(
        &self,
        generation: &Generation,
        staying: &[&Generation],
        newer: &Newer,
        needed: &mut NeededSoFar<'a>,
    ) {
        if !generation.reported.complete || !self.lacks_pods(generation) {
            return;
        }
        let nodes: Vec<&'a str> = match &self.nodes {
            KnownNodes::Read(nodes) => nodes.keys().copied().collect(),
            KnownNodes::Unreadable(_) => self.pods.keys().copied().collect(),
        };
        for node in nodes.into_iter().filter(|node| self.is_absent_on(generation, node)) {
            self.add_node(node, generation, newer, needed);
        }
        // If nodes cannot be read, a node without any pod of the list is unknown.
        let unknown = matches!(self.nodes, KnownNodes::Unreadable(_));
        needed.awaits_pods = unknown && staying.iter().any(|newer| self.lacks_pods(newer));
    }

    fn add_node(&self, node: &'a str, generation: &Generation, newer: &Newer, needed: &mut NeededSoFar<'a>) {
        let on = OnNode::new(self, node, self.pods.get(node).map(Vec::as_slice).unwrap_or_default(), newer);
        for &image in self.built_with.get(generation.name.as_str()).into_iter().flatten() {
            let wanting = || self.groups_with(image).filter(|group| self.may_belong(*group, generation, node, &on));
            if wanting().next().is_some() && !on.is_held(image, Hold::Exited) {
                needed.add(node, image, on.blocker(image, wanting()));
            }
        }
    }

    fn may_belong(&self, group: usize, generation: &Generation, node: &str, on: &OnNode) -> bool {
        match &self.nodes {
            KnownNodes::Read(_) => on.takes(group),
            KnownNodes::Unreadable(deselection) => {
                !deselection.has_left(&self.config.groups[group], &generation.name, node)
            }
        }
    }

    fn is_absent_on(&self, generation: &Generation, node: &str) -> bool {
        let own = self.pods.get(node).zip(self.number_of(generation)).map(|(pods, number)| of_generation(pods, number));
        generation.node_scope.includes(node) && own.is_none_or(<[_]>::is_empty)
    }

    /// Whether a generation has fewer pods than it should have. This is assumed until the DaemonSet's status is up to
    /// date.
    fn lacks_pods(&self, generation: &Generation) -> bool {
        generation.scheduled.is_none_or(|scheduled| {
            (self.nodes_of(generation) as u64) < u64::from(scheduled.desired) + u64::from(scheduled.misscheduled)
        })
    }
}
