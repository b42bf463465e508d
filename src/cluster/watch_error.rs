//! Why a watch failed.

use kube::core::Status;
use kube::runtime::watcher;

/// What people can do about a failed watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchErrorKind {
    /// Grant a right.
    Forbidden,
    /// Wait, or repair the cluster.
    Other,
}

impl WatchErrorKind {
    /// The kind of this error.
    pub fn of(error: &watcher::Error) -> Self {
        if status(error).is_some_and(Status::is_forbidden) { Self::Forbidden } else { Self::Other }
    }
}

/// The API server's answer, unless the failure is that there was none.
pub fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}
