//! What can go wrong with a cluster, in words.

use kube::core::Status;

use crate::messages::{Message, Reason};

/// An error while reading or writing the cluster. All of them are tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A right is missing.
    #[error("not allowed to {action}: {message}; grant the controller's Role this right")]
    Forbidden {
        /// What was tried.
        action: String,
        /// The API server's words.
        message: String,
    },
    /// The API server refused what was asked.
    #[error("cannot {action}: the API server says: {message}")]
    Refused {
        /// What was tried.
        action: String,
        /// The API server's words.
        message: String,
    },
    /// The API server could not be reached, or its answer could not be read.
    #[error("cannot {action}: {source}")]
    Unreachable {
        /// What was tried.
        action: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// A name that a DaemonSet needs belongs to somebody else's.
    #[error(
        "the DaemonSet {name} exists and is not kube-prepull's; delete or rename it, or choose another DAEMONSET_NAME"
    )]
    Foreign {
        /// The name.
        name: String,
    },
    /// Another controller may write now.
    #[error("another controller has taken the lead")]
    NotLeading,
    /// The cluster did not answer in time.
    #[error("the cluster did not answer within {seconds} s")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
}

impl Error {
    /// Says what was tried when `error` came back.
    pub fn new(action: impl Into<String>, error: kube::Error) -> Self {
        let action = action.into();
        match error {
            kube::Error::Api(status) => Self::from_status(action, *status),
            other => Self::Unreachable { action, source: Box::new(other) },
        }
    }

    fn from_status(action: String, status: Status) -> Self {
        if status.is_forbidden() && status.message.contains("cannot ") {
            return Self::Forbidden { action, message: status.message };
        }
        Self::Refused { action, message: status.message }
    }

    /// The stable name of the kind, for metrics.
    pub fn reason(&self) -> &'static str {
        self.reported_as().map_or("NotLeading", Reason::name)
    }

    /// What to tell the user; nothing where another controller leads, and tells what it does. What fails in the same way
    /// again and again is one subject, although the API server's words may differ each time.
    pub fn message(&self) -> Option<Message> {
        let message = Message::new(self.reported_as()?, self.to_string());
        Some(match self {
            Self::Forbidden { action, .. } | Self::Refused { action, .. } | Self::Unreachable { action, .. } => {
                message.on(action)
            }
            Self::Foreign { name } => message.about(name),
            Self::NotLeading | Self::TimedOut { .. } => message,
        })
    }

    fn reported_as(&self) -> Option<Reason> {
        Some(match self {
            Self::Forbidden { .. } => Reason::MissingRight,
            Self::Refused { .. } => Reason::Refused,
            Self::Unreachable { .. } => Reason::Unreachable,
            Self::Foreign { .. } => Reason::ForeignDaemonSet,
            Self::TimedOut { .. } => Reason::TimedOut,
            Self::NotLeading => return None,
        })
    }
}
