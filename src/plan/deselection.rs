//! Which nodes a group no longer selects, derived from the status of DaemonSets if the controller may not read nodes.
//!
//! If a group's newest generation has a pod on every node that it selects, it does not select the other nodes. That
//! alone does not mean that the group was moved off a node: the DaemonSet controller also does not select a node with a
//! taint that the pods do not tolerate, and such a node keeps what it holds ([`crate::coverage::Node::keeps`]). So a
//! node of an older generation counts as deselected only if that generation was created for a different placement, and
//! none of its nodes has such a taint.
//!
//! A taint alone does not make the DaemonSet controller recount (`syncNodeUpdate` in
//! `k8s.io/kubernetes/pkg/controller/daemon/daemon_controller.go`), so its counts may be outdated. But counts for a
//! newer `metadata.generation` are newer than that. So once the newest generation has all of its pods, a field of the
//! older generation's spec is changed that has no effect on its pods.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::generation::node_scope::NodeScope;
use super::generation::{Generation, placement_hash};
use crate::list::Config;
use crate::list::config::Group;
use crate::naming::hash::short_hash;

/// The nodes that groups no longer select.
pub struct Deselection<'a> {
    /// The selected nodes by the name and shard of groups.
    selections: HashMap<&'a str, HashMap<u32, Selection<'a>>>,
    /// By name, the generations that had no misscheduled pod at the last count.
    untainted: HashMap<&'a str, Untainted<'a>>,
}

/// All nodes that a group selects.
struct Selection<'a> {
    placement: &'a str,
    nodes: HashSet<&'a str>,
    /// The hash of the generation and these nodes.
    hash: String,
}

struct Untainted<'a> {
    placement: &'a str,
    counted_for: &'a BTreeSet<String>,
}

impl<'a> Deselection<'a> {
    /// Derives selections from the status of DaemonSets. `newest` are the groups' newest generations. `pods` are the
    /// node and generation of each pod that is not being deleted.
    pub fn new(
        config: &'a Config,
        newest: &[&'a Generation],
        generations: &'a [Generation],
        pods: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut nodes: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (node, generation) in pods {
            nodes.entry(generation).or_default().insert(node);
        }
        let selections = config.groups.iter().filter_map(|group| {
            let newest = newest.iter().copied().find(|newest| newest.is_of(group))?;
            let nodes = nodes.remove(newest.name.as_str()).unwrap_or_default();
            Some((group, selection(group, newest, nodes)?))
        });
        let mut by_shard: HashMap<&str, HashMap<u32, Selection>> = HashMap::new();
        for (group, selection) in selections {
            by_shard.entry(group.name.as_str()).or_default().insert(group.shard, selection);
        }
        Self {
            selections: by_shard,
            untainted: generations.iter().filter_map(|it| Some((it.name.as_str(), untainted(it)?))).collect(),
        }
    }

    /// Whether a group no longer selects a node with a pod of this generation.
    pub fn has_left(&self, group: &Group, generation: &str, node: &str) -> bool {
        let Some(generation) = self.untainted.get(generation) else { return false };
        self.without(group, generation, node).is_some_and(|selection| generation.counted_for.contains(&selection.hash))
    }

    /// The selections that have to precede a recount of a generation's nodes, if a recount may show that fewer nodes
    /// need it. `needed` has each node with the groups that want an image there, once for all images that the same groups want.
    pub fn uncounted<'g, G: Iterator<Item = &'g Group>>(
        &self,
        generation: &Generation,
        needed: impl Iterator<Item = (&'g str, G)>,
    ) -> Option<BTreeSet<String>> {
        let untainted = self.untainted.get(generation.name.as_str())?;
        let mut selections = BTreeSet::new();
        for (node, groups) in needed {
            // If one of the groups still selects the node, the generation is needed there anyway.
            let left: Option<Vec<_>> = groups.map(|group| self.without(group, untainted, node)).collect();
            selections.extend(left.into_iter().flatten().map(|selection| selection.hash.clone()));
        }
        if selections.is_subset(untainted.counted_for) {
            return None;
        }
        // The new count also covers all selections that preceded the last one.
        let valid = self.selections.values().flat_map(HashMap::values).map(|selection| &selection.hash);
        selections.extend(valid.filter(|hash| untainted.counted_for.contains(*hash)).cloned());
        Some(selections)
    }

    /// The group's selection, if it has a different placement than the generation and does not include the node.
    fn without(&self, group: &Group, generation: &Untainted, node: &str) -> Option<&Selection<'a>> {
        let selection = self.selections.get(group.name.as_str())?.get(&group.shard)?;
        (selection.placement != generation.placement && !selection.nodes.contains(node)).then_some(selection)
    }
}

/// The nodes of the newest generation, if they are all that the group selects.
fn selection<'a>(group: &Group, newest: &'a Generation, nodes: HashSet<&'a str>) -> Option<Selection<'a>> {
    let placement = newest.placement.as_deref().filter(|placement| *placement == placement_hash(&group.placement))?;
    let scheduled =
        newest.scheduled.filter(|_| newest.altered.is_none() && newest.node_scope == NodeScope::Everywhere)?;
    let on = u64::from(scheduled.desired) + u64::from(scheduled.misscheduled);
    // Pods and status are watched separately. If they disagree, the selection is unknown.
    if !scheduled.complete || nodes.len() as u64 != on {
        return None;
    }
    let mut names: Vec<&str> = nodes.iter().copied().chain([newest.name.as_str()]).collect();
    names.sort_unstable();
    Some(Selection { placement, nodes, hash: short_hash(names.join(" ").as_bytes()) })
}

fn untainted(generation: &Generation) -> Option<Untainted<'_>> {
    generation.scheduled.filter(|scheduled| scheduled.misscheduled == 0 && generation.altered.is_none())?;
    Some(Untainted { placement: generation.placement.as_deref()?, counted_for: &generation.counted_for })
}
