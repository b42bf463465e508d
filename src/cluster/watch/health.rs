//! Whether a watch works.

use kube::runtime::watcher;
use tracing::{debug, info, warn};

use crate::cluster::readiness::Readiness;
use crate::cluster::watch_error::WatchErrorKind;

/// The name of the watch of nodes, the one that the controller can do without.
pub const NODES: &str = "nodes";

/// Whether one watch works, for the log and the readiness probe.
pub struct WatchHealth {
    what: &'static str,
    readiness: Readiness,
    /// Whether the controller still waits for this watch's first complete listing.
    awaited: bool,
    /// Why the watch fails, while it does.
    failing: Option<WatchErrorKind>,
}

impl WatchHealth {
    pub fn begin(what: &'static str, readiness: Readiness) -> Self {
        readiness.add_watch();
        Self { what, readiness, awaited: true, failing: None }
    }

    /// Records that the watch works; `complete` is whether a listing just ended.
    pub fn good(&mut self, complete: bool) {
        if let Some(kind) = self.failing.take() {
            self.readiness.ready(self.what);
            if kind == WatchErrorKind::Forbidden && self.what == NODES {
                info!("allowed to watch nodes again");
            }
        }
        if complete {
            self.await_no_longer();
        }
    }

    /// Records a failure. Returns whether all lists have to be reconciled, because the controller goes on without this watch.
    pub fn failed(&mut self, error: &watcher::Error) -> bool {
        let (kind, what) = (WatchErrorKind::of(error), self.what);
        if self.failing.replace(kind) == Some(kind) {
            debug!(watch = what, %error, "still failing");
            return false;
        }
        if kind == WatchErrorKind::Forbidden && what == NODES {
            warn!(
                "not allowed to watch nodes: rollouts are not spread out, and deleted nodes are only detected through their pods; \
                 grant the controller's ClusterRole this right, or start it with --namespaced-only"
            );
            self.await_no_longer();
            return true;
        }
        warn!(watch = what, %error, "cannot watch {what}; retrying; held images are not affected");
        if kind == WatchErrorKind::Forbidden {
            let why = format!("not allowed to watch {what}; grant the controller's Role list and watch: {error}");
            self.readiness.not_ready(what, why);
        }
        false
    }

    fn await_no_longer(&mut self) {
        if std::mem::take(&mut self.awaited) {
            self.readiness.watch_listed();
        }
    }
}
