//! When a group's refresh is due.
//!
//! Nothing is remembered: a refresh counts from when the group's tags were last resolved, by a tag check or by a rollout that
//! pulled everything with `Always`, and both are what the group's newest generation says of itself. So a tick that nobody
//! saw is made up once, since what is made for it counts from then on; a restart of the controller changes
//! nothing; and a change of the schedule counts from then too, so it begins a rollout at once only if that was too
//! long ago by the new schedule.
//!
//! Two clocks date a rollout: the epoch is the controller's, the creation is the API server's. A date in the future is
//! wrong, so it does not count while the other one is not; each jump of a clock costs one rollout at most.

use jiff::{SignedDuration, Timestamp};

use super::decision::{Plan, Waiting};
use super::generation::Generation;
use crate::list::config::{Group, Image, Refresh, RefreshMode};
use crate::list::schedule::Schedule;

/// The most that clocks differ of machines that are kept in time: a date that is less in the future is taken for one.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// When a group's refresh is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRefresh {
    /// Now.
    Due {
        /// Since when, by the schedule; `None` where only a request asks for it.
        since: Option<Timestamp>,
    },
    /// At that time.
    At(Timestamp),
    /// The last rollout is dated in the future, so it cannot be said before that time.
    UnknownUntil(Timestamp),
    /// At no time that the schedule knows.
    Never,
}

impl NextRefresh {
    /// Since when it is due by the schedule; `None` where it is not.
    pub fn due_since(self) -> Option<Timestamp> {
        match self {
            Self::Due { since } => since,
            Self::At(_) | Self::UnknownUntil(_) | Self::Never => None,
        }
    }
}

/// When the refresh of a group with that newest generation is due. `None` where it does not say how it was made.
pub fn next_refresh(schedule: &Schedule, newest: &Generation, now: Timestamp) -> Option<NextRefresh> {
    let record = newest.record.as_ref()?;
    let last = match last_rollout(record.epoch, newest.created, now) {
        Ok(last) => last,
        Err(until) if until.duration_since(now) <= CLOCK_SKEW => return Some(NextRefresh::At(until)),
        Err(until) => return Some(NextRefresh::UnknownUntil(until)),
    };
    // A rollout that carries images over does not resolve their tags, so it moves no refresh.
    let resolved = newest.tag_check_record.last.filter(|resolved| *resolved <= now).unwrap_or(last);
    Some(match schedule.next_after(resolved) {
        None => NextRefresh::Never,
        Some(due) => match due.max(all_start_delays_are_over(last, record.spread_seconds)) {
            due if due <= now => NextRefresh::Due { since: Some(due) },
            due => NextRefresh::At(due),
        },
    })
}

/// Wakes up when the next refresh is due, and says if that is not known.
pub(super) fn wait_for(next: Option<NextRefresh>, group: &Group, plan: &mut Plan) {
    match next {
        Some(NextRefresh::At(time)) => plan.wake_up_at(time),
        Some(NextRefresh::UnknownUntil(until)) => {
            plan.waiting.push(Waiting::Clock { group: group.name.to_string(), until });
            plan.wake_up_at(until);
        }
        Some(NextRefresh::Due { .. } | NextRefresh::Never) | None => {}
    }
}

/// When all tags of a generation were last resolved: by a tag check, or by a rollout that pulled everything with `Always`.
pub(super) fn resolved_at(generation: &Generation) -> Option<Timestamp> {
    generation.tag_check_record.last.or(generation.record.as_ref().map(|record| record.epoch))
}

/// When the plan looks at a group's tags next, or begins the next rollout where the mode asks for one: the next refresh, or the
/// next try after one in vain. `request` is the value of the annotation that asks for a refresh.
pub fn next_tag_check(
    refresh: &Refresh,
    group: &Group,
    newest: &Generation,
    request: Option<&str>,
    now: Timestamp,
) -> Option<NextRefresh> {
    let on_change = refresh.mode == RefreshMode::OnChange;
    if on_change && !group.images.iter().any(Image::may_move) {
        return Some(NextRefresh::Never);
    }
    let scheduled = next_refresh(&refresh.schedule, newest, now);
    if request.is_some_and(|request| !newest.answers(request)) {
        return Some(NextRefresh::Due { since: scheduled.and_then(NextRefresh::due_since) });
    }
    match retry_at(&refresh.schedule, newest, now).filter(|_| on_change) {
        Some(retry_at) if now < retry_at => Some(NextRefresh::At(retry_at)),
        Some(retry_at) => Some(NextRefresh::Due { since: Some(retry_at) }),
        None => scheduled,
    }
}

/// When to try again after a look that told nothing of some images.
pub(super) fn retry_at(schedule: &Schedule, newest: &Generation, now: Timestamp) -> Option<Timestamp> {
    // A later one than that was set by a clock that was wrong.
    let latest = schedule.next_after(now).and_then(|due| due.checked_add(CLOCK_SKEW).ok());
    newest.tag_check_record.retry_at.filter(|at| latest.is_none_or(|latest| *at <= latest))
}

/// What the last look at a group's tags, or the last rollout, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// None since a rollout that pulled everything with `Always`.
    Rollout,
    /// A tag had moved, and a rollout began.
    Moved,
    /// No tag had moved.
    Unchanged,
    /// Some images could not be looked at: what is held stays held, and it is tried again.
    Deferred,
}

/// When a group's tags were last looked at, and what came of it. A rollout pulls all tags again, so it counts as a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTagCheck {
    /// When it ended, or when the rollout began.
    pub at: Timestamp,
    /// When one last told of images; those that it did not tell of are in the generation's looks.
    pub success: Timestamp,
    /// What it came to.
    pub outcome: RefreshOutcome,
}

/// The last tag check of a group with that newest generation. `None` where it does not say how it was made.
pub fn last_tag_check(newest: &Generation) -> Option<LastTagCheck> {
    let (epoch, tag_check_record) = (newest.record.as_ref()?.epoch, &newest.tag_check_record);
    let outcome = match tag_check_record.looked {
        None => RefreshOutcome::Rollout,
        // A look that begins a rollout is noted on what it began, whose epoch is in whole seconds.
        Some(looked) if looked.as_second() == epoch.as_second() => RefreshOutcome::Moved,
        Some(_) if !tag_check_record.failed.is_empty() => RefreshOutcome::Deferred,
        Some(_) => RefreshOutcome::Unchanged,
    };
    Some(LastTagCheck {
        at: tag_check_record.looked.or(tag_check_record.last).unwrap_or(epoch),
        success: tag_check_record.last.unwrap_or(epoch),
        outcome,
    })
}

/// When the last rollout began, or until when that cannot be known.
fn last_rollout(epoch: Timestamp, created: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Timestamp> {
    if now < epoch && epoch.duration_since(now) <= CLOCK_SKEW {
        return Err(epoch);
    }
    let dates = [Some(epoch), created].into_iter().flatten();
    dates.clone().filter(|date| *date <= now).max().ok_or_else(|| dates.min().unwrap_or(epoch))
}

/// When the last node's turn has come. A refresh before would keep that node waiting again and again.
pub fn all_start_delays_are_over(last: Timestamp, spread_seconds: u64) -> Timestamp {
    let spread = SignedDuration::from_secs(spread_seconds.try_into().unwrap_or(i64::MAX));
    last.checked_add(spread).unwrap_or(Timestamp::MAX)
}
