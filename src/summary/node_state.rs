//! The state of one image on one node.

use serde::{Deserialize, Serialize};

use crate::coverage::InitFailure;

/// The state of an image on a node, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeState {
    /// An init container of the pod fails, so the kubelet pulls none of its images.
    InitFailed,
    /// It could not be pulled.
    Failed,
    /// It was pulled, but its container does not run, so the image may not be held.
    CannotStart,
    /// The node has no capacity for the pod.
    NoCapacity,
    /// Admission added a node selector to the pods that the node does not match.
    Excluded,
    /// The scheduler keeps the pod off the node for another reason than capacity or a taint.
    Unschedulable,
    /// The pod was evicted or has ended, or it is missing.
    Displaced,
    /// After the pod started, the node got a taint that keeps a new pod away.
    Tainted,
    /// The kubelet pulls it, or will next.
    Pulling,
    /// The node's start delay is not over, its pod is not created yet, or no generation with the image has started.
    Waiting,
    /// A running container of any generation holds it.
    Warm,
    /// The node is not ready. It does not count.
    NotReady,
    /// The node is cordoned, and the image is not warm there. It does not count.
    Cordoned,
    /// The node is being deleted. It does not count.
    Deleting,
}

impl NodeState {
    /// All states, with their names in JSON.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::InitFailed, "initFailed"),
        (Self::Failed, "failed"),
        (Self::CannotStart, "cannotStart"),
        (Self::NoCapacity, "noCapacity"),
        (Self::Excluded, "excluded"),
        (Self::Unschedulable, "unschedulable"),
        (Self::Displaced, "displaced"),
        (Self::Tainted, "tainted"),
        (Self::Pulling, "pulling"),
        (Self::Waiting, "waiting"),
        (Self::Warm, "warm"),
        (Self::NotReady, "notReady"),
        (Self::Cordoned, "cordoned"),
        (Self::Deleting, "deleting"),
    ];

    /// Whether the node is one of those on which the image should be warm.
    pub fn counts(self) -> bool {
        !matches!(self, Self::NotReady | Self::Cordoned | Self::Deleting)
    }

    /// Whether the image should be warm there and is not.
    pub fn is_behind(self) -> bool {
        self.counts() && self != Self::Warm
    }
}

/// Why an image is not warm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Why<'a> {
    /// The kubelet's or the scheduler's word, or one of:
    /// - `Missing`: the DaemonSet has no pod there, for longer than usual
    /// - `PodNotCreated`: it has none yet
    /// - `NodeSelector`: the message is the label that admission requires and the node lacks
    /// - `Altered`: the message is the field manager that changed the DaemonSet, or empty if nobody knows
    pub reason: &'a str,
    /// The message of the registry, the runtime or the scheduler; may be empty.
    pub message: &'a str,
    /// The init container that fails, if the reason and the message are about one.
    pub init: Option<&'a InitFailure>,
}

/// One image on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOnNode<'a> {
    /// The node.
    pub node: &'a str,
    /// Its architecture, if known.
    pub architecture: Option<&'a str>,
    /// The state of the image there.
    pub state: NodeState,
    /// Why it is not warm, if there is more to say.
    pub why: Option<Why<'a>>,
    /// If only an older generation holds it: why the newest one cannot.
    pub not_renewed: Option<(NodeState, Why<'a>)>,
    /// The generations that hold it, the newest first.
    pub held: Vec<Held<'a>>,
}

/// What a generation holds of an image on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// The name of the generation's DaemonSet.
    pub generation: &'a str,
    /// The digest that the runtime reports, without the image's name; `None` if it reports none.
    pub digest: Option<&'a str>,
}

/// The number of nodes in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([usize; NodeState::ALL.len()]);

impl Counts {
    /// How many nodes are in that state.
    pub fn of(&self, state: NodeState) -> usize {
        self.0[state as usize]
    }

    /// How many nodes there are on which the image should be warm.
    pub fn total(&self) -> usize {
        NodeState::ALL.iter().filter(|(state, _)| state.counts()).map(|(state, _)| self.of(*state)).sum()
    }

    /// How many of these are warm.
    pub fn warm(&self) -> usize {
        self.of(NodeState::Warm)
    }
}

impl FromIterator<NodeState> for Counts {
    fn from_iter<I: IntoIterator<Item = NodeState>>(states: I) -> Self {
        let mut counts = Self::default();
        states.into_iter().for_each(|state| counts.0[state as usize] += 1);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_place_and_its_name_in_json() {
        for (index, (state, name)) in NodeState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index);
            assert_eq!(serde_json::to_value(state).expect("a name"), name);
        }
    }

    #[test]
    fn nodes_that_cannot_be_blamed_do_not_count() {
        let counts: Counts = NodeState::ALL.into_iter().map(|(state, _)| state).collect();
        assert_eq!((counts.total(), counts.warm()), (11, 1));
    }
}
