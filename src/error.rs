//! What can go wrong when reading or writing the cluster, as data. `messages::api_errors` has the words for it.

use kube::core::Status;

use crate::denial::{Denial, DenyingPolicy};
use crate::text::CleanText;

/// An error while reading or writing the cluster. The controller retries all of them.
#[derive(Debug)]
pub enum Error {
    /// A right is missing.
    Forbidden {
        /// The attempted action.
        action: String,
        /// The API server's message.
        message: CleanText,
    },
    /// A policy refused the request, which needs no other right.
    Denied {
        /// The attempted action.
        action: String,
        /// The policy.
        policy: DenyingPolicy,
        /// The policy's explanation; may be empty.
        text: CleanText,
    },
    /// The API server refused the request for another reason.
    Refused {
        /// The attempted action.
        action: String,
        /// The API server's message.
        message: CleanText,
    },
    /// The API server could not be reached, or its answer could not be decoded.
    Unreachable {
        /// The attempted action.
        action: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// A DaemonSet of the needed name exists, and is not kube-prepull's.
    ForeignDaemonSet {
        /// The name.
        name: String,
    },
    /// An ImageCache of the needed name exists, and was not created for this list.
    ForeignImageCache {
        /// The name.
        name: String,
    },
    /// A write was refused because another controller may lead now.
    NotLeading,
    /// The cluster did not answer in time.
    TimedOut {
        /// The time limit.
        seconds: u64,
    },
}

/// Why there is no connection, in words for users: a proxy or a credential plugin failed, or the credentials are not accepted. What is
/// wrong is on the user's side, so trying again does not help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectionProblem(pub String);

impl ConnectionProblem {
    /// The problem that is the cause of an error, if it is one.
    pub fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(|error| error.downcast_ref())
    }
}

/// An error, what caused it, and so on.
pub fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Why a client sends no write: this process does not lead.
#[derive(Debug)]
pub struct NotLeading;

impl std::error::Error for NotLeading {}

/// Without a source: what it displays has the cause in it, and whoever prints a chain of errors would repeat it.
impl std::error::Error for Error {}

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

    /// Why there is no connection, if the user has to repair something.
    pub fn connection_problem(&self) -> Option<&ConnectionProblem> {
        match self {
            Self::Unreachable { source, .. } => ConnectionProblem::behind(source.as_ref()),
            _ => None,
        }
    }

    fn from_status(action: String, status: Status) -> Self {
        match Denial::of(&status.message) {
            Denial::MissingRight if status.is_forbidden() => Self::Forbidden { action, message: status.message.into() },
            // A policy may choose another code than 403.
            Denial::Policy { policy, text } => Self::Denied { action, policy, text },
            Denial::MissingRight | Denial::Other => Self::Refused { action, message: status.message.into() },
        }
    }
}
