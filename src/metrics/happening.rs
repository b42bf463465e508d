//! What happens to lists and is counted.

use crate::coverage::PULL_FAILURES;
use crate::plan::{Action, Cause, Outcome};

/// Something that happens to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// An edit was rejected.
    Rejected,
    /// A look at a group's tags came to something.
    Refreshed(Refresh),
    /// A round began.
    RoundStarted(RoundCause),
    /// A DaemonSet that somebody else had changed was restored.
    Restored,
    /// An image could not be pulled on a node any more, for that reason of the kubelet's.
    PullFailed(&'static str),
}

/// What a look at a group's tags came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refresh {
    /// No tag stands for something that is worth a round.
    Unchanged,
    /// Some stand for something else now, and a round began.
    Moved,
    /// Some could not be looked at.
    Deferred,
}

/// A [`Cause`] without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // They are described where they come from.
pub enum RoundCause {
    Missing,
    Edited,
    Unknown,
    Narrowed,
    Requested,
    Due,
    Moved,
}

const ROUND_CAUSES: [RoundCause; 7] = [
    RoundCause::Missing,
    RoundCause::Edited,
    RoundCause::Unknown,
    RoundCause::Narrowed,
    RoundCause::Requested,
    RoundCause::Due,
    RoundCause::Moved,
];

/// A counter, with everything that it counts.
#[derive(Debug)]
pub struct Counter {
    /// Its name, without the suffix `_total`.
    pub name: &'static str,
    /// What it is, in words.
    pub help: &'static str,
    /// The label that tells what it counts apart, if that is several things.
    pub label: Option<&'static str>,
    /// What it counts.
    pub happenings: fn() -> Vec<Happening>,
}

/// All counters of lists.
pub const COUNTERS: [Counter; 5] = [
    Counter {
        name: "list_rejections",
        help: "Edits of the list that were rejected.",
        label: None,
        happenings: || vec![Happening::Rejected],
    },
    Counter {
        name: "refreshes",
        help: "Looks at the tags of a group, by what they came to.",
        label: Some("outcome"),
        happenings: || {
            vec![
                Happening::Refreshed(Refresh::Unchanged),
                Happening::Refreshed(Refresh::Moved),
                Happening::Refreshed(Refresh::Deferred),
            ]
        },
    },
    Counter {
        name: "rounds_started",
        help: "Rounds that began, by cause.",
        label: Some("cause"),
        happenings: || ROUND_CAUSES.map(Happening::RoundStarted).to_vec(),
    },
    Counter {
        name: "restores",
        help: "DaemonSets that somebody else had changed and that were restored.",
        label: None,
        happenings: || vec![Happening::Restored],
    },
    Counter {
        name: "pull_failures",
        help: "Times that an image turned out not to be pullable on a node, by the kubelet's first reason.",
        label: Some("reason"),
        happenings: || PULL_FAILURES.map(Happening::PullFailed).to_vec(),
    },
];

impl Happening {
    /// What the counter's label says of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Restored => "restored",
            Self::Refreshed(Refresh::Unchanged) => "unchanged",
            Self::Refreshed(Refresh::Moved) => "moved",
            Self::Refreshed(Refresh::Deferred) => "deferred",
            Self::RoundStarted(cause) => cause.word(),
            Self::PullFailed(reason) => reason,
        }
    }

    /// What has happened when the action has been carried out.
    pub fn of(action: &Action, outcome: &Outcome) -> Vec<Self> {
        match action {
            Action::Restore { .. } if matches!(outcome, Outcome::Restored { .. }) => vec![Self::Restored],
            Action::Create { cause: cause @ Cause::Moved { .. }, .. } => {
                vec![Self::Refreshed(Refresh::Moved), Self::RoundStarted(cause.into())]
            }
            Action::Create { cause, .. } => vec![Self::RoundStarted(cause.into())],
            Action::Note { looks, .. } if looks.failed.is_empty() => vec![Self::Refreshed(Refresh::Unchanged)],
            Action::Note { .. } => vec![Self::Refreshed(Refresh::Deferred)],
            _ => Vec::new(),
        }
    }
}

impl RoundCause {
    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Edited => "edited",
            Self::Unknown => "unknown",
            Self::Narrowed => "narrowed",
            Self::Requested => "requested",
            Self::Due => "due",
            Self::Moved => "moved",
        }
    }
}

impl From<&Cause> for RoundCause {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Missing => Self::Missing,
            Cause::Edited => Self::Edited,
            Cause::Unknown => Self::Unknown,
            Cause::Narrowed => Self::Narrowed,
            Cause::Requested => Self::Requested,
            Cause::Due => Self::Due,
            Cause::Moved { .. } => Self::Moved,
        }
    }
}
