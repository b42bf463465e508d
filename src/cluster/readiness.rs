//! Whether the controller can do its work, and what prevents it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::text::CleanText;

/// Whether the controller is ready. Watches and workers report to it, and the readiness probe asks it.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// How many watches have not listed their objects yet.
    unlisted: Arc<AtomicUsize>,
    /// Why it cannot work, by part of the controller.
    reasons: Arc<Mutex<BTreeMap<String, CleanText>>>,
}

impl Readiness {
    /// Whether every watch has listed its objects.
    pub fn all_listed(&self) -> bool {
        self.unlisted.load(Ordering::Acquire) == 0
    }

    /// What prevents the controller from working, one line each; empty if it is ready.
    pub fn why_not_ready(&self) -> Vec<CleanText> {
        let mut lines: Vec<CleanText> = self.lock().values().cloned().collect();
        if lines.is_empty() && !self.all_listed() {
            lines.push("still reading lists, DaemonSets, pods and nodes from the cluster".into());
        }
        lines
    }

    /// Records a watch that has not listed its objects yet.
    pub(super) fn add_watch(&self) {
        self.unlisted.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that such a watch has listed its objects.
    pub(super) fn watch_listed(&self) {
        self.unlisted.fetch_sub(1, Ordering::AcqRel);
    }

    /// Records that a part of the controller cannot work, for a reason that only people can fix.
    pub(super) fn not_ready(&self, part: &str, why: impl Into<CleanText>) {
        self.lock().insert(part.to_owned(), why.into());
    }

    /// Records that a part of the controller works (again).
    pub(super) fn ready(&self, part: &str) {
        self.lock().remove(part);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, CleanText>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_every_watch_has_listed_its_objects_and_nobody_reports_otherwise() {
        let readiness = Readiness::default();
        assert!(readiness.why_not_ready().is_empty());
        readiness.add_watch();
        assert!(readiness.why_not_ready()[0].starts_with("still reading"));
        readiness.not_ready("nodes", "not allowed to watch nodes");
        assert_eq!(readiness.why_not_ready(), ["not allowed to watch nodes"]);
        readiness.watch_listed();
        assert!(readiness.all_listed());
        readiness.ready("nodes");
        assert!(readiness.why_not_ready().is_empty());
    }
}
