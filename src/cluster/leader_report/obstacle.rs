//! Why a command does not use the leader's report, and what it does then. Pure.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::text::CleanText;

/// How long a command reads the objects after the leader's report was of no use, before it asks again: what is in the way, such as a missing
/// right, mostly stays.
const PAUSE: Duration = Duration::from_secs(60);

/// Why a command does not use the leader's report.
#[derive(Clone, Debug, PartialEq)]
pub enum Obstacle {
    /// There is no Lease that names a leader's pod.
    NoLeader,
    /// A right is missing, or the API server refused a request for another reason: what it was, and the answer.
    Refused(CleanText),
    /// There is no connection to the leader's port, for this reason.
    Unreachable(CleanText),
    /// The leader did not answer in time.
    TimedOut,
    /// What answered is no controller that leads.
    NotLeading,
    /// The leader has not listed everything yet; it says why.
    NotReady(CleanText),
    /// The report is larger than commands read.
    TooLarge,
    /// The leader has another version, whose report cannot be read.
    OtherVersion(CleanText),
    /// The report is about another namespace.
    OtherNamespace(CleanText),
    /// The leader does not read nodes, which the user may be able to read.
    NodesUnknown,
    /// The leader has not seen the lists as they are now.
    Behind,
}

/// What to do about an [`Obstacle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NextSource {
    /// Ask the leader again soon.
    AskAgain,
    /// Read the objects, and do not ask the leader before so much time has passed.
    ReadObjects(Duration),
}

impl Obstacle {
    /// What to do after the leader was asked so often, if it may be asked `most` times.
    pub fn next(&self, asked: usize, most: usize) -> NextSource {
        match self {
            Self::Behind if asked < most => NextSource::AskAgain,
            Self::Behind => NextSource::ReadObjects(Duration::ZERO),
            _ => NextSource::ReadObjects(PAUSE),
        }
    }

    /// The obstacle that an error of the API server is.
    pub(super) fn from_error(error: &Error) -> Self {
        match error {
            Error::Unreachable { .. } | Error::TimedOut { .. } => Self::Unreachable(CleanText::of(error)),
            _ => Self::Refused(CleanText::of(error)),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NoLeader => formatter.write_str(
                "no Lease kube-prepull names a leader: no controller runs, or it runs without --leader-elect or outside of a pod",
            ),
            Self::Refused(why) => write!(formatter, "{why}"),
            Self::Unreachable(why) => write!(formatter, "cannot reach the leader: {why}"),
            Self::TimedOut => formatter.write_str("the leader did not answer in time"),
            Self::NotLeading => formatter.write_str("the pod that the Lease names does not lead any more"),
            Self::NotReady(why) => write!(formatter, "the leader has no report yet: {why}"),
            Self::TooLarge => formatter.write_str("the leader's report is too large"),
            Self::OtherVersion(why) => {
                write!(formatter, "the leader is of another version, whose report cannot be read: {why}")
            }
            Self::OtherNamespace(namespace) => write!(formatter, "the leader reports on the namespace {namespace}"),
            Self::NodesUnknown => formatter.write_str("the leader does not read nodes"),
            Self::Behind => formatter.write_str("the leader has not seen the latest version of the lists yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_is_behind_is_asked_again_and_for_all_else_objects_are_read_for_a_while() {
        assert_eq!(Obstacle::Behind.next(1, 3), NextSource::AskAgain);
        assert_eq!(Obstacle::Behind.next(3, 3), NextSource::ReadObjects(Duration::ZERO), "the next report may be good");
        for obstacle in [
            Obstacle::NoLeader,
            Obstacle::Refused("pods is forbidden".into()),
            Obstacle::Unreachable("connection refused".into()),
            Obstacle::TimedOut,
            Obstacle::NotLeading,
            Obstacle::NotReady("still reading".into()),
            Obstacle::TooLarge,
            Obstacle::OtherVersion("missing field".into()),
            Obstacle::OtherNamespace("other".into()),
            Obstacle::NodesUnknown,
        ] {
            assert_eq!(obstacle.next(1, 3), NextSource::ReadObjects(PAUSE), "{obstacle}");
        }
    }
}
