//! What is reported when the cluster cannot be read or written.

use std::fmt::{Display, Formatter, Result};

use super::{Message, Reason};
use crate::error::{Error, NotLeading};

/// What happened. The remedy for a missing right depends on who lacks it, so it is not part of this.
impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Forbidden { action, message } => write!(f, "not allowed to {action}: {message}"),
            Self::Refused { action, message } => write!(f, "cannot {action}: the API server says: {message}"),
            Self::Unreachable { action, source } => write!(f, "cannot {action}: {source}"),
            Self::ForeignDaemonSet { name } => write!(
                f,
                "a DaemonSet {name} that kube-prepull did not create already exists; delete it, or give the list another name \
                 (DAEMONSET_NAME in a list with flat keys)"
            ),
            Self::ForeignImageCache { name } => write!(
                f,
                "an ImageCache {name} that was not created for this list already exists; delete it if nobody needs it"
            ),
            Self::NotLeading => NotLeading.fmt(f),
            Self::TimedOut { seconds } => write!(f, "the cluster did not answer within {seconds} s"),
        }
    }
}

impl Display for NotLeading {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("another controller has taken the lead")
    }
}

/// What the controller reports of an error, with the remedy for a right that it lacks.
pub fn of_controller(error: &Error) -> String {
    match error {
        Error::Forbidden { .. } => format!("{error}; grant the controller's account this right"),
        _ => error.to_string(),
    }
}

/// What a command reports of an error, with the remedy for a right that its user lacks.
pub fn of_command(error: &Error) -> String {
    match error {
        Error::Forbidden { .. } => format!("{error}; grant this user the right, or run the command as another user"),
        _ => error.to_string(),
    }
}

/// The message about an error; `None` if another controller leads, since that one reports what it does.
///
/// The API server may word the same failure differently each time, so its subject is the attempted action.
pub fn failure(error: &Error) -> Option<Message> {
    let subject = match error {
        Error::Forbidden { action, .. } | Error::Refused { action, .. } | Error::Unreachable { action, .. } => action,
        Error::ForeignDaemonSet { name } | Error::ForeignImageCache { name } => name,
        Error::NotLeading | Error::TimedOut { .. } => "",
    };
    let message = Message::new(reason(error)?, subject, of_controller(error));
    Some(match error {
        Error::ForeignDaemonSet { name } => message.about(name),
        _ => message,
    })
}

/// The stable name of the kind of error, for metrics.
pub fn category(error: &Error) -> &'static str {
    reason(error).map_or("NotLeading", Reason::name)
}

fn reason(error: &Error) -> Option<Reason> {
    Some(match error {
        Error::Forbidden { .. } => Reason::MissingRight,
        Error::Refused { .. } | Error::ForeignImageCache { .. } => Reason::Refused,
        Error::Unreachable { .. } => Reason::Unreachable,
        Error::ForeignDaemonSet { .. } => Reason::ForeignDaemonSet,
        Error::TimedOut { .. } => Reason::TimedOut,
        Error::NotLeading => return None,
    })
}
