//! What a pod reports of an image that it does not hold.

use super::node_state::{NodeState, Why};
use crate::coverage::scheduler::{is_at_pod_limit, is_tainted, lacks_resources, scheduler_cause};
use crate::coverage::{CoveredImage, CoveringPod, FailureCause, ImageState, PodState};
use crate::plan::Generation;

/// The state of an image by its pod, and why. `wanted` stores causes that kubelets do not repeat between two attempts.
pub fn reported_by<'a>(
    pod: &'a CoveringPod,
    image: &'a CoveredImage,
    wanted: Option<&'a Generation>,
) -> (NodeState, Option<Why<'a>>) {
    match &pod.state {
        PodState::Live => {}
        PodState::Unschedulable { message } => return unschedulable(message),
        // The kubelet's reasons for a lack of capacity: `OutOfpods`, `OutOfcpu`, …
        PodState::Ended { reason, message } if reason.starts_with("OutOf") => {
            return (NodeState::NoCapacity, Some(Why { reason, message, init: None }));
        }
        PodState::Ended { reason, message } => {
            return (NodeState::Displaced, Some(Why { reason, message, init: None }));
        }
    }
    // What a pod reported of its images before it had to start again says nothing about now.
    if let (Some(failure), true) = (pod.initialization.failure(), image.state != ImageState::Held) {
        let FailureCause { reason, message } =
            failure.cause_or(wanted.and_then(|newest| newest.reported.init_cause_of(&failure.container)));
        return (NodeState::InitFailed, Some(Why { reason, message, init: Some(failure) }));
    }
    let why = image.state.cause_or(wanted.and_then(|newest| newest.reported.cause_of(&image.name)));
    let why = why.map(|FailureCause { reason, message }| Why { reason, message, init: None });
    match &image.state {
        ImageState::Waiting => (NodeState::Waiting, None),
        ImageState::Pulling | ImageState::Stopped => (NodeState::Pulling, None),
        ImageState::Interrupted { reason, message, .. } => {
            (NodeState::Pulling, Some(Why { reason, message, init: None }))
        }
        ImageState::Held => (NodeState::Warm, None),
        ImageState::Failed { .. } => (NodeState::Failed, why),
        ImageState::CannotStart { .. } => (NodeState::CannotStart, why),
    }
}

/// The state of an image whose pod the scheduler keeps off the node, and why, by its message.
pub fn unschedulable(message: &str) -> (NodeState, Option<Why<'_>>) {
    let state = match () {
        () if is_tainted(message) => NodeState::Tainted,
        () if is_at_pod_limit(message) || lacks_resources(message) => NodeState::NoCapacity,
        () => NodeState::Unschedulable,
    };
    (state, Some(Why { reason: "Unschedulable", message: scheduler_cause(message), init: None }))
}
