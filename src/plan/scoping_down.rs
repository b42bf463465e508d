//! Scopes a retiring generation down to the few nodes that still need it, which frees a pod slot on all others.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::generation::Generation;
use super::generation::node_scope::NodeScope;
use super::retiring::Needed;

/// Healthy nodes usually have a rollout's images this long after their start delay. Scoping down earlier would write
/// the DaemonSet repeatedly at the end of every rollout, for nodes that are about to be warm anyway.
pub const GRACE: SignedDuration = SignedDuration::from_mins(2);

/// The maximum number of nodes to scope down to. Each takes a term of its own in the DaemonSet, which repeats the
/// group's requirements.
const MAX_NODES: usize = 50;

/// The scope for a generation that few nodes need.
///
/// Each step at least halves the number of nodes, so a generation is scoped down only a few times, however slowly its
/// nodes catch up.
pub fn target_scope(generation: &Generation, needed: &Needed) -> Option<NodeScope> {
    // More nodes than known may need it.
    if needed.awaits_pods {
        return None;
    }
    let count = needed.nodes.len();
    let on = match &generation.node_scope {
        NodeScope::Only(nodes) => nodes.len(),
        NodeScope::Everywhere | NodeScope::Without(_) => needed.runs_on,
    };
    let names = || needed.nodes.keys().map(|node| (*node).to_owned()).collect::<BTreeSet<_>>();
    (count > 0 && count <= MAX_NODES && count * 2 <= on).then(|| NodeScope::Only(names()))
}

/// When scoping down may start, or `None` if it may start now: [`GRACE`] after all start delays of the current
/// rollouts. A rollout with a date in the future comes from a clock that was set back since, so it delays nothing.
pub fn starts_at(newest: &[&Generation], now: Timestamp) -> Option<Timestamp> {
    let ends = newest.iter().filter_map(|generation| start_delays_end(generation, now));
    ends.map(|end| end.checked_add(GRACE).unwrap_or(Timestamp::MAX)).max().filter(|at| now < *at)
}

fn start_delays_end(generation: &Generation, now: Timestamp) -> Option<Timestamp> {
    let record = generation.record.as_ref();
    let dates = record.map(|record| record.epoch).into_iter().chain(generation.created);
    let started = dates.filter(|date| *date <= now).min()?;
    let spread = record.map_or(0, |record| record.spread_seconds);
    Some(
        started.checked_add(SignedDuration::from_secs(spread.try_into().unwrap_or(i64::MAX))).unwrap_or(Timestamp::MAX),
    )
}
