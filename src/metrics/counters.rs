//! What is counted for each list.

use crate::coverage::PULL_FAILURES;
use crate::plan::{Action, ActionOutcome, RolloutCause};

/// Something that happened to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// An edit was rejected.
    Rejected,
    /// The tags of a group were checked.
    Refreshed(CountedTagCheck),
    /// A rollout started, for the cause with this label.
    RolloutStarted(&'static str),
    /// A DaemonSet that another client had changed was restored.
    Restored,
    /// An image cannot be pulled on a node, for this reason of the kubelet's.
    PullFailed(&'static str),
}

/// The outcome of a check of a group's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CountedTagCheck {
    /// No tag has moved enough for a rollout.
    Unchanged,
    /// Tags have moved, and a rollout started.
    Moved,
    /// Some tags could not be checked.
    Deferred,
}

/// One of each kind.
const CAUSES: [RolloutCause; 8] = [
    RolloutCause::Missing,
    RolloutCause::Edited,
    RolloutCause::Unknown,
    RolloutCause::ScopedDown,
    RolloutCause::OwnImage,
    RolloutCause::Requested,
    RolloutCause::Due,
    RolloutCause::Moved { images: 1 },
];

/// A counter and all that it counts.
#[derive(Debug)]
pub struct Counter {
    /// The name without the suffix `_total`.
    pub name: &'static str,
    /// The description that scrapers show.
    pub help: &'static str,
    /// The label that distinguishes what it counts, if it counts several things.
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
        help: "Checks of a group's tags, by outcome.",
        label: Some("outcome"),
        happenings: || {
            vec![
                Counted::Refreshed(CountedTagCheck::Unchanged),
                Counted::Refreshed(CountedTagCheck::Moved),
                Counted::Refreshed(CountedTagCheck::Deferred),
            ]
        },
    },
    Counter {
        name: "rollouts_started",
        help: "Rollouts that started, by cause.",
        label: Some("cause"),
        happenings: || CAUSES.map(|cause| Counted::RolloutStarted(label(cause))).to_vec(),
    },
    Counter {
        name: "restores",
        help: "DaemonSets that another client had changed and that were restored.",
        label: None,
        happenings: || vec![Counted::Restored],
    },
    Counter {
        name: "pull_failures",
        help: "Times that an image, or that of an init container, could not be pulled on a node, by the kubelet's first reason.",
        label: Some("reason"),
        happenings: || PULL_FAILURES.map(Counted::PullFailed).to_vec(),
    },
];

impl Counted {
    /// The value of the counter's label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Restored => "restored",
            Self::Refreshed(CountedTagCheck::Unchanged) => "unchanged",
            Self::Refreshed(CountedTagCheck::Moved) => "moved",
            Self::Refreshed(CountedTagCheck::Deferred) => "deferred",
            Self::RolloutStarted(label) | Self::PullFailed(label) => label,
        }
    }

    /// What to count when the action was carried out.
    pub fn of(action: &Action, outcome: &ActionOutcome) -> Vec<Self> {
        match action {
            Action::Restore { .. } if matches!(outcome, ActionOutcome::Restored { .. }) => vec![Self::Restored],
            Action::Create { cause: cause @ RolloutCause::Moved { .. }, .. } => {
                vec![Self::Refreshed(CountedTagCheck::Moved), Self::RolloutStarted(label(*cause))]
            }
            Action::Create { cause, .. } => vec![Self::RolloutStarted(label(*cause))],
            Action::Note { tag_check_record, .. } if tag_check_record.failed.is_empty() => {
                vec![Self::Refreshed(CountedTagCheck::Unchanged)]
            }
            Action::Note { .. } => vec![Self::Refreshed(CountedTagCheck::Deferred)],
            _ => Vec::new(),
        }
    }
}

/// The label of a cause in counters.
fn label(cause: RolloutCause) -> &'static str {
    match cause {
        RolloutCause::Missing => "missing",
        RolloutCause::Edited => "edited",
        RolloutCause::Unknown => "unknown",
        RolloutCause::ScopedDown => "scoped_down",
        RolloutCause::OwnImage => "own_image",
        RolloutCause::Requested => "requested",
        RolloutCause::Due => "due",
        RolloutCause::Moved { .. } => "moved",
    }
}
