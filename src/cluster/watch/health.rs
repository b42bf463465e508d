//! How a watch is.

use kube::runtime::watcher;
use tracing::{debug, info, warn};

use super::nodes::NODES;
use crate::cluster::readiness::Readiness;

/// How one watch is, for the log and the probe.
pub(super) struct WatchHealth {
    what: &'static str,
    readiness: Readiness,
    counted: bool,
    /// What the last error was, if there was one since it last worked.
    failing: Option<Kind>,
}

impl WatchHealth {
    pub(super) fn begin(what: &'static str, readiness: Readiness) -> Self {
        readiness.one_more_watch();
        Self { what, readiness, counted: true, failing: None }
    }

    pub(super) fn good(&mut self, complete: bool) {
        if let Some(kind) = self.failing.take() {
            self.readiness.free(self.what);
            if kind == Kind::Forbidden && self.what == NODES {
                info!("allowed to watch nodes again");
            }
        }
        if complete {
            self.count_out();
        }
    }

    /// Whether there is something to do now that the controller has to do without what this watch tells.
    pub(super) fn failed(&mut self, error: &watcher::Error) -> bool {
        let (kind, what) = (Kind::of(error), self.what);
        if self.failing.replace(kind) == Some(kind) {
            debug!(watch = what, %error, "still failing");
            return false;
        }
        if kind == Kind::Forbidden && what == NODES {
            warn!(
                "not allowed to watch nodes: rollouts are not spread out, and nodes that are gone are known by their pods only; \
                 grant the controller's ClusterRole this right, or start it with --namespaced-only"
            );
            self.count_out();
            return true;
        }
        warn!(watch = what, %error, "cannot watch {what}; what is warm stays warm, and this is tried again");
        if kind == Kind::Forbidden {
            let why = format!("not allowed to watch {what}; grant the controller's Role list and watch: {error}");
            self.readiness.hindered(what, why);
        }
        false
    }

    fn count_out(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.readiness.one_watch_less();
        }
    }
}

/// What people can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grant a right.
    Forbidden,
    /// Wait, or look after the cluster.
    Other,
}

impl Kind {
    /// Which of them a watch's error is.
    pub fn of(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status)
                if status.is_forbidden() =>
            {
                Self::Forbidden
            }
            _ => Self::Other,
        }
    }
}
