//! The part of the report about rollouts and refreshes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::list::config::{self, RefreshMode};
use crate::messages::findings::unchecked;
use crate::plan::Generation;
use crate::plan::refresh::{NextRefresh, RefreshOutcome, last_tag_check, next_tag_check, start_delays_end};
use crate::summary::progress::GroupProgress;
use crate::text::CleanText;

/// The newest generation's rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RolloutReport {
    pub generation: CleanText,
    pub started_at: Timestamp,
    pub start_delays_end_at: Timestamp,
    pub spread_seconds: u64,
    pub complete: bool,
    pub state: RolloutState,
    pub nodes: usize,
    pub nodes_with_all: usize,
}

/// How far a rollout is. `docs/status.md` documents each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum RolloutState {
    InProgress,
    Stalled,
    NoNodes,
    Complete,
}

impl RolloutReport {
    /// The rollout of the first of `generations`, which are sorted from new to old. `None` if there is no generation, or if the
    /// newest has no record of how it was created. If nodes are not known, the DaemonSet's status says whether pods are to come.
    pub fn new(
        generations: &[&Generation],
        progress: GroupProgress,
        nodes_known: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let (newest, older) = generations.split_first()?;
        let record = newest.record.as_ref()?;
        let start_delays_end_at = start_delays_end(record.epoch, record.spread_seconds);
        let lacks_pods = || newest.scheduled.map_or(progress.nodes == 0, |scheduled| !scheduled.complete);
        let awaits_pods = !nodes_known && lacks_pods();
        let state = match () {
            () if progress.is_moving || awaits_pods || now < start_delays_end_at => RolloutState::InProgress,
            () if progress.nodes == 0 => RolloutState::NoNodes,
            () if !progress.is_complete() => RolloutState::Stalled,
            () if older.is_empty() => RolloutState::Complete,
            () => RolloutState::InProgress,
        };
        Some(Self {
            generation: newest.name.as_str().into(),
            started_at: record.epoch,
            start_delays_end_at,
            spread_seconds: record.spread_seconds,
            complete: state == RolloutState::Complete,
            state,
            nodes: progress.nodes,
            nodes_with_all: progress.with_all,
        })
    }
}

/// When tags are checked, and the result of the last check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RefreshReport {
    pub mode: RefreshMode,
    pub schedule: CleanText,
    pub due: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RefreshOutcome>,
    pub deferred: Vec<DeferredImage>,
}

/// An image whose tag could not be checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DeferredImage {
    pub name: CleanText,
    pub reference: CleanText,
    pub reason: CleanText,
}

impl RefreshReport {
    /// Reports the refreshes of a group; `newest` is its newest generation.
    pub fn new(
        refresh: &config::Refresh,
        group: &config::Group,
        newest: Option<&Generation>,
        request: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let last = newest.and_then(last_tag_check);
        let next = newest.and_then(|newest| next_tag_check(refresh, group, newest, request, now));
        let deferred = newest.into_iter().flat_map(|newest| &newest.tag_check_record.failed).map(|(name, failure)| {
            let listed = group.images.iter().find(|image| image.name.as_str() == name);
            let reference = listed.map_or_else(CleanText::default, |image| CleanText::of(&image.reference));
            let reason = failure.as_ref().map(unchecked).unwrap_or_default();
            DeferredImage { name: name.into(), reference, reason: reason.into() }
        });
        Self {
            mode: refresh.mode,
            schedule: CleanText::of(&refresh.schedule),
            due: matches!(next, Some(NextRefresh::Due { .. })),
            due_since: next.and_then(NextRefresh::due_since),
            next_at: match next {
                Some(NextRefresh::At(at) | NextRefresh::UnknownUntil(at)) => Some(at),
                Some(NextRefresh::Due { .. } | NextRefresh::Never) | None => None,
            },
            last_check_at: last.map(|last| last.at),
            last_success_at: last.map(|last| last.success),
            outcome: last.map(|last| last.outcome),
            deferred: deferred.collect(),
        }
    }
}
