//! What is reported when the cluster cannot be read or written.

use super::{Message, Reason};
use crate::cluster::Error;

/// The message about an error; `None` if another controller leads, since that one reports what it does.
///
/// The API server may word the same failure differently each time, so its subject is the attempted action.
pub fn failure(error: &Error) -> Option<Message> {
    let subject = match error {
        Error::Forbidden { action, .. } | Error::Refused { action, .. } | Error::Unreachable { action, .. } => action,
        Error::Foreign { name } => name,
        Error::NotLeading | Error::TimedOut { .. } => "",
    };
    let message = Message::new(reason(error)?, subject, error.to_string());
    Some(match error {
        Error::Foreign { name } => message.about(name),
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
        Error::Refused { .. } => Reason::Refused,
        Error::Unreachable { .. } => Reason::Unreachable,
        Error::Foreign { .. } => Reason::ForeignDaemonSet,
        Error::TimedOut { .. } => Reason::TimedOut,
        Error::NotLeading => return None,
    })
}
