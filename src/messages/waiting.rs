//! What waits.

use super::{Message, Reason, first_few, shortage};
use crate::plan::decision::Waiting;

/// Reports what waits, and for what.
pub fn waiting(waiting: &Waiting) -> Message {
    Message::new(Reason::Waiting, subject(waiting), note(waiting))
}

/// What waits, without what changes while it waits: nodes, numbers and times.
fn subject(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Generations { group, .. } => format!("rollout of {group}"),
        Waiting::Clock { group, .. } => format!("clock of {group}"),
        Waiting::TagCheck { group, .. } => format!("tag check of {group}"),
        Waiting::Capacity { group, .. } => format!("capacity of {group}"),
        Waiting::Unadopted { daemon_set } => format!("adoption of {daemon_set}"),
    }
}

fn note(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Generations { group, refresh, moving, unavailable } => {
            let what = if *refresh { "refresh" } else { "edit" };
            let kept = match unavailable.is_empty() {
                true => String::new(),
                false => format!(
                    "; some of them stay for nodes that are not ready, or on which no new pod can start (taints, capacity, node \
                     selectors, a failing init container): {}",
                    first_few(unavailable, ", ", "")
                ),
            };
            format!(
                "group {group}: the newest {what} waits because {moving} of its generations are still rolling out{kept}"
            )
        }
        Waiting::Clock { group, until } => format!(
            "group {group}: the last rollout has a timestamp in the future ({until}), so scheduled refreshes are paused until \
             then; check the clocks, or run `kubectl prepull refresh`"
        ),
        Waiting::TagCheck { group, daemon_set, architectures } => {
            let of = match architectures.is_empty() {
                true => String::new(),
                false => format!(" of the architecture {}", architectures.join(", ")),
            };
            format!(
                "group {group}: a refresh waits because no node{of} can run the tag check; it needs a ready node of the group \
                 that is neither cordoned nor tainted; the DaemonSet {daemon_set} keeps its images meanwhile"
            )
        }
        Waiting::Capacity { group, daemon_set, node, shortage: why, old_stays } => {
            let then = match old_stays {
                true => {
                    "the old one stays there, because its images are in several new pods, and those that wait there need more than it \
                     would free; free capacity on these nodes"
                }
                false => "the old one leaves them a few at a time once other nodes show that the images can be pulled",
            };
            format!(
                "group {group}: some nodes have no capacity for a pod of the DaemonSet {daemon_set} beside the old one, such as \
                 {node} ({}); {then}",
                shortage(*why)
            )
        }
        Waiting::Unadopted { daemon_set } => format!(
            "the DaemonSet {daemon_set} seems to belong to kubernetes-image-puller, but no list contains any of its images, so \
             it was left alone; delete it if nobody needs it"
        ),
    }
}
