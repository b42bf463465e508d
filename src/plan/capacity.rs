//! Nodes without capacity for a new pod beside the old one.
//!
//! Only missing capacity is a reason to remove an old generation before the new one has started, and only from single
//! nodes: what the new generation has pulled on other nodes, it will pull there too. Refused pods ([`super::refusals`]) are no
//! reason, because nothing would replace the old generation, and neither is a node that the new pod's node selector excludes
//! or that the scheduler refuses for another reason: the capacity would be freed for nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::decision::Waiting;
use super::generation::Generation;
use super::generation::node_scope::NodeScope;
use super::generations::{Generations, Retiring};
use super::retiring::{HoldingPod, Need, Needed};
use crate::coverage::scheduler::is_excluded;
use crate::coverage::{Hold, ImageState, NoCapacity, PodState, Shortage};

/// How long a new pod waits for capacity before the old pod is removed. Meanwhile other workloads may end, and an
/// autoscaler may add a node.
pub const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// The same for a pod whose sandbox cannot be created. The cause may also be a broken network, which removing the old
/// pod would not fix. By this time such a network usually works again, or its node is no longer ready.
pub const ADDRESS_GRACE: SignedDuration = SignedDuration::from_mins(10);

/// An old generation is removed from one in this many nodes at a time, but at least from one.
const ONE_IN: usize = 20;

/// What to do and report about missing capacity.
#[derive(Default)]
pub struct CapacityPlan<'a> {
    /// Retiring generations, and the nodes that each is removed from.
    pub removals: Vec<(&'a Generation, BTreeMap<String, Shortage>)>,
    /// New pods that wait for capacity.
    pub waiting: Vec<Waiting>,
    /// When to check again if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// Finds nodes without capacity, and chooses the pods to remove.
pub fn find<'a>(context: &Context<'a>, generations: &Generations<'a>) -> CapacityPlan<'a> {
    let mut capacity = CapacityPlan::default();
    let Some(need) = generations.need.as_ref().filter(|_| !generations.retiring.is_empty()) else { return capacity };
    let full = FullNodes::new(need, generations, context.now);
    capacity.wake_at = full.wake_at;
    if full.pods.is_empty() {
        return capacity;
    }
    let mut freed = being_freed(need, generations);
    let mut handled: HashMap<&str, HashSet<&str>> = HashMap::new();
    // Remove the oldest generation first.
    for it in generations.retiring.iter().rev().filter(|it| it.needed.blocker.is_some()) {
        let group = it.generation.group.as_str();
        let handled = handled.entry(group).or_insert_with(|| full.empty_nodes(group));
        let removed = full.removals_of(it, &freed, handled);
        if !removed.is_empty() {
            freed.extend(removed.keys().copied());
            let nodes = removed.into_iter().map(|(node, shortage)| (node.to_owned(), shortage));
            capacity.removals.push((it.generation, nodes.collect()));
        }
    }
    capacity.waiting.extend(generations.newest.iter().filter_map(|newest| full.waiting(newest, generations, &freed)));
    capacity
}

/// The nodes where a pod is removed anyway, because its generation is deleted.
fn being_freed<'a>(need: &Need<'a>, generations: &Generations) -> BTreeSet<&'a str> {
    let older = generations.retiring.iter().filter(|it| it.needed.blocker.is_some()).map(|it| it.generation);
    let staying: HashSet<&str> = generations.newest.iter().copied().chain(older).map(|it| it.name.as_str()).collect();
    let deleted = need.pods().filter(|(_, it)| it.pod.node.is_some() && !staying.contains(&*it.pod.generation));
    deleted.map(|(node, _)| node).collect()
}

/// The maximum number of nodes that a generation is removed from for lack of capacity. Each takes a requirement of its
/// own in its DaemonSet.
const MAX_REMOVED: usize = 1000;

/// The nodes that have lacked capacity for a pod of a newest generation for longer than the grace period.
struct FullNodes<'n, 'a> {
    need: &'n Need<'a>,
    pods: BTreeMap<&'a str, Vec<(&'n HoldingPod<'a>, Shortage)>>,
    generations: &'n Generations<'a>,
    /// What all pods of a newest generation show, by its name.
    siblings: HashMap<&'a str, Siblings<'n>>,
    /// When the grace period of the next pod ends.
    wake_at: Option<Timestamp>,
}

impl<'n, 'a> FullNodes<'n, 'a> {
    /// Finds pods that wait for capacity.
    fn new(need: &'n Need<'a>, generations: &'n Generations<'a>, now: Timestamp) -> Self {
        let names = names(&generations.newest);
        let mut pods: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut wake_at: Option<Timestamp> = None;
        for (node, pod) in need.pods().filter(|(_, pod)| names.contains(&*pod.pod.generation)) {
            let Some(no_capacity) = pod.pod.no_capacity.as_ref().filter(|_| pod.holds_nothing()) else { continue };
            match grace_ends_at(no_capacity) {
                Some(at) if at <= now => pods.entry(node).or_default().push((pod, no_capacity.shortage)),
                at => wake_at = wake_at.into_iter().chain(at).min(),
            }
        }
        let waiting: HashSet<&str> = pods.values().flatten().map(|(it, _)| &*it.pod.generation).collect();
        let siblings = waiting.into_iter().map(|generation| (generation, Siblings::of(need, generation))).collect();
        Self { need, pods, generations, siblings, wake_at }
    }

    /// Reports that a pod waits for capacity on a node that keeps its old generation.
    fn waiting(&self, newest: &Generation, generations: &Generations, freed: &BTreeSet<&str>) -> Option<Waiting> {
        let needed = |node: &str| generations.retiring.iter().any(|it| it.needed.nodes.contains_key(node));
        let (node, shortage) = self.pods.iter().filter(|(node, _)| needed(node) && !freed.contains(**node)).find_map(
            |(node, waiting)| {
                let (_, shortage) = waiting.iter().find(|(it, _)| *it.pod.generation == *newest.name)?;
                Some((node, shortage))
            },
        )?;
        Some(Waiting::Capacity {
            group: newest.group.clone(),
            daemon_set: newest.name.clone(),
            node: (*node).to_owned(),
            shortage: *shortage,
        })
    }

    /// The nodes that a retiring generation is removed from now, and the resource that each is short of. `freed` are
    /// nodes that another generation is already being removed from. `handled` are those that lack images of the group until newer pods
    /// have pulled them; it grows by the ones that are chosen.
    fn removals_of(
        &self,
        retiring: &Retiring<'a>,
        freed: &BTreeSet<&str>,
        handled: &mut HashSet<&'a str>,
    ) -> BTreeMap<&'a str, Shortage> {
        let Retiring { generation, needed, .. } = retiring;
        let of_generation = |pod: &&HoldingPod| *pod.pod.generation == *generation.name;
        let mut removed = BTreeMap::new();
        let already_removed = match &generation.node_scope {
            NodeScope::Without(nodes) => nodes.len(),
            NodeScope::Everywhere | NodeScope::Only(_) => 0,
        };
        let budget = (needed.runs_on / ONE_IN).max(1).min(MAX_REMOVED.saturating_sub(already_removed));
        let mut budget = budget.saturating_sub(handled.len());
        for (node, waiting) in self.pods.iter().filter(|(node, _)| !freed.contains(**node)) {
            let (Some((_, shortage)), true) = (waiting.first(), self.need.on(node).any(|it| of_generation(&it))) else {
                continue;
            };
            match needed.nodes.get(node) {
                // The pod uses capacity although the node does not need it.
                None => drop(removed.insert(*node, *shortage)),
                // Several shards may have to leave a node before one new pod fits.
                Some(images) if (budget > 0 || handled.contains(node)) && self.may_remove(node, images) => {
                    budget = budget.saturating_sub(usize::from(handled.insert(*node)));
                    removed.insert(*node, *shortage);
                }
                Some(_) => {}
            }
        }
        removed
    }

    /// Whether a pod that waits on the node will pull all of the images: its siblings hold each of them, and none
    /// fails, nor does an init container of any of them.
    fn may_remove(&self, node: &str, images: &BTreeSet<Rc<str>>) -> bool {
        let usable = self.need.node(node).is_none_or(|node| node.ready && !node.deleting);
        let will_pull = |waiting: &HoldingPod, image: &Rc<str>| {
            let siblings = self.siblings.get(&*waiting.pod.generation);
            siblings.is_some_and(|it| it.all_start && it.held.contains(image) && !it.failed.contains(image))
        };
        let waiting = self.pods.get(node).into_iter().flatten();
        usable && waiting.into_iter().any(|(waiting, _)| images.iter().all(|image| will_pull(waiting, image)))
    }

    /// The nodes that hold nothing of some shard of the group that is being replaced.
    fn empty_nodes(&self, group: &str) -> HashSet<&'a str> {
        let replaced = self.generations.retiring.iter().filter(|it| it.needed.blocker.is_some());
        replaced.filter(|it| it.generation.group == group).flat_map(|it| self.empty_nodes_of(it)).collect()
    }

    /// The nodes that have a pod of the generation's successors but hold nothing: those that it was removed from and that have not
    /// caught up, and new nodes. A node that its successors' pods do not fit never catches up.
    fn empty_nodes_of(&self, retiring: &Retiring<'a>) -> Vec<&'a str> {
        let successors = self.successors(retiring.generation, &retiring.needed);
        let others = self.others(retiring.generation, &successors);
        let nodes: HashSet<&str> = self
            .need
            .pods()
            .filter(|(_, pod)| successors.contains(&*pod.pod.generation))
            .map(|(node, _)| node)
            .collect();
        let is_empty = |node: &&str| {
            let mut own = self.need.on(node).filter(|it| !others.contains(&*it.pod.generation));
            self.need.node(node).is_none_or(|it| it.ready && !it.deleting) && own.all(HoldingPod::holds_nothing)
        };
        let is_excluded = |node: &&str| {
            let mut own = self.need.on(node).filter(|it| successors.contains(&*it.pod.generation));
            own.all(|it| matches!(&it.pod.state, PodState::Unschedulable { message } if is_excluded(message)))
        };
        nodes.into_iter().filter(is_empty).filter(|node| !is_excluded(node)).collect()
    }

    /// The generations that have other images: those of other shards and groups.
    fn others(&self, generation: &Generation, successors: &HashSet<&str>) -> HashSet<&'a str> {
        let newest = names(&self.generations.newest);
        let retiring = self.generations.retiring.iter().map(|it| it.generation);
        let retiring = retiring.filter(|it| !it.is_of_same_shard(generation)).map(|it| it.name.as_str());
        newest.into_iter().filter(|newest| !successors.contains(newest)).chain(retiring).collect()
    }

    /// The generations that replace this one: the newest of its group or, if the group was removed from the list, those
    /// built with images that this one is still needed for. The state of other groups does not matter.
    fn successors(&self, generation: &Generation, needed: &Needed) -> HashSet<&'a str> {
        let newest = || self.generations.newest.iter().copied();
        let own = newest().find(|newest| newest.is_of_same_shard(generation));
        let by_images = || newest().filter(|newest| self.need.was_built_with_any_of(newest, needed)).collect();
        names(&own.map_or_else(by_images, |own| vec![own]))
    }
}

/// What all pods of a generation show.
#[derive(Default)]
struct Siblings<'n> {
    /// Whether no init container of any of them fails.
    all_start: bool,
    /// The images that any of them holds.
    held: HashSet<&'n Rc<str>>,
    /// Those that any of them failed to pull or to start.
    failed: HashSet<&'n Rc<str>>,
}

impl<'n> Siblings<'n> {
    fn of(need: &'n Need, generation: &str) -> Self {
        let mut siblings = Self { all_start: true, ..Self::default() };
        for (_, it) in need.pods().filter(|(_, it)| *it.pod.generation == *generation) {
            siblings.all_start &= it.pod.initialization.failure().is_none();
            for (form, image) in it.images() {
                match &image.state {
                    ImageState::Held => drop(siblings.held.insert(form)),
                    state if has_failed(state) => drop(siblings.failed.insert(form)),
                    _ => {}
                }
            }
        }
        siblings
    }
}

fn names<'a>(generations: &[&'a Generation]) -> HashSet<&'a str> {
    generations.iter().map(|generation| generation.name.as_str()).collect()
}

fn grace_ends_at(no_capacity: &NoCapacity) -> Option<Timestamp> {
    let grace = match no_capacity.shortage {
        Shortage::Pods | Shortage::Resources => GRACE,
        Shortage::Addresses => ADDRESS_GRACE,
    };
    no_capacity.since?.checked_add(grace).ok()
}

fn has_failed(state: &ImageState) -> bool {
    matches!(state, ImageState::Failed { .. } | ImageState::CannotStart { .. })
}

impl HoldingPod<'_> {
    fn holds_nothing(&self) -> bool {
        self.images().all(|(_, image)| image.state.hold() == Hold::None)
    }
}
