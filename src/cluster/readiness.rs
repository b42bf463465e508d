//! Whether the controller can do its work, and what prevents it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether the controller is ready. Watches and workers report to it, and the readiness probe asks it.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    outstanding: Arc<AtomicUsize>,
    hindrances: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Whether every watch has listed its objects.
    pub fn sees_everything(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) == 0
    }

    /// What prevents the controller from working, one line each; empty if it is ready.
    pub fn hindrances(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lock().values().cloned().collect();
        if lines.is_empty() && !self.sees_everything() {
            lines.push("still reading lists, DaemonSets, pods and nodes from the cluster".to_owned());
        }
        lines
    }

    /// Records a watch that has not listed its objects yet.
    pub(super) fn one_more_watch(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that such a watch has listed its objects.
    pub(super) fn one_watch_less(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    /// Records that something only people can fix prevents `who` from working.
    pub(super) fn hindered(&self, who: &str, why: String) {
        self.lock().insert(who.to_owned(), why);
    }

    /// Records that `who` can work (again).
    pub(super) fn free(&self, who: &str) {
        self.lock().remove(who);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.hindrances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_every_watch_has_listed_its_objects_and_nothing_hinders() {
        let readiness = Readiness::default();
        assert!(readiness.hindrances().is_empty());
        readiness.one_more_watch();
        assert!(readiness.hindrances()[0].starts_with("still reading"));
        readiness.hindered("nodes", "not allowed to watch nodes".to_owned());
        assert_eq!(readiness.hindrances(), ["not allowed to watch nodes"]);
        readiness.one_watch_less();
        assert!(readiness.sees_everything());
        readiness.free("nodes");
        assert!(readiness.hindrances().is_empty());
    }
}
