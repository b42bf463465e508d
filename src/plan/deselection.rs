//! Which nodes a group has left, if the controller may not read nodes: the status of DaemonSets tells.
//!
//! If the newest generation of a group has a pod on every node that it selects, it does not select a node without one. That alone
//! does not mean that the group has left the node: the DaemonSet controller does not select a node with a taint that the pods do not
//! tolerate either, and such a node keeps what it holds ([`crate::coverage::Node::keeps`]). So an older generation's node counts as
//! left only if both are known: the older generation was made for other nodes, and none of its nodes has such a taint.
//!
//! A taint alone does not make the DaemonSet controller count again (`syncNodeUpdate` in
//! `k8s.io/kubernetes/pkg/controller/daemon/daemon_controller.go`), and once it has, the number may be old. What it counted for a
//! newer `metadata.generation` is newer than that. So the older generation's spec is changed, in a field that means nothing to its pods, after
//! the newest has all of its own.

use std::collections::{BTreeSet, HashMap, HashSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use serde_json::{Value, json};

use super::generation::node_scope::NodeScope;
use super::generation::{Generation, placement_hash};
use crate::list::Config;
use crate::list::config::Group;
use crate::naming::hash::short_hash;
use crate::naming::labels;

/// Which nodes groups have left.
pub struct Deselection<'a> {
    /// The nodes of each group, by its name.
    selections: HashMap<&'a str, Selection<'a>>,
    /// The generations that no node had a taint against when their nodes were counted last, by their names.
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
    /// Takes from the status of DaemonSets what it tells. `newest` are the newest of the groups, and `pods` are the pods that are
    /// not about to go, as their nodes and the names of their generations.
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
            let newest = newest.iter().copied().find(|newest| newest.group == group.name.as_str())?;
            let nodes = nodes.remove(newest.name.as_str()).unwrap_or_default();
            Some((group.name.as_str(), selection(group, newest, nodes)?))
        });
        Self {
            selections: selections.collect(),
            untainted: generations.iter().filter_map(|it| Some((it.name.as_str(), untainted(it)?))).collect(),
        }
    }

    /// Whether a group has left the node on which that generation has a pod.
    pub fn has_left(&self, group: &Group, generation: &str, node: &str) -> bool {
        let Some(generation) = self.untainted.get(generation) else { return false };
        self.without(group, generation, node).is_some_and(|selection| generation.counted_for.contains(&selection.hash))
    }

    /// The selections after which a generation's nodes have to be counted, if that may show that it is not needed where it seems to be.
    /// `needed` are its nodes, each with the groups that want one image there.
    pub fn uncounted<'g, G: Iterator<Item = &'g Group>>(
        &self,
        generation: &Generation,
        needed: impl Iterator<Item = (&'g str, G)>,
    ) -> Option<BTreeSet<String>> {
        let untainted = self.untainted.get(generation.name.as_str())?;
        let mut selections = BTreeSet::new();
        for (node, groups) in needed {
            // If one of the groups is there, what another one has left is needed anyway.
            let left: Option<Vec<_>> = groups.map(|group| self.without(group, untainted, node)).collect();
            selections.extend(left.into_iter().flatten().map(|selection| selection.hash.clone()));
        }
        if selections.is_subset(untainted.counted_for) {
            return None;
        }
        // A later count is as good for those that an earlier one came after.
        let valid = self.selections.values().map(|selection| &selection.hash);
        selections.extend(valid.filter(|hash| untainted.counted_for.contains(*hash)).cloned());
        Some(selections)
    }

    /// The group's selection, if it was made for other nodes than the generation and does not have this one.
    fn without(&self, group: &Group, generation: &Untainted, node: &str) -> Option<&Selection<'a>> {
        let selection = self.selections.get(group.name.as_str())?;
        (selection.placement != generation.placement && !selection.nodes.contains(node)).then_some(selection)
    }
}

/// The nodes of the newest generation, if these are all that the group selects now.
fn selection<'a>(group: &Group, newest: &'a Generation, nodes: HashSet<&'a str>) -> Option<Selection<'a>> {
    let placement = newest.placement.as_deref().filter(|placement| *placement == placement_hash(&group.placement))?;
    let scheduled =
        newest.scheduled.filter(|_| newest.altered.is_none() && newest.node_scope == NodeScope::Everywhere)?;
    let on = u64::from(scheduled.desired) + u64::from(scheduled.misscheduled);
    // Pods and status are seen at different times; if they do not agree, nobody knows.
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

/// The merge patch that makes the DaemonSet controller count the nodes of a DaemonSet as it is now. How many old revisions are kept
/// means nothing here: no template changes often enough to have so many.
pub fn recount_patch(live: &DaemonSet, selections: &BTreeSet<String>) -> Value {
    const LIMITS: [i32; 2] = [9, 10];
    let limit = live.spec.as_ref().and_then(|spec| spec.revision_history_limit);
    let ours = live.metadata.annotations.as_ref().and_then(|it| it.get(labels::SPEC_GENERATION));
    // What somebody else changed before stays known as that.
    let ours = ours.and_then(|text| text.parse().ok()).unwrap_or(1_i64).saturating_add(1);
    let selections: Vec<&str> = selections.iter().map(String::as_str).collect();
    json!({
        "metadata": {
            "uid": live.metadata.uid,
            "resourceVersion": live.metadata.resource_version,
            "annotations": {labels::COUNTED_FOR: selections.join(" "), labels::SPEC_GENERATION: ours.to_string()},
        },
        "spec": {"revisionHistoryLimit": LIMITS.iter().find(|other| limit != Some(**other))},
    })
}
