//! Which nodes a group has left, if the controller may not read nodes: the status of DaemonSets tells.
//!
//! If the newest generation of a group has a pod on every node that it selects, it does not select a node without one. That alone
//! does not mean that the group has left the node: the DaemonSet controller does not select a node with a taint that the pods do not
//! tolerate either, and such a node keeps what it holds ([`crate::coverage::Node::keeps`]). So an older generation's node counts as left only if
//! both are known: the older generation was made for other nodes, and none of its nodes was tainted since.

use std::collections::{HashMap, HashSet};

use super::generation::{Generation, placement_hash};
use super::reach::Reach;
use crate::list::Config;
use crate::list::config::Group;

/// Which nodes groups have left.
pub struct Deselection<'a> {
    /// The nodes of each group, by its name.
    selections: HashMap<&'a str, Selection<'a>>,
    /// The placements of generations none of whose nodes was tainted since, by their names.
    untainted: HashMap<&'a str, &'a str>,
}

/// All nodes that a group selects.
struct Selection<'a> {
    placement: &'a str,
    nodes: HashSet<&'a str>,
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
        let selection = self.selections.get(group.name.as_str());
        selection
            .zip(self.untainted.get(generation))
            .is_some_and(|(selection, placement)| selection.placement != *placement && !selection.nodes.contains(node))
    }
}

/// The nodes of the newest generation, if these are all that the group selects now.
fn selection<'a>(group: &Group, newest: &'a Generation, nodes: HashSet<&'a str>) -> Option<Selection<'a>> {
    let placement = newest.placement.as_deref().filter(|placement| *placement == placement_hash(&group.placement))?;
    let scheduled = newest.scheduled.filter(|_| !newest.altered && newest.reach == Reach::Everywhere)?;
    let on = u64::from(scheduled.desired) + u64::from(scheduled.misscheduled);
    // Pods and status are seen at different times; if they do not agree, nobody knows.
    (scheduled.complete && nodes.len() as u64 == on).then_some(Selection { placement, nodes })
}

/// What the generation was made for, if no node of its pods was tainted since.
fn untainted(generation: &Generation) -> Option<&str> {
    generation.scheduled.filter(|scheduled| scheduled.misscheduled == 0 && !generation.altered)?;
    generation.placement.as_deref()
}
