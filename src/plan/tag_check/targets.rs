//! Chooses the nodes for a tag check: one of each architecture, and more if they do not hold the same images. What a
//! node's pod answers belongs to the node.

use std::collections::{BTreeMap, BTreeSet};

use super::held_digests::GenerationDigests;
use crate::coverage::PodState;
use crate::list::config::Group;
use crate::naming::hash::number;
use crate::plan::context::Context;
use crate::plan::generation::Generation;
use crate::plan::generation::exclusion::Exclusion;
use crate::plan::generation::tag_check::ImageAnswer;

/// The maximum number of nodes of an architecture in one tag check.
const MAX_NODES: usize = 3;

/// A node for a tag check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckTarget<'a> {
    /// The node's architecture; empty if unknown.
    pub architecture: &'a str,
    /// The node on which the pod runs.
    pub node: &'a str,
}

/// The nodes for a tag check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckTargets<'a> {
    /// The nodes to ask, in the order of architectures.
    pub targets: Vec<CheckTarget<'a>>,
    /// Architectures of the group's nodes without a node that can run a tag check now.
    pub without: Vec<&'a str>,
}

/// The state of a tag check on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// There is none.
    Absent,
    /// It is running or has finished.
    Started,
    /// It is being deleted.
    Deleting,
}

/// What the pod of a finished tag check answers.
pub struct Answer<'a> {
    /// Where it ran.
    pub target: CheckTarget<'a>,
    /// The answers by container name.
    pub images: Vec<(String, ImageAnswer)>,
}

/// A group's nodes by architecture, and whether each can run a tag check now.
#[derive(Debug, Default)]
pub struct Candidates<'a>(BTreeMap<&'a str, BTreeMap<&'a str, bool>>);

impl<'a> Candidates<'a> {
    /// The nodes that a group selects. If the controller may not read nodes, these are the nodes with pods of the
    /// newest generation. A tag check never waits for a node, because an autoscaler would add one for it.
    pub fn of(context: &Context<'a>, group: &Group, newest: &Generation) -> Self {
        let mut candidates = Self::default();
        if let Some(nodes) = context.nodes {
            // Admission adds the same to the pods of tag checks.
            let exclusion = Exclusion::of(newest, group, context.pods_of(newest));
            for node in nodes.iter().filter(|node| node.takes(&group.placement)) {
                let of_architecture = candidates.0.entry(node.architecture().unwrap_or_default()).or_default();
                of_architecture.insert(&node.name, node.is_available() && exclusion.on(node).is_none());
            }
            return candidates;
        }
        for pod in context.pods_of(newest) {
            // Even an unscheduled pod means that the group has a node, or will have one.
            let all = candidates.0.entry("").or_default();
            if let Some(node) = pod.node.as_deref() {
                *all.entry(node).or_default() |= pod.state == PodState::Live && !pod.deleting && !pod.node_is_lost;
            }
        }
        candidates
    }

    /// The nodes that can run a tag check now.
    pub fn able(self) -> impl Iterator<Item = CheckTarget<'a>> {
        self.0.into_iter().flat_map(|(architecture, nodes)| {
            let able = nodes.into_iter().filter(|(_, able)| *able);
            able.map(move |(node, _)| CheckTarget { architecture, node })
        })
    }

    /// Chooses one node of each architecture that can run a tag check now. Nodes that hold images of the group are
    /// preferred, because they only have to fetch manifests. `salt` is a text that differs between checks, so that the
    /// nodes take turns. During a check, the chosen node stays the same even if nodes join or become warm.
    ///
    /// If nodes hold different digests of an image, the tag may have moved while they pulled it, and only nodes with
    /// the older digest can detect that. So one more node is chosen for each digest that the first one does not hold.
    pub fn choose(
        self,
        held: &GenerationDigests,
        salt: &str,
        asked: impl Fn(CheckTarget) -> CheckState,
    ) -> CheckTargets<'a> {
        let mut chosen = CheckTargets::default();
        for (architecture, nodes) in self.0 {
            let able: Vec<&str> = nodes.into_iter().filter(|(_, able)| *able).map(|(name, _)| name).collect();
            let rotated = rotated(&able, &format!("{salt}\n{architecture}"));
            let in_order = in_order(&rotated, held, |node| asked(CheckTarget { architecture, node }));
            let distinct = distinct(&in_order, held);
            if distinct.is_empty() {
                chosen.without.push(architecture);
            }
            chosen.targets.extend(distinct.into_iter().map(|node| CheckTarget { architecture, node }));
        }
        chosen
    }
}

/// Nodes with a running check come first, then nodes that hold images, then the others. A node whose previous check is
/// being deleted cannot start one yet, so it is the last resort.
fn in_order<'a>(nodes: &[&'a str], held: &GenerationDigests, asked: impl Fn(&str) -> CheckState) -> Vec<&'a str> {
    let asked: Vec<(&'a str, CheckState)> = nodes.iter().map(|node| (*node, asked(node))).collect();
    let of = |which: CheckState| -> Vec<&'a str> {
        asked.iter().filter(|(_, state)| *state == which).map(|(node, _)| *node).collect()
    };
    let (warm, cold): (Vec<&str>, Vec<&str>) =
        of(CheckState::Absent).into_iter().partition(|node| held.on(node).is_some());
    let first = [of(CheckState::Started), warm].concat();
    [first, cold, of(CheckState::Deleting)].into_iter().find(|nodes| !nodes.is_empty()).unwrap_or_default()
}

/// Rotates the nodes, starting with one that depends on the salt.
fn rotated<'a>(nodes: &[&'a str], salt: &str) -> Vec<&'a str> {
    let first = number(salt.as_bytes()).checked_rem(nodes.len() as u64).unwrap_or_default();
    let first = usize::try_from(first).unwrap_or_default();
    [&nodes[first..], &nodes[..first]].concat()
}

/// The first node, and those that hold a digest that no node before them holds.
fn distinct<'a>(nodes: &[&'a str], held: &GenerationDigests) -> Vec<&'a str> {
    let (mut seen, mut distinct) = (BTreeSet::new(), Vec::new());
    for node in nodes {
        let held = held.on(node).into_iter().flatten();
        let before = seen.len();
        seen.extend(held);
        if distinct.is_empty() || before < seen.len() {
            distinct.push(*node);
        }
        if distinct.len() == MAX_NODES {
            break;
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn chosen<'a>(
        nodes: &[(&'a str, &'a str, bool)],
        salt: &str,
        asked: impl Fn(CheckTarget) -> CheckState,
    ) -> CheckTargets<'a> {
        let mut candidates = Candidates::default();
        for (name, architecture, able) in nodes {
            candidates.0.entry(architecture).or_default().insert(name, *able);
        }
        candidates.choose(&GenerationDigests::default(), salt, asked)
    }

    #[test]
    fn one_node_of_each_architecture_is_chosen_in_rotation() {
        let nodes = [("a", "amd64", true), ("b", "amd64", true), ("c", "arm64", true), ("d", "amd64", true)];
        let mut seen = BTreeSet::new();
        for salt in 0..50 {
            let targets = chosen(&nodes, &salt.to_string(), |_| CheckState::Absent).targets;
            assert_eq!(targets.iter().map(|it| it.architecture).collect::<Vec<_>>(), ["amd64", "arm64"]);
            seen.extend(targets.iter().map(|it| it.node));
        }
        assert_eq!(seen, ["a", "b", "c", "d"].into());
    }

    #[test]
    fn each_node_is_looked_up_once_among_the_tag_checks() {
        let lookups = Cell::new(0);
        let asked = |_: CheckTarget| {
            lookups.set(lookups.get() + 1);
            CheckState::Absent
        };
        chosen(&NAMES.map(|name| (name, "", true)), "", asked);
        assert_eq!(lookups.get(), NAMES.len());
    }

    #[test]
    fn nodes_that_cannot_run_a_check_are_skipped_and_reported() {
        let nodes = [("away", "amd64", false), ("fine", "arm64", true)];
        let found = chosen(&nodes, "", |_| CheckState::Absent);
        assert_eq!(found.targets, [CheckTarget { architecture: "arm64", node: "fine" }]);
        assert_eq!(found.without, ["amd64"]);
        assert_eq!(chosen(&[], "", |_| CheckState::Absent), CheckTargets::default());
    }

    #[test]
    fn a_node_with_a_running_check_stays_chosen_when_nodes_join() {
        for salt in ["one", "two", "three"] {
            let all = NAMES.map(|name| (name, "", true));
            let first = chosen(&all[..2], salt, |_| CheckState::Absent).targets;
            let asked = |target: CheckTarget| if first == [target] { CheckState::Started } else { CheckState::Absent };
            assert_eq!(chosen(&all, salt, asked).targets, first);
        }
    }

    #[test]
    fn a_node_whose_check_is_being_deleted_is_the_last_resort() {
        let deleting = |target: CheckTarget| if target.node == "a" { CheckState::Deleting } else { CheckState::Absent };
        for salt in ["one", "two", "three"] {
            assert_eq!(chosen(&[("a", "", true), ("b", "", true)], salt, deleting).targets[0].node, "b");
            assert_eq!(chosen(&[("a", "", true), ("b", "", false)], salt, deleting).targets[0].node, "a");
        }
    }
}
