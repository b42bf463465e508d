//! What happens to lists and is counted.

use crate::coverage::PULL_FAILURES;
use crate::plan::{Action, ActionOutcome, RolloutCause};

/// Something that happens to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// An edit was rejected.
    Rejected,
    /// A look at a group's tags came to something.
    Refreshed(Refresh),
    /// A rollout began.
    RolloutStarted(CauseLabel),
    /// A DaemonSet that somebody else had changed was restored.
    Restored,
    /// An image could not be pulled on a node any more, for that reason of the kubelet's.
    PullFailed(&'static str),
}

/// What a look at a group's tags came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refresh {
    /// No tag stands for something that is worth a rollout.
    Unchanged,
    /// Some stand for something else now, and a rollout began.
    Moved,
    /// Some could not be looked at.
    Deferred,
}

/// A [`RolloutCause`] without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // They are described where they come from.
pub enum CauseLabel {
    Missing,
    Edited,
    Unknown,
    ScopedDown,
    Requested,
    Due,
    Moved,
}

const CAUSE_LABELS: [CauseLabel; 7] = [
    CauseLabel::Missing,
    CauseLabel::Edited,
    CauseLabel::Unknown,
    CauseLabel::ScopedDown,
    CauseLabel::Requested,
    CauseLabel::Due,
    CauseLabel::Moved,
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
    pub happenings: fn() -> Vec<Counted>,
}

/// All counters of lists.
pub const COUNTERS: [Counter; 5] = [
    Counter {
        name: "list_rejections",
        help: "Edits of the list that were rejected.",
        label: None,
        happenings: || vec![Counted::Rejected],
    },
    Counter {
        name: "refreshes",
        help: "Looks at the tags of a group, by what they came to.",
        label: Some("outcome"),
        happenings: || {
            vec![
                Counted::Refreshed(Refresh::Unchanged),
                Counted::Refreshed(Refresh::Moved),
                Counted::Refreshed(Refresh::Deferred),
            ]
        },
    },
    Counter {
        name: "rollouts_started",
        help: "Rollouts that began, by cause.",
        label: Some("cause"),
        happenings: || CAUSE_LABELS.map(Counted::RolloutStarted).to_vec(),
    },
    Counter {
        name: "restores",
        help: "DaemonSets that somebody else had changed and that were restored.",
        label: None,
        happenings: || vec![Counted::Restored],
    },
    Counter {
        name: "pull_failures",
        help: "Times that an image turned out not to be pullable on a node, by the kubelet's first reason.",
        label: Some("reason"),
        happenings: || PULL_FAILURES.map(Counted::PullFailed).to_vec(),
    },
];

impl Counted {
    /// What the counter's label says of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Restored => "restored",
            Self::Refreshed(Refresh::Unchanged) => "unchanged",
            Self::Refreshed(Refresh::Moved) => "moved",
            Self::Refreshed(Refresh::Deferred) => "deferred",
            Self::RolloutStarted(cause) => cause.word(),
            Self::PullFailed(reason) => reason,
        }
    }

    /// What has happened when the action has been carried out.
    pub fn of(action: &Action, outcome: &ActionOutcome) -> Vec<Self> {
        match action {
            Action::Restore { .. } if matches!(outcome, ActionOutcome::Restored { .. }) => vec![Self::Restored],
            Action::Create { cause: cause @ RolloutCause::Moved { .. }, .. } => {
                vec![Self::Refreshed(Refresh::Moved), Self::RolloutStarted(cause.into())]
            }
            Action::Create { cause, .. } => vec![Self::RolloutStarted(cause.into())],
            Action::Note { tag_check_record, .. } if tag_check_record.failed.is_empty() => {
                vec![Self::Refreshed(Refresh::Unchanged)]
            }
            Action::Note { .. } => vec![Self::Refreshed(Refresh::Deferred)],
            _ => Vec::new(),
        }
    }
}

impl CauseLabel {
    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Edited => "edited",
            Self::Unknown => "unknown",
            Self::ScopedDown => "scoped_down",
            Self::Requested => "requested",
            Self::Due => "due",
            Self::Moved => "moved",
        }
    }
}

impl From<&RolloutCause> for CauseLabel {
    fn from(cause: &RolloutCause) -> Self {
        match cause {
            RolloutCause::Missing => Self::Missing,
            RolloutCause::Edited => Self::Edited,
            RolloutCause::Unknown => Self::Unknown,
            RolloutCause::ScopedDown => Self::ScopedDown,
            RolloutCause::Requested => Self::Requested,
            RolloutCause::Due => Self::Due,
            RolloutCause::Moved { .. } => Self::Moved,
        }
    }
}
