//! What was written and is not observed yet, so that it is not written again.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::observed::GateFacts;
use crate::coverage::ImagesReady;
use crate::gate::condition::WantedCondition;
use crate::list::config::TaintKey;

/// A watch is never so far behind. If it is, something is written once more.
const LONGEST: Duration = Duration::from_secs(60);

/// What this process has written lately.
#[derive(Debug, Default)]
pub struct Written {
    /// Taints that were removed, by the UIDs of the nodes.
    removed: HashMap<(String, TaintKey), Instant>,
    /// Conditions, by the names of the nodes; `None` if it was removed.
    conditions: HashMap<String, (Option<ImagesReady>, Instant)>,
}

impl Written {
    /// Notes that a taint was removed.
    pub fn removed(&mut self, uid: &str, taint: &TaintKey) {
        self.removed.insert((uid.to_owned(), taint.clone()), Instant::now());
    }

    /// Whether that taint was removed from the node with that UID, though the watch still shows it.
    pub fn has_removed(&self, uid: &str, taint: &TaintKey) -> bool {
        self.removed.contains_key(&(uid.to_owned(), taint.clone()))
    }

    /// Notes what the condition of a node says now.
    pub fn set_condition(&mut self, node: String, wanted: Option<WantedCondition>, now: Timestamp) {
        // As the API server stores times.
        let written_at = Timestamp::from_second(now.as_second()).ok();
        let condition = wanted.map(|wanted| ImagesReady {
            is_true: wanted.is_warm,
            reason: wanted.reason.into(),
            message: wanted.message.into(),
            written_at,
        });
        self.conditions.insert(node, (condition, Instant::now()));
    }

    /// The condition of a node, as it was observed or written since.
    pub fn condition<'c>(&'c self, node: &str, observed: Option<&'c ImagesReady>) -> Option<&'c ImagesReady> {
        self.conditions.get(node).map_or(observed, |(written, _)| written.as_ref())
    }

    /// Forgets what the watch shows by now, and what is old.
    pub fn forget_observed(&mut self, facts: &HashMap<String, GateFacts>) {
        self.removed.retain(|_, at| at.elapsed() < LONGEST);
        self.conditions.retain(|node, (written, at)| {
            let observed = facts.get(node).and_then(|facts| facts.condition.as_ref());
            observed != written.as_ref() && at.elapsed() < LONGEST
        });
    }
}
