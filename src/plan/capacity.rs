//! Nodes without capacity for a new pod beside the old one.
//!
//! Only missing capacity is a reason to remove an old generation before the new one has started, and only from single
//! nodes: what the new generation has pulled on other nodes, it will pull there too. Refused pods ([`super::refusals`]) are no
//! reason, because nothing would replace the old generation, and neither is a node that the new pod's node selector excludes
//! or that the scheduler refuses for another reason: the capacity would be freed for nothing.
//!
//! - [`together`]: old pods that leave a node together, for several new ones

mod together;

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
    let mut leaving = Leaving { freed: being_freed(need, generations), ..Leaving::default() };
    // Remove the oldest generation first.
    for it in generations.retiring.iter().rev().filter(|it| it.needed.blocker.is_some()) {
        let removed = full.removals_of(it, &mut leaving);
        if !removed.is_empty() {
            let nodes = removed.into_iter().map(|(node, shortage)| (node.to_owned(), shortage));
            capacity.removals.push((it.generation, nodes.collect()));
        }
    }
    let freed = &leaving.freed;
    capacity.waiting.extend(generations.newest.iter().filter_map(|newest| full.waiting(newest, generations, freed)));
    // Of what is the same for the shards of a group, the first is reported: what does not pass by itself.
    capacity.waiting.sort_by_key(|it| !matches!(it, Waiting::Capacity { old_stays: true, .. }));
    capacity
}

/// The nodes that generations are removed from in this plan.
#[derive(Default)]
struct Leaving<'a> {
    /// All of them.
    freed: BTreeSet<&'a str>,
    /// By group: the nodes that lack images of it until newer pods have pulled them, and those that are chosen.
    handled: HashMap<&'a str, HashSet<&'a str>>,
    /// By group: the nodes that all of its retiring generations leave together.
    together: HashSet<(&'a str, &'a str)>,
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
        let mut pods: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut wake_at: Option<Timestamp> = None;
        for (node, pod) in generations.newest.iter().flat_map(|newest| need.pods_of(&newest.name)) {
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
        let nodes = self.pods.iter().filter(|(node, _)| needed(node) && !freed.contains(**node));
        let nodes = nodes.filter_map(|(node, waiting)| {
            let (_, shortage) = waiting.iter().find(|(it, _)| *it.pod.generation == *newest.name)?;
            Some((node, shortage, self.is_too_small(node, &self.needed_on(node, &newest.group))))
        });
        let (node, shortage, old_stays) = nodes.min_by_key(|(_, _, old_stays)| !old_stays)?;
        Some(Waiting::Capacity {
            group: newest.group.clone(),
            daemon_set: newest.name.clone(),
            node: (*node).to_owned(),
            shortage: *shortage,
            old_stays,
        })
    }

    /// The nodes that a retiring generation is removed from now, and the resource that each is short of.
    fn removals_of(&self, retiring: &Retiring<'a>, leaving: &mut Leaving<'a>) -> BTreeMap<&'a str, Shortage> {
        let mut removed = BTreeMap::new();
        for (node, waiting) in self.pods.iter().filter(|(node, _)| self.has_pod_of(retiring, node)) {
            let Some((_, shortage)) = waiting.first() else { continue };
            if self.is_removed(retiring, node, leaving) {
                removed.insert(*node, *shortage);
            }
        }
        leaving.freed.extend(removed.keys().copied());
        removed
    }

    /// Whether a retiring generation is removed from the node now.
    fn is_removed(&self, retiring: &Retiring<'a>, node: &'a str, leaving: &mut Leaving<'a>) -> bool {
        let group = retiring.generation.group.as_str();
        let is_freed = leaving.freed.contains(node);
        // A pod that the node does not need uses capacity for nothing.
        let Some(images) = retiring.needed.nodes.get(node) else { return !is_freed };
        if is_freed {
            return leaving.together.contains(&(group, node));
        }
        let handled = leaving.handled.entry(group).or_insert_with(|| self.empty_nodes(group));
        // Several shards may have to leave a node before one new pod fits.
        let within_limit = |it: &Retiring| handled.contains(node) || handled.len() < most_at_a_time(it);
        let all = self.needed_on(node, group);
        let together = all.iter().all(|it| within_limit(it)) && self.may_remove_together(node, &all);
        let may_leave = together || (within_limit(retiring) && self.may_remove(node, images));
        if !may_leave {
            return false;
        }
        handled.insert(node);
        if together {
            leaving.together.insert((group, node));
        }
        true
    }

    /// The retiring generations of a group that have a pod on the node and are needed there.
    fn needed_on(&self, node: &str, group: &str) -> Vec<&'n Retiring<'a>> {
        let of_group = self.generations.retiring.iter().filter(|it| it.generation.group == group);
        of_group.filter(|it| it.needed.nodes.contains_key(node) && self.has_pod_of(it, node)).collect()
    }

    fn has_pod_of(&self, retiring: &Retiring, node: &str) -> bool {
        self.need.on(node).any(|it| *it.pod.generation == *retiring.generation.name)
    }

    /// Whether one pod that waits on the node will pull all of the images.
    fn may_remove(&self, node: &str, images: &BTreeSet<Rc<str>>) -> bool {
        self.is_usable(node) && self.waiting_on(node).any(|waiting| images.iter().all(|it| self.will_pull(waiting, it)))
    }

    fn is_usable(&self, node: &str) -> bool {
        self.need.node(node).is_none_or(|node| node.ready && !node.deleting)
    }

    /// The pods that have waited on the node for longer than the grace period.
    fn waiting_on(&self, node: &str) -> impl Iterator<Item = &'n HoldingPod<'a>> {
        self.pods.get(node).into_iter().flatten().map(|(pod, _)| *pod)
    }

    /// Whether a waiting pod will pull the image: its siblings hold it, and none fails to, nor does an init container of any of them.
    fn will_pull(&self, waiting: &HoldingPod, image: &Rc<str>) -> bool {
        let siblings = self.siblings.get(&*waiting.pod.generation);
        siblings.is_some_and(|it| it.all_start && it.held.contains(image) && !it.failed.contains(image))
    }

    /// The nodes that hold nothing of some shard of the group that is being replaced.
    fn empty_nodes(&self, group: &str) -> HashSet<&'a str> {
        let replaced = self.generations.retiring.iter().filter(|it| it.needed.blocker.is_some());
        replaced.filter(|it| it.generation.group == group).flat_map(|it| self.empty_nodes_of(it)).collect()
    }

    /// The nodes that have pods of the generation's successors but hold nothing of one of them: those that it was removed from and
    /// that have not caught up, and new nodes. A node that its successors' pods do not fit never catches up.
    fn empty_nodes_of(&self, retiring: &Retiring<'a>) -> Vec<&'a str> {
        let successors = self.successors(retiring.generation, &retiring.needed);
        let others = self.others(retiring.generation, &successors);
        let is_kept_off =
            |it: &HoldingPod| matches!(&it.pod.state, PodState::Unschedulable { message } if is_excluded(message));
        let pods = successors.iter().flat_map(|successor| self.need.pods_of(successor));
        let nodes: HashSet<&str> = pods.filter(|(_, pod)| !is_kept_off(pod)).map(|(node, _)| node).collect();
        let is_empty = |node: &&str| {
            let own = self.need.on(node).filter(|it| !others.contains(&*it.pod.generation));
            let (new, old): (Vec<_>, Vec<_>) = own.partition(|it| successors.contains(&*it.pod.generation));
            // One of several that cannot pull any image says so by that. It must not keep the others from any node.
            let lacks_its_part = new.iter().any(|it| !is_kept_off(it) && it.is_yet_to_hold());
            self.is_usable(node)
                && old.into_iter().all(HoldingPod::holds_nothing)
                && (lacks_its_part || new.into_iter().all(HoldingPod::holds_nothing))
        };
        nodes.into_iter().filter(is_empty).collect()
    }

    /// The generations that have other images: those of other shards and groups.
    fn others(&self, generation: &Generation, successors: &HashSet<&str>) -> HashSet<&'a str> {
        let newest = names(&self.generations.newest);
        let retiring = self.generations.retiring.iter().map(|it| it.generation);
        let retiring = retiring.filter(|it| !it.is_of_same_shard(generation)).map(|it| it.name.as_str());
        newest.into_iter().filter(|newest| !successors.contains(newest)).chain(retiring).collect()
    }

    /// The generations that replace this one: the newest of its shard and, of its group, those built with images that this one is still
    /// needed for. If its shard no longer exists, they may be of any group. The state of other groups does not matter.
    fn successors(&self, generation: &Generation, needed: &Needed) -> HashSet<&'a str> {
        let newest = || self.generations.newest.iter().copied();
        let lasts = newest().any(|newest| newest.is_of_same_shard(generation));
        let takes_over = |newest: &&Generation| {
            (!lasts || newest.group == generation.group) && self.need.was_built_with_any_of(newest, needed)
        };
        let successors: Vec<_> =
            newest().filter(|newest| newest.is_of_same_shard(generation) || takes_over(newest)).collect();
        names(&successors)
    }
}

/// How many nodes a generation may be removed from at a time.
fn most_at_a_time(retiring: &Retiring) -> usize {
    let already_removed = match &retiring.generation.node_scope {
        NodeScope::Without(nodes) => nodes.len(),
        NodeScope::Everywhere | NodeScope::Only(_) => 0,
    };
    (retiring.needed.runs_on / ONE_IN).max(1).min(MAX_REMOVED.saturating_sub(already_removed))
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
        for (_, it) in need.pods_of(generation) {
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

    /// Whether it holds nothing, and may yet.
    fn is_yet_to_hold(&self) -> bool {
        self.holds_nothing() && self.images().any(|(_, image)| image.state.is_to_come())
    }
}
