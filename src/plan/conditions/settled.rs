//! Whether the pods of a rollout have done what they can: the rule by which a rollout ends.

use jiff::{SignedDuration, Timestamp};

use crate::coverage::{CoveringPod, ImageState, PodState};
use crate::plan::generation::Record;
use crate::plan::refresh::start_delays_end;

/// How long a pod that cannot try its images is waited for: as long as one without capacity keeps the old one.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// Whether the pods of a rollout have done what they can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// They have not. They may have at that time, if nothing changes before.
    No(Option<Timestamp>),
    /// Some of them cannot try their images, and all others have tried theirs.
    WithoutSome,
    /// All have tried all images.
    All,
}

impl Settled {
    /// Looks at all pods. Each comes with whether an init container of it fails.
    pub fn of<'a>(pods: impl Iterator<Item = (&'a CoveringPod, bool)>, record: &Record, now: Timestamp) -> Self {
        let mut until = None;
        for (pod, cannot_start) in pods.filter(|(pod, _)| !has_tried(pod)) {
            let Some(at) = given_up_at(pod, cannot_start, record) else { return Self::No(None) };
            until = until.max(Some(at));
        }
        match until {
            None => Self::All,
            Some(at) if now < at => Self::No(Some(at)),
            Some(_) => Self::WithoutSome,
        }
    }
}

/// Failing images do not count, because kubelets retry them forever.
fn has_tried(pod: &CoveringPod) -> bool {
    let ahead = |state: &ImageState| state.is_to_come() || *state == ImageState::Stopped;
    pod.state == PodState::Live && !pod.images.iter().any(|image| ahead(&image.state))
}

/// From when on nothing is expected of a pod that cannot try its images; `None` if it may soon, or may soon be replaced.
fn given_up_at(pod: &CoveringPod, cannot_start: bool, record: &Record) -> Option<Timestamp> {
    let no_capacity = pod.no_capacity.as_ref().map(|it| it.since.or(pod.created));
    let since = match &pod.state {
        PodState::Live if cannot_start => pod.created,
        PodState::Live => return None,
        PodState::Unschedulable { .. } => no_capacity.unwrap_or(pod.created),
        // The DaemonSet controller replaces it at once unless the node has just refused another one.
        PodState::Ended { .. } => no_capacity?,
    };
    let patience_ends = since.unwrap_or(record.epoch).checked_add(PATIENCE).ok()?;
    Some(patience_ends.max(start_delays_end(record.epoch, record.spread_seconds)))
}
