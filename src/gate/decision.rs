//! Whether a node is free.

use jiff::{SignedDuration, Timestamp};

use super::warmth::NodeWarmth;
use crate::coverage::Node;
use crate::list::config::NodeGate;

/// A new node gets some of its labels only after it is ready, for example those that say which devices it has. So as long as a group may
/// still come to it by such a label, it is freed only when it has been ready for so long.
pub const LABELLING: SignedDuration = SignedDuration::from_secs(20);

/// What a list with that taint says of a node.
#[derive(Clone, Copy, Debug)]
pub struct ListOnNode<'a> {
    /// The name of the list.
    pub list: &'a str,
    /// Its gate.
    pub gate: &'a NodeGate,
    /// How far its images are there; `None` if it has none for the node.
    pub warmth: Option<&'a NodeWarmth>,
    /// Whether another label of the node may bring further groups of the list.
    pub may_grow: bool,
}

/// What becomes of a node that is gated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeDecision<'a> {
    /// It waits, at most until that time.
    Waits {
        /// When it is freed all the same.
        until: Timestamp,
    },
    /// It is freed.
    Free(Freed<'a>),
}

/// Why a node is freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freed<'a> {
    /// Every list that has images for it is warm there.
    Warm,
    /// No list is for it.
    NotNeeded,
    /// It is not warm for these lists, but its time is over.
    TimedOut {
        /// The lists, by name. None if no list names the taint.
        lists: Vec<(&'a str, NodeWarmth)>,
    },
}

/// Decides about a node, from all lists that name its taint.
pub fn decide<'a>(node: &Node, lists: &[ListOnNode<'a>], now: Timestamp) -> NodeDecision<'a> {
    let concerned = lists.iter().filter_map(|it| Some((it, it.warmth?)));
    let mut cold = concerned.clone().filter(|(_, warmth)| !warmth.is_warm()).peekable();
    let in_time = |timeout: SignedDuration| deadline(node, timeout).filter(|deadline| now < *deadline);
    if cold.peek().is_some() {
        return match cold.clone().filter_map(|(it, _)| in_time(it.gate.timeout)).max() {
            Some(until) => NodeDecision::Waits { until },
            None => {
                let lists = cold.map(|(it, warmth)| (it.list, warmth.clone())).collect();
                NodeDecision::Free(Freed::TimedOut { lists })
            }
        };
    }
    let freed = if concerned.count() > 0 { Freed::Warm } else { Freed::NotNeeded };
    if freed == Freed::Warm && !lists.iter().any(|it| it.may_grow) {
        return NodeDecision::Free(freed);
    }
    let longest = lists.iter().map(|it| it.gate.timeout).max();
    let settled_at = node.ready_since.and_then(|since| since.checked_add(LABELLING).ok());
    match (in_time(longest.unwrap_or(NodeGate::DEFAULT_TIMEOUT)), settled_at) {
        (None, _) if lists.is_empty() => NodeDecision::Free(Freed::TimedOut { lists: Vec::new() }),
        // A list that names the taint may just be about to be created.
        (Some(until), _) if lists.is_empty() => NodeDecision::Waits { until },
        (Some(until), Some(settled_at)) if now < settled_at => NodeDecision::Waits { until: until.min(settled_at) },
        (Some(until), None) => NodeDecision::Waits { until },
        _ => NodeDecision::Free(freed),
    }
}

/// When a node is freed at the latest. `None` if it does not say when it was created: then its time is over, because nothing may keep a
/// node closed for ever.
fn deadline(node: &Node, timeout: SignedDuration) -> Option<Timestamp> {
    node.created?.checked_add(timeout).ok()
}
