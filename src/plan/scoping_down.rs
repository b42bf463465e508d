//! When a retiring generation is scoped down to the few nodes that still need it, so that all others get their pod slot back.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::generation::Generation;
use super::generation::node_scope::NodeScope;
use super::retiring::Needed;

/// Healthy nodes have a rollout's images this long after their start delay, more or less. Scoping down earlier would write the
/// DaemonSet again and again at the end of every rollout, for nodes that are about to be warm anyway.
pub const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// So many nodes are few: each takes a term of its own in the DaemonSet, and each such term repeats the group's own requirements.
const MOST: usize = 50;

/// What a generation is to be scoped down to, if its need has become that small.
///
/// Each scoping down at least halves the nodes that it is on, so that a generation is scoped down a handful of times at most,
/// however slowly its need shrinks.
pub fn scoped_down(generation: &Generation, needed: &Needed) -> Option<NodeScope> {
    // It may be needed on more nodes than are known.
    if needed.awaits_pods {
        return None;
    }
    let count = needed.nodes.len();
    let on = match &generation.node_scope {
        NodeScope::Only(nodes) => nodes.len(),
        NodeScope::Everywhere | NodeScope::Without(_) => needed.runs_on,
    };
    let names = || needed.nodes.keys().map(|node| (*node).to_owned()).collect::<BTreeSet<_>>();
    (count > 0 && count <= MOST && count * 2 <= on).then(|| NodeScope::Only(names()))
}

/// When scoping down may begin; `None` where it may. That is when in all rollouts under way every node's turn has come and
/// [`GRACE`] has passed. Rollouts that are dated in the future are dated by a clock that was set back since: nobody waits for
/// these.
pub fn begins_at(newest: &[&Generation], now: Timestamp) -> Option<Timestamp> {
    let ends = newest.iter().filter_map(|generation| start_delays_end(generation, now));
    ends.map(|end| end.checked_add(GRACE).unwrap_or(Timestamp::MAX)).max().filter(|at| now < *at)
}

fn start_delays_end(generation: &Generation, now: Timestamp) -> Option<Timestamp> {
    let record = generation.record.as_ref();
    let dates = record.map(|record| record.epoch).into_iter().chain(generation.created);
    let begun = dates.filter(|date| *date <= now).min()?;
    let spread = record.map_or(0, |record| record.spread_seconds);
    Some(begun.checked_add(SignedDuration::from_secs(spread.try_into().unwrap_or(i64::MAX))).unwrap_or(Timestamp::MAX))
}
