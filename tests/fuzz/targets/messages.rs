//! What kubelets and runtimes say: the reason on the first line, the message below.

use kube_prepull::messages::diagnosis::explain;
use kube_prepull::summary::node_state::NodeState;

const STATES: [NodeState; 8] = [
    NodeState::InitFailed,
    NodeState::Failed,
    NodeState::CannotStart,
    NodeState::NoCapacity,
    NodeState::Excluded,
    NodeState::Unschedulable,
    NodeState::Displaced,
    NodeState::Pulling,
];

/// Explains it in every state. A remedy is words, and an explanation is not much longer than what it explains.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (reason, message) = text.split_once('\n').unwrap_or(("ErrImagePull", &text));
    for state in STATES {
        let diagnosis = explain(state, reason, message, "registry.example.com/team/app:1.0");
        assert!(diagnosis.remedy.is_none_or(|remedy| !remedy.trim().is_empty()), "{diagnosis:?}");
        assert!(diagnosis.what.to_string().len() <= message.len() * 2 + 1000, "{diagnosis:?}");
    }
}
