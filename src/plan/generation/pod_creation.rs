//! Pods that the DaemonSet controller has yet to create.
//!
//! It creates them in batches, and needs minutes for thousands of nodes if its client is limited to a few requests a second. So
//! a node without a pod means something only if no pod has come for a while.

use jiff::{SignedDuration, Timestamp};

use super::Generation;
use super::conditions::Condition;

/// How long a DaemonSet may lack pods without getting any before that is unusual. The DaemonSet controller needs seconds for a
/// batch, and half a minute to find out that another replica of it has to take over.
pub const GRACE: SignedDuration = SignedDuration::from_mins(2);

impl Generation {
    /// When the lack of a pod becomes unusual. `youngest_pod` is the creation time of the generation's youngest pod. `None` if
    /// nothing shows since when pods could have come.
    pub fn pods_due_at(&self, youngest_pod: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let restored_at = self.restores.as_ref().map(|restores| restores.at).filter(|at| *at <= now);
        let since = self.created.max(restored_at).max(youngest_pod)?;
        since.checked_add(GRACE).ok()
    }

    /// Whether the lack of a pod on a node that joined at that time is unusual: the DaemonSet controller has seen the node and
    /// still creates no pod, or was reported to be refused.
    pub fn is_overdue(&self, joined: Option<Timestamp>, youngest_pod: Option<Timestamp>, now: Timestamp) -> bool {
        if self.is_reported_refused() {
            return true;
        }
        // Otherwise it would have counted a node that should have a pod and has none.
        if self.scheduled.is_some_and(|scheduled| scheduled.complete) {
            return false;
        }
        self.pods_due_at(youngest_pod.max(joined), now).is_none_or(|at| at <= now)
    }

    fn is_reported_refused(&self) -> bool {
        let reported = self.reported.conditions.get(&Condition::PodsRefused);
        reported.is_some_and(|reported| !reported.extents.is_empty())
    }
}
