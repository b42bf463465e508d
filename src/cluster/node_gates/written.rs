//! What was written and is not observed yet, so that it is not written again, and what could not be written.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::observed::GateFactsByName;
use crate::coverage::ImagesReady;
use crate::gate::NodeWrite;
use crate::gate::condition::WantedCondition;
use crate::list::config::TaintKey;

/// A watch is never so far behind. If it is, something is written once more.
const LONGEST: Duration = Duration::from_secs(60);
/// When a write that failed is tried again: after twice as long each time.
const RETRY: Duration = Duration::from_secs(15);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// When writes are tried again for which a right was missing.
const RETRY_RIGHT: Duration = Duration::from_secs(30);

/// What this process has written lately. Nodes are known by their UIDs.
#[derive(Debug, Default)]
pub struct Written {
    /// Taints that were removed.
    removed: HashMap<(String, TaintKey), Instant>,
    /// Conditions; `None` if it was removed.
    conditions: HashMap<String, (Option<ImagesReady>, Instant)>,
    /// Writes that failed: when, and for how long they are not tried again.
    failed: HashMap<(NodeWrite, String), (Instant, Duration)>,
    /// Kinds of writes for which a right is missing.
    forbidden: HashMap<NodeWrite, Instant>,
}

impl Written {
    /// Notes that a taint was removed.
    pub fn removed(&mut self, uid: &str, taint: &TaintKey) {
        self.removed.insert((uid.to_owned(), taint.clone()), Instant::now());
    }

    /// Whether that taint was removed from a node, though the watch still shows it.
    pub fn has_removed(&self, uid: &str, taint: &TaintKey) -> bool {
        self.removed.contains_key(&(uid.to_owned(), taint.clone()))
    }

    /// Notes what the condition of a node says now.
    pub fn set_condition(&mut self, uid: String, wanted: Option<WantedCondition>, now: Timestamp) {
        // As the API server stores times.
        let written_at = Timestamp::from_second(now.as_second()).ok();
        let condition = wanted.map(|wanted| ImagesReady {
            is_true: wanted.is_warm,
            reason: wanted.reason.into(),
            message: wanted.message.into(),
            written_at,
        });
        self.conditions.insert(uid, (condition, Instant::now()));
    }

    /// The condition of a node, as it was observed or written since.
    pub fn condition<'c>(&'c self, uid: &str, observed: Option<&'c ImagesReady>) -> Option<&'c ImagesReady> {
        self.conditions.get(uid).map_or(observed, |(written, _)| written.as_ref())
    }

    /// Notes that a write failed, so that it delays no other node.
    pub fn failed(&mut self, kind: NodeWrite, uid: &str) {
        let (at, pause) = self.failed.entry((kind, uid.to_owned())).or_insert((Instant::now(), RETRY / 2));
        (*at, *pause) = (Instant::now(), (*pause * 2).min(LONGEST_RETRY));
    }

    /// Notes that the right for all writes of a kind is missing.
    pub fn forbidden(&mut self, kind: NodeWrite) {
        self.forbidden.insert(kind, Instant::now());
    }

    /// Whether it is time for a write of that kind to a node.
    pub fn may_write(&self, kind: NodeWrite, uid: &str) -> bool {
        let is_forbidden = self.forbidden.get(&kind).is_some_and(|at| at.elapsed() < RETRY_RIGHT);
        let failed = self.failed.get(&(kind, uid.to_owned()));
        !is_forbidden && failed.is_none_or(|(at, pause)| at.elapsed() >= *pause)
    }

    /// Forgets what the watch shows by now, and what is old.
    pub fn forget_observed(&mut self, facts: &GateFactsByName) {
        self.removed.retain(|_, at| at.elapsed() < LONGEST);
        self.failed.retain(|_, (at, pause)| at.elapsed() < 2 * *pause);
        let observed: HashMap<&str, Option<&ImagesReady>> =
            facts.values().map(|facts| (facts.uid.as_str(), facts.condition.as_ref())).collect();
        self.conditions.retain(|uid, (written, at)| {
            let is_observed = observed.get(uid.as_str()).is_some_and(|observed| *observed == written.as_ref());
            !is_observed && at.elapsed() < LONGEST
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::advance;

    use super::*;
    use crate::cluster::observed::GateFacts;

    fn taint() -> TaintKey {
        TaintKey::new("example.com/images").expect("a key")
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_failed_delays_only_that_node_and_that_kind() {
        let mut written = Written::default();
        written.failed(NodeWrite::Taint, "one");
        assert!(!written.may_write(NodeWrite::Taint, "one"));
        assert!(written.may_write(NodeWrite::Taint, "other") && written.may_write(NodeWrite::Condition, "one"));
        advance(RETRY).await;
        assert!(written.may_write(NodeWrite::Taint, "one"));
        written.failed(NodeWrite::Taint, "one");
        advance(RETRY).await;
        assert!(!written.may_write(NodeWrite::Taint, "one"), "the second time, it waits for twice as long");
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_right_delays_all_writes_that_need_it_and_no_others() {
        let mut written = Written::default();
        written.forbidden(NodeWrite::Condition);
        assert!(!written.may_write(NodeWrite::Condition, "one") && written.may_write(NodeWrite::Taint, "one"));
        advance(RETRY_RIGHT).await;
        assert!(written.may_write(NodeWrite::Condition, "one"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_watch_does_not_show_yet_counts_for_a_minute() {
        let mut written = Written::default();
        let now = Timestamp::from_second(1_700_000_000).expect("a time");
        written.removed("one", &taint());
        written.set_condition(
            "one".to_owned(),
            Some(WantedCondition { is_warm: true, reason: "Warm", message: "1 image held".to_owned() }),
            now,
        );
        written.forget_observed(&GateFactsByName::new());
        assert!(written.has_removed("one", &taint()));
        assert!(written.condition("one", None).is_some_and(|condition| condition.is_true));
        let shown =
            GateFacts { uid: "one".to_owned(), created: None, condition: written.condition("one", None).cloned() };
        written.forget_observed(&[("n".to_owned(), Arc::new(shown))].into());
        assert_eq!(written.condition("one", None), None, "the watch shows it by now");
        advance(LONGEST).await;
        written.forget_observed(&GateFactsByName::new());
        assert!(!written.has_removed("one", &taint()));
    }
}
