//! Whether the controller can do its work, and what keeps it from it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the watches and workers, which say how they are, and by the probe, which asks.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    outstanding: Arc<AtomicUsize>,
    hindrances: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Whether every watch has seen the cluster as a whole.
    pub fn sees_everything(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) == 0
    }

    /// What keeps the controller from its work, a line each; empty where it is ready.
    pub fn hindrances(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lock().values().cloned().collect();
        if lines.is_empty() && !self.sees_everything() {
            lines.push("still reading lists, DaemonSets, pods and nodes from the cluster".to_owned());
        }
        lines
    }

    /// There is one more watch that has not seen the cluster as a whole yet.
    pub(super) fn one_more_watch(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// One of them has.
    pub(super) fn one_watch_less(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    /// Something that only people can put right keeps `who` from its work.
    pub(super) fn hindered(&self, who: &str, why: String) {
        self.lock().insert(who.to_owned(), why);
    }

    /// `who` can work (again).
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
    fn it_is_ready_when_every_watch_has_seen_everything_and_nothing_hinders() {
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
