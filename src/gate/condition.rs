//! Whether the condition of a node has to be written. Pure.

use jiff::{SignedDuration, Timestamp};

use super::warmth::NodeWarmth;
use crate::coverage::ImagesReady;
use crate::summary::node_state::NodeState;

/// What the condition of a node is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCondition {
    /// Whether all images are there.
    pub is_warm: bool,
    /// One word for why.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// A condition that changes less often says what matters: that nodes are warm, or are not. Between two writes that do not say that a
/// node is warm, there are so many seconds.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// How old a message may be when there is another one.
pub const STALE: SignedDuration = SignedDuration::from_mins(5);

/// The reason of a condition.
pub fn reason(warmth: &NodeWarmth) -> &'static str {
    match warmth.behind.as_ref().map(|behind| behind.state) {
        _ if warmth.is_warm() => "Warm",
        None | Some(NodeState::Waiting | NodeState::Pulling | NodeState::Warm) => "Warming",
        Some(NodeState::NotReady | NodeState::Cordoned | NodeState::Deleting | NodeState::Tainted) => "Warming",
        Some(
            NodeState::InitFailed
            | NodeState::Failed
            | NodeState::CannotStart
            | NodeState::NoCapacity
            | NodeState::Excluded
            | NodeState::Unschedulable
            | NodeState::Displaced,
        ) => "Failing",
    }
}

/// What is to be done about the condition of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionWrite {
    /// Nothing.
    Nothing,
    /// Write it now.
    Now,
    /// Write it then, if it still differs.
    At(Timestamp),
}

/// Whether to write what is wanted, given what the node says now. At most three writes for a node that becomes warm.
pub fn due(current: Option<&ImagesReady>, wanted: &WantedCondition, now: Timestamp) -> ConditionWrite {
    let Some(current) = current else { return ConditionWrite::Now };
    let same_status = current.is_true == wanted.is_warm;
    if same_status && *current.reason == *wanted.reason && *current.message == *wanted.message {
        return ConditionWrite::Nothing;
    }
    if wanted.is_warm && !same_status {
        return ConditionWrite::Now;
    }
    let pause = if same_status && *current.reason == *wanted.reason { STALE } else { PAUSE };
    match current.written_at.and_then(|at| at.checked_add(pause).ok()) {
        // A clock that was set back delays nothing for long.
        Some(at) if now < at && current.written_at.is_some_and(|written| written <= now) => ConditionWrite::At(at),
        _ => ConditionWrite::Now,
    }
}
