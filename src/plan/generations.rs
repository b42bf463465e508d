//! A list's generations: which are current, which are retiring, and how many are moving.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::generation::Generation;
use super::generation::node_scope::NodeScope;
use super::retiring::{Blocker, Need, Needed};
use crate::coverage::{CoveringPod, ImageState, NO_LIST};
use crate::list::config::Group;

/// The list's generations, without those that are being deleted.
pub struct Generations<'a> {
    /// The newest generation of each group of the list.
    pub newest: Vec<&'a Generation>,
    /// All other generations, newest first.
    pub retiring: Vec<Retiring<'a>>,
    /// Which images are needed where. `None` unless a generation is retiring or a pod is stuck.
    pub need: Option<Need<'a>>,
}

/// A generation that is not the newest of its group.
pub struct Retiring<'a> {
    /// It stays until no node needs it.
    pub generation: &'a Generation,
    /// The nodes and images that it is needed for.
    pub needed: Needed<'a>,
    /// Whether its group is no longer on the list, or no longer has its shard.
    orphaned: bool,
}

impl<'a> Generations<'a> {
    /// Sorts the list's generations into current and retiring ones.
    pub fn of(context: &Context<'a>) -> Self {
        let mut live: Vec<&Generation> = context.generations.iter().filter(|generation| !generation.deleting).collect();
        live.sort_by_cached_key(|generation| generation.newest_first());
        let groups = context.list.config.groups.iter();
        let newest: Vec<&Generation> =
            groups.filter_map(|group| live.iter().find(|it| it.is_of(group)).copied()).collect();
        live.retain(|generation| newest.iter().all(|newest| newest.name != generation.name));
        let pods = || context.coverage.pods_of(context.list.label).chain(context.adoptable.pods_of(NO_LIST));
        // Usually no generation is retiring and no pod is stuck; then this work is skipped.
        let asked = !live.is_empty() || pods().any(may_be_stuck);
        let need = asked.then(|| Need::new(context.list.config, context.generations, &newest, pods(), context.nodes));
        let retiring = need.as_ref().map(|need| retiring(need, &newest, &live)).unwrap_or_default();
        Self { newest, retiring, need }
    }

    /// The newest generation of a group.
    pub fn newest_of(&self, group: &Group) -> Option<&'a Generation> {
        self.newest.iter().find(|generation| generation.is_of(group)).copied()
    }

    /// The generations of a group that are needed anywhere.
    pub fn needed_of(&self, group: &Group) -> impl Iterator<Item = &'a Generation> {
        let retiring = self.retiring.iter().filter(|it| !it.needed.is_nowhere()).map(|it| it.generation);
        let of_group = move |it: &&Generation| it.is_of(group);
        self.newest.iter().copied().chain(retiring).filter(of_group)
    }

    /// Generations that stay although they are not the newest of the group: the group's own, and those of removed
    /// groups that hold an image of this group. So a renamed group is handled like any other change.
    fn staying(&self, group: &Group) -> impl Iterator<Item = &Retiring<'a>> {
        let wanted: BTreeSet<String> = group.images.iter().map(|image| image.reference.normal_form()).collect();
        self.retiring.iter().filter(move |it| {
            let adopted = || it.orphaned && it.needed.images.iter().any(|image| wanted.contains(&**image));
            it.needed.blocker.is_some() && (it.generation.is_of(group) || adopted())
        })
    }

    /// How many generations of a group count towards [`super::rollouts::MAX_GENERATIONS`]. Two kinds do not count, as
    /// they cost a few pods each: generations that stay only for images that newer ones failed to pull or do not have
    /// (at most one for each such image), and generations that were scoped down to nodes that newer ones cannot run on
    /// or do not select.
    pub fn moving(&self, group: &Group) -> usize {
        let of = |blocker| self.staying(group).filter(move |it| it.needed.blocker == Some(blocker));
        let is_scoped_down = |it: &&Retiring| matches!(it.generation.node_scope, NodeScope::Only(_));
        let unreached = of(Blocker::NodesUnavailable).chain(of(Blocker::Unserved));
        let images: BTreeSet<_> = of(Blocker::Stuck).flat_map(|it| &it.needed.images).collect();
        usize::from(self.newest_of(group).is_some())
            + most_of_a_shard(of(Blocker::Moving).chain(unreached.filter(|it| !is_scoped_down(it))))
            + of(Blocker::Stuck).count().saturating_sub(images.len())
    }

    /// The nodes that keep an older generation of the group because no pod of a newer one can run there.
    pub fn unavailable_nodes(&self, group: &Group) -> BTreeSet<&'a str> {
        let staying = self.staying(group).filter(|it| it.needed.blocker == Some(Blocker::NodesUnavailable));
        staying.flat_map(|it| it.needed.nodes.keys().copied()).collect()
    }
}

/// The number of generations of the shard that has most; of several groups, together. Shards exist side by side: their number was
/// chosen by the user, and what is limited is how often it is multiplied. Each generation of a renamed group is one more.
fn most_of_a_shard<'r, 'a: 'r>(generations: impl Iterator<Item = &'r Retiring<'a>>) -> usize {
    let mut groups: BTreeMap<&str, BTreeMap<u32, usize>> = BTreeMap::new();
    for it in generations {
        let shards = groups.entry(it.generation.group.as_str()).or_default();
        *shards.entry(it.generation.shard).or_default() += 1;
    }
    groups.values().filter_map(|shards| shards.values().max()).sum()
}

/// Whether sealing may help this pod.
fn may_be_stuck(pod: &CoveringPod) -> bool {
    pod.images.iter().any(|image| matches!(image.state, ImageState::Failed { .. }))
}

/// Examines newer generations first, since only a generation that stays can replace an older one. The newest generation
/// of each group always stays.
fn retiring<'a>(need: &Need<'a>, newest: &[&'a Generation], older: &[&'a Generation]) -> Vec<Retiring<'a>> {
    let mut staying = newest.to_vec();
    let mut retiring = Vec::new();
    for &generation in older {
        let needed = need.of(generation, &staying);
        if !needed.is_nowhere() {
            staying.push(generation);
        }
        let orphaned = !newest.iter().any(|newest| newest.is_of_same_shard(generation));
        retiring.push(Retiring { generation, needed, orphaned });
    }
    retiring
}
