//! What the plan decides. Data only: the words are made in [`crate::messages`].
//!
//! - [`action`]: what is to be done, and why
//! - [`waiting`]: what waits, and for what
//! - [`finding`]: what was found

mod action;
mod finding;
mod waiting;

use std::collections::BTreeSet;

pub use action::{Action, ActionOutcome, DeletionReason, RolloutCause, ScopeDownReason};
pub use finding::{ConditionReport, FailingImage, FailingInitContainer, Finding, MovedTag, UncheckedImage};
use jiff::Timestamp;
pub use waiting::Waiting;

use super::generation::Generation;
use super::generation::conditions::ReportedConditions;
use super::generation::tag_check_record::TagCheckRecord;

/// What to do for a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The writes, in this order. Generations that are no longer needed are deleted first, which frees capacity.
    pub actions: Vec<Action>,
    /// What is waiting, and for what.
    pub waiting: Vec<Waiting>,
    /// Conditions to report after the writes.
    pub condition_reports: Vec<ConditionReport>,
    /// When to plan again if nothing changes before.
    pub wake_at: Option<Timestamp>,
    /// The UIDs of the tag checks that are still awaited. All others are deleted.
    pub tag_checks: BTreeSet<String>,
}

impl Plan {
    /// The same without anything that would create pods of new content, and without what only makes sense together with that. For a
    /// version of a list that the policy no longer allows: its images stay held by what exists, which is kept as it is.
    pub fn without_new_content(mut self) -> Self {
        self.actions.retain(|action| match action {
            Action::Create { .. } | Action::CheckTags { .. } => false,
            Action::Delete { reason: DeletionReason::Recreated(_), .. } => false,
            Action::Delete { .. }
            | Action::Restore { .. }
            | Action::ResetStrategy { .. }
            | Action::Adopt { .. }
            | Action::ScopeDown { .. }
            | Action::Recount { .. }
            | Action::Seal { .. }
            | Action::Tolerate { .. }
            | Action::ReplacePod { .. }
            | Action::EndTagCheck { .. }
            | Action::Note { .. }
            | Action::NoteParallelPulls { .. }
            | Action::Report(_) => true,
        });
        self
    }

    /// What has been reported of a generation's group once this has been carried out.
    pub fn reported_of<'r>(&'r self, generation: &'r Generation) -> &'r ReportedConditions {
        let now = self.condition_reports.iter().find(|report| report.daemon_set == generation.name);
        now.map_or(&generation.reported, |report| &report.reported)
    }

    /// Plans again at this time at the latest.
    pub fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

/// A rollout that a tag check starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// The images whose tags have moved, by container name.
    pub images: BTreeSet<String>,
    /// The results of tag checks that the new generation starts with.
    pub tag_check_record: TagCheckRecord,
    /// The findings to report.
    pub findings: Vec<Finding>,
}
