//! The part of the report about rollouts and refreshes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::list::config::{self, RefreshMode};
use crate::messages::findings::unchecked;
use crate::plan::Generation;
use crate::plan::generation::check_failure::CheckFailure;
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
    /// The rollout of the newest generations of a group's shards, the newest of them first. `alone` is whether there are no older
    /// ones. `None` if there is no generation, or if the newest has no record of how it was created. If nodes are not known, the
    /// status of the DaemonSets says whether pods are to come.
    pub fn new(
        current: &[&Generation],
        alone: bool,
        progress: GroupProgress,
        nodes_known: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let newest = current.first()?;
        let record = newest.record.as_ref()?;
        let records = current.iter().filter_map(|generation| generation.record.as_ref());
        let delays = records.map(|record| start_delays_end(record.epoch, record.spread_seconds));
        let start_delays_end_at = delays.max().unwrap_or(record.epoch);
        let lacks = |it: &&Generation| it.scheduled.map_or(progress.nodes == 0, |scheduled| !scheduled.complete);
        let lacks_pods = || current.iter().any(lacks);
        let awaits_pods = !nodes_known && lacks_pods();
        let state = match () {
            () if progress.is_moving || awaits_pods || now < start_delays_end_at => RolloutState::InProgress,
            () if progress.nodes == 0 => RolloutState::NoNodes,
            () if !progress.is_complete() => RolloutState::Stalled,
            () if alone => RolloutState::Complete,
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
    /// Reports the refreshes of a group; `current` are the newest generations of its shards.
    pub fn new(
        refresh: &config::Refresh,
        group: &config::Group,
        current: &[&Generation],
        request: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let last = last_tag_check(current);
        let next = next_tag_check(refresh, group, current, request, now);
        let deferred = current.iter().flat_map(|generation| {
            let failed = generation.tag_check_record.failed.iter();
            failed.map(|(name, failure)| DeferredImage::new(group, generation, name, failure.as_ref()))
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

impl DeferredImage {
    /// The container of a shard may have another name than the image has on the list.
    fn new(group: &config::Group, generation: &Generation, container: &str, failure: Option<&CheckFailure>) -> Self {
        let reference = generation.images.get(container);
        let same = group.images.iter().find(|image| reference.is_some_and(|it| it == image.reference.as_str()));
        let listed = same.or_else(|| group.images.iter().find(|image| image.name.as_str() == container));
        Self {
            name: listed.map_or_else(|| container.into(), |image| CleanText::of(&image.name)),
            reference: listed.map_or_else(CleanText::default, |image| CleanText::of(&image.reference)),
            reason: failure.map(unchecked).unwrap_or_default().into(),
        }
    }
}
