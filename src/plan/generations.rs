//! Which generations of a list stand, which of them retire, and how many may not become more.

use std::collections::BTreeSet;

use super::context::Context;
use super::decision::Action;
use super::generation::Generation;
use super::generation::node_scope::NodeScope;
use super::retiring::{Blocker, Need, Needed};
use crate::coverage::{CoveringPod, ImageState, NO_LIST};
use crate::list::config::Group;

/// The list's generations that are not about to go.
pub struct Generations<'a> {
    /// The newest of each group of the list.
    pub newest: Vec<&'a Generation>,
    /// All others, the newest first.
    pub retiring: Vec<Retiring<'a>>,
    /// Who holds what, if there are others or a pod is stuck.
    pub need: Option<Need<'a>>,
}

/// An older generation.
pub struct Retiring<'a> {
    /// It.
    pub generation: &'a Generation,
    /// Where and for what it is needed.
    pub needed: Needed<'a>,
    /// Whether its group is not on the list any more.
    orphaned: bool,
}

impl<'a> Generations<'a> {
    /// Tells them apart.
    pub fn of(context: &Context<'a>) -> Self {
        let mut live: Vec<&Generation> = context.generations.iter().filter(|generation| !generation.deleting).collect();
        live.sort_by_cached_key(|generation| generation.newest_first());
        let groups = context.list.config.groups.iter().map(|group| group.name.as_str());
        let newest: Vec<&Generation> =
            groups.filter_map(|group| live.iter().find(|it| it.group == group).copied()).collect();
        live.retain(|generation| newest.iter().all(|newest| newest.name != generation.name));
        let pods = || context.coverage.pods_of(context.list.label).chain(context.adoptable.pods_of(NO_LIST));
        // Neither is the usual case, and then nobody asks.
        let asked = !live.is_empty() || pods().any(may_be_stuck);
        let need = asked.then(|| Need::new(context.list.config, context.generations, &newest, pods(), context.nodes));
        let retiring = need.as_ref().map(|need| retiring(need, &newest, &live)).unwrap_or_default();
        Self { newest, retiring, need }
    }

    /// The newest of a group.
    pub fn newest_of(&self, group: &Group) -> Option<&'a Generation> {
        self.newest.iter().find(|generation| generation.group == group.name.as_str()).copied()
    }

    /// The generations of a group, but for those that are needed nowhere.
    pub fn needed_of(&self, group: &Group) -> impl Iterator<Item = &'a Generation> {
        let retiring = self.retiring.iter().filter(|it| !it.needed.is_nowhere()).map(|it| it.generation);
        let of_group = move |it: &&Generation| it.group == group.name.as_str();
        self.newest.iter().copied().chain(retiring).filter(of_group)
    }

    /// Generations that stay though their group's newest is another: the group's own, and those of groups that left the list
    /// with images that this group wants. Renaming a group is a change like any other.
    fn staying(&self, group: &Group) -> impl Iterator<Item = &Retiring<'a>> {
        let wanted: BTreeSet<String> = group.images.iter().map(|image| image.reference.normal_form()).collect();
        self.retiring.iter().filter(move |it| {
            let adopted = || it.orphaned && it.needed.images().any(|image| wanted.contains(&**image));
            it.needed.blocker.is_some() && (it.generation.group == group.name.as_str() || adopted())
        })
    }

    /// What is to be counted again before it is known where generations are needed.
    pub fn recounts(&self) -> impl Iterator<Item = Action> {
        self.retiring.iter().filter_map(|it| {
            let selections = self.need.as_ref()?.uncounted(it.generation, &it.needed)?;
            let (name, uid) = (it.generation.name.clone(), it.generation.uid.clone());
            Some(Action::Recount { name, uid, selections })
        })
    }

    /// How many generations of a group count towards the limit. Two kinds do not: those that stay only for images which newer
    /// ones have tried in vain or do not have, of which there are no more than such images; and those that were scoped down to
    /// nodes which newer ones do not get onto, or are not for. They cost a few pods on these nodes.
    pub fn moving(&self, group: &Group) -> usize {
        let of = |blocker| self.staying(group).filter(move |it| it.needed.blocker == Some(blocker));
        let is_scoped_down = |it: &&Retiring| matches!(it.generation.node_scope, NodeScope::Only(_));
        let unreached = of(Blocker::NodesUnavailable).chain(of(Blocker::Unserved));
        let images: BTreeSet<_> = of(Blocker::Stuck).flat_map(|it| it.needed.images()).collect();
        usize::from(self.newest_of(group).is_some())
            + of(Blocker::Moving).count()
            + unreached.filter(|it| !is_scoped_down(it)).count()
            + of(Blocker::Stuck).count().saturating_sub(images.len())
    }

    /// The nodes that a group's generations stay for because newer ones do not get onto them.
    pub fn unavailable_nodes(&self, group: &Group) -> BTreeSet<&'a str> {
        let staying = self.staying(group).filter(|it| it.needed.blocker == Some(Blocker::NodesUnavailable));
        staying.flat_map(|it| it.needed.nodes.keys().copied()).collect()
    }
}

/// Whether the pod may be one that sealing is for.
fn may_be_stuck(pod: &CoveringPod) -> bool {
    pod.images.iter().any(|image| matches!(image.state, ImageState::Failed { .. }))
}

/// Looks at the newest first, since only what stays counts against what is older. The newest of a group always stays, so it
/// counts against all that are retiring.
fn retiring<'a>(need: &Need<'a>, newest: &[&'a Generation], older: &[&'a Generation]) -> Vec<Retiring<'a>> {
    let mut staying = newest.to_vec();
    let mut retiring = Vec::new();
    for &generation in older {
        let needed = need.of(generation, &staying);
        if !needed.is_nowhere() {
            staying.push(generation);
        }
        let orphaned = newest.iter().all(|newest| newest.group != generation.group);
        retiring.push(Retiring { generation, needed, orphaned });
    }
    retiring
}
