//! What can go wrong when reading or writing the cluster.

use kube::core::Status;

use super::leadership::NotLeading;

/// An error while reading or writing the cluster. The controller retries all of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A right is missing.
    #[error("not allowed to {action}: {message}; grant the controller's Role this right")]
    Forbidden {
        /// The attempted action.
        action: String,
        /// The API server's message.
        message: String,
    },
    /// The API server refused the request.
    #[error("cannot {action}: the API server says: {message}")]
    Refused {
        /// The attempted action.
        action: String,
        /// The API server's message.
        message: String,
    },
    /// The API server could not be reached, or its answer could not be decoded.
    #[error("cannot {action}: {source}")]
    Unreachable {
        /// The attempted action.
        action: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// A DaemonSet of the needed name exists, and is not kube-prepull's.
    #[error(
        "the DaemonSet {name} exists and is not kube-prepull's; delete or rename it, or choose another DAEMONSET_NAME"
    )]
    Foreign {
        /// The name.
        name: String,
    },
    /// A write was refused because another controller may lead now.
    #[error("{NotLeading}")]
    NotLeading,
    /// The cluster did not answer in time.
    #[error("the cluster did not answer within {seconds} s")]
    TimedOut {
        /// The time limit.
        seconds: u64,
    },
}

impl Error {
    /// The error of an `action`, a phrase such as "create the DaemonSet tools-1a2b".
    pub fn new(action: impl Into<String>, error: kube::Error) -> Self {
        let action = action.into();
        match error {
            kube::Error::Api(status) => Self::from_status(action, *status),
            kube::Error::Service(refusal) if refusal.is::<NotLeading>() => Self::NotLeading,
            other => Self::Unreachable { action, source: Box::new(other) },
        }
    }

    fn from_status(action: String, status: Status) -> Self {
        // A webhook may forbid a write too, and no right helps against that. "cannot" is in the words of the API server's own
        // authorization only.
        if status.is_forbidden() && status.message.contains("cannot ") {
            return Self::Forbidden { action, message: status.message };
        }
        Self::Refused { action, message: status.message }
    }
}
