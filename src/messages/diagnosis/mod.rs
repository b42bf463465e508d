//! What kubelets, runtimes, registries and schedulers say about a node → the cause in a few words, and the remedy. Pure.
//!
//! ```text
//! message ─► said: attempts without wrappers ─► operation: resolve, authorize, fetch, … ─► its cause ─► Diagnosis
//! ```
//! The operation comes first, because the same words mean something else in each. A message that nothing fits is passed on as it
//! is, without a remedy: a wrong remedy costs more than none.
//!
//! - [`cause`]: the result
//! - [`said`]: the parts of a message; [`operation`]: what the runtime was doing; [`registry`]: which host it asked
//! - [`pull`]: images that cannot be pulled, with [`image`], [`answer`], [`http_status`], [`network`] and [`storage`]
//! - [`start`], [`start_rules`]: containers that do not run
//! - [`scheduling`]: pods that find no node

mod answer;
mod cause;
mod http_status;
mod image;
mod network;
mod operation;
mod pull;
mod registry;
mod said;
mod scheduling;
mod start;
mod start_rules;
mod storage;

pub use cause::{Diagnosis, ListPart};
use said::{attempts, innermost};

use super::excluded_nodes;
use crate::coverage::OMITTED;
use crate::summary::node_state::NodeState;

/// Why an image is behind on nodes, from the reason and the message of the kubelet or the scheduler. `reference` says which
/// registry is meant if the message does not.
pub fn explain(state: NodeState, reason: &str, message: &str, reference: &str) -> Diagnosis {
    let said = match message {
        OMITTED => "(too many different messages; see the pod)",
        message => innermost(message),
    };
    let said = Diagnosis { what: said.to_owned(), ..Diagnosis::default() };
    match state {
        NodeState::Failed => pulling(reason, message, reference).unwrap_or(said),
        // The kubelet tries again soon, so nothing has to be done yet.
        NodeState::Pulling => Diagnosis { remedy: None, ..pulling(reason, message, reference).unwrap_or(said) },
        NodeState::CannotStart => attempts(message).iter().find_map(|it| start::explain(reason, it)).unwrap_or(said),
        NodeState::NoCapacity => Diagnosis { remedy: Some(scheduling::free_capacity(reason, message)), ..said },
        NodeState::Displaced => scheduling::displaced(reason, said),
        NodeState::Excluded => Diagnosis {
            what: excluded_nodes::excluded(message),
            remedy: Some(excluded_nodes::KEEP_OR_REMOVE),
            part: None,
        },
        // The scheduler's many causes have no other remedy in common.
        NodeState::Unschedulable => Diagnosis { remedy: Some("see the pod: kubectl describe pod"), ..said },
        NodeState::Waiting if reason == "PodNotCreated" => {
            Diagnosis { what: "the DaemonSet controller has not created the pod yet".to_owned(), ..said }
        }
        NodeState::Tainted => {
            Diagnosis { remedy: Some("add a toleration to the group if its images belong there"), ..said }
        }
        _ => said,
    }
}

/// The attempt that got furthest says most: an earlier one only shows credentials that do not fit.
fn pulling(reason: &str, message: &str, reference: &str) -> Option<Diagnosis> {
    let attempts = attempts(message);
    let explained = attempts.iter().map(|said| pull::explain(reason, said, reference));
    let (_, diagnosis) =
        explained.filter(|(_, diagnosis)| diagnosis.is_some()).max_by_key(|(operation, _)| *operation)?;
    let diagnosis = diagnosis?;
    let several = if attempts.len() > 1 { " (several credentials were tried, and one got this far)" } else { "" };
    Some(Diagnosis { what: format!("{}{several}", diagnosis.what), ..diagnosis })
}

#[cfg(test)]
mod tests;
