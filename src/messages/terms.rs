//! The words for states: the types themselves say nothing to users.

use std::fmt;

use crate::coverage::Shortage;
use crate::summary::node_state::NodeState;

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InitFailed => "init container fails",
            Self::Failed => "cannot be pulled",
            Self::CannotStart => "pulled, but cannot start",
            Self::NoCapacity => "no capacity",
            Self::Excluded => "excluded",
            Self::Unschedulable => "unschedulable",
            Self::Displaced => "displaced",
            Self::Tainted => "tainted",
            Self::Pulling => "pulling",
            Self::Waiting => "waiting",
            Self::Warm => "warm",
            Self::NotReady => "not ready",
            Self::Cordoned => "cordoned",
            Self::Deleting => "being deleted",
        })
    }
}

/// What a node has too little of.
pub fn shortage(shortage: Shortage) -> &'static str {
    match shortage {
        Shortage::Pods => "its pod limit is reached",
        Shortage::Resources => "too little CPU, memory or another resource is free",
        Shortage::Addresses => "it has no address for the pod, or cannot create its sandbox",
    }
}
