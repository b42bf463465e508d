//! When a group's refresh is due.
//!
//! Nothing is kept in memory: a refresh counts from when the group's tags were last resolved, by a tag check or by a
//! rollout that pulled everything with `Always`. Both are recorded on the group's newest generation. So if the
//! controller misses scheduled times while it is down, it makes up for them with one refresh. A restart of the
//! controller changes nothing. A change of the schedule starts a rollout immediately only if the last one is too long
//! ago by the new schedule.
//!
//! A rollout has two timestamps: its epoch comes from the controller's clock, the creation time from the API server's.
//! A timestamp in the future is wrong, and is ignored unless the other one is in the future too. Each jump of a clock
//! causes at most one rollout.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::decision::{Plan, Waiting};
use super::generation::Generation;
use crate::list::config::{Group, Image, Refresh, RefreshMode};
use crate::list::schedule::Schedule;

/// The maximum difference between synchronized clocks. A timestamp that is less than this in the future counts as
/// correct.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// When a group's refresh is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRefresh {
    /// It is due now.
    Due {
        /// Since when it is due by the schedule, or `None` if it was only requested.
        since: Option<Timestamp>,
    },
    /// It is due at this time.
    At(Timestamp),
    /// It is unknown until this time, because the last rollout has a timestamp in the future.
    UnknownUntil(Timestamp),
    /// The schedule never matches.
    Never,
}

impl NextRefresh {
    /// Since when it is due by the schedule, or `None` if it is not.
    pub fn due_since(self) -> Option<Timestamp> {
        match self {
            Self::Due { since } => since,
            Self::At(_) | Self::UnknownUntil(_) | Self::Never => None,
        }
    }
}

/// When the refresh of a group with this newest generation is due, or `None` if it is unknown how the generation was
/// built.
pub fn next_refresh(schedule: &Schedule, newest: &Generation, now: Timestamp) -> Option<NextRefresh> {
    let record = newest.record.as_ref()?;
    let last = match last_rollout(record.epoch, newest.created, now) {
        Ok(last) => last,
        Err(until) if until.duration_since(now) <= CLOCK_SKEW => return Some(NextRefresh::At(until)),
        Err(until) => return Some(NextRefresh::UnknownUntil(until)),
    };
    Some(match schedule.next_after(last_resolved(newest, last, now)) {
        None => NextRefresh::Never,
        Some(due) => match due.max(start_delays_end(last, record.spread_seconds)) {
            due if due <= now => NextRefresh::Due { since: Some(due) },
            due => NextRefresh::At(due),
        },
    })
}

/// A rollout that carries images over does not resolve their tags, so it does not postpone the refresh.
fn last_resolved(newest: &Generation, last_rollout: Timestamp, now: Timestamp) -> Timestamp {
    newest.tag_check_record.last_success.filter(|resolved| *resolved <= now).unwrap_or(last_rollout)
}

/// When the refresh of a shard is due: with that of the first of its group's shards, so that all of them are refreshed together.
/// Shards without a tag that may move have no refresh of their own.
pub(super) fn next_refresh_of(context: &Context, shard: &Group, newest: &Generation) -> Option<NextRefresh> {
    let refresh = &context.list.config.refresh;
    let refreshed = |other: &Group| refresh.mode != RefreshMode::OnChange || other.images.iter().any(Image::may_move);
    let others = other_shards(context, shard).filter(|(other, _)| refreshed(other));
    let others: Vec<&Generation> = others.map(|(_, newest)| newest).collect();
    next_refresh_among(&refresh.schedule, newest, &others, context.now)
}

/// The other shards of a shard's group, each with its newest generation.
pub(super) fn other_shards<'a>(
    context: &Context<'a>,
    shard: &Group,
) -> impl Iterator<Item = (&'a Group, &'a Generation)> {
    let (config, generations) = (context.list.config, context.generations);
    let others = config.shards_of(shard.name.as_str()).filter(|other| !other.is_same_shard(shard));
    others.filter_map(|other| Some((other, newest_of(generations, other)?)))
}

/// The newest generation of a shard.
pub(super) fn newest_of<'g>(generations: &'g [Generation], shard: &Group) -> Option<&'g Generation> {
    let own = generations.iter().filter(|it| !it.deleting && it.is_of(shard));
    own.min_by_key(|generation| generation.newest_first())
}

/// The same, given the newest generations of the other shards.
fn next_refresh_among(
    schedule: &Schedule,
    newest: &Generation,
    others: &[&Generation],
    now: Timestamp,
) -> Option<NextRefresh> {
    let own = next_refresh(schedule, newest, now);
    let Some(NextRefresh::At(own_at)) = own else { return own };
    let first = others.iter().filter_map(|other| match next_refresh(schedule, other, now)? {
        NextRefresh::Due { since } => since,
        NextRefresh::At(at) => Some(at),
        NextRefresh::UnknownUntil(_) | NextRefresh::Never => None,
    });
    let record = newest.record.as_ref()?;
    let (Some(first), Ok(last)) = (first.min(), last_rollout(record.epoch, newest.created, now)) else { return own };
    // The first of them may be the last to be checked, for example because its registry cannot be reached.
    if own_at <= first || first <= last_resolved(newest, last, now) {
        return own;
    }
    Some(match first.max(start_delays_end(last, record.spread_seconds)) {
        due if due <= now => NextRefresh::Due { since: Some(due) },
        due => NextRefresh::At(due.min(own_at)),
    })
}

/// Plans again when the next refresh is due, and reports if that is unknown.
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

/// When all tags of a generation were last resolved, by a tag check or by a rollout that pulled everything with
/// `Always`.
pub(super) fn resolved_at(generation: &Generation) -> Option<Timestamp> {
    generation.tag_check_record.last_success.or(generation.record.as_ref().map(|record| record.epoch))
}

/// When the plan next checks a group's tags or, if the mode requires it, starts a rollout: at the next refresh, or at
/// the next retry. `current` are the newest generations of its shards, and `request` is the value of the annotation that requests a
/// refresh. `None` if there is no generation, or it is unknown how it was built.
pub fn next_tag_check(
    refresh: &Refresh,
    group: &Group,
    current: &[&Generation],
    request: Option<&str>,
    now: Timestamp,
) -> Option<NextRefresh> {
    if current.is_empty() {
        return None;
    }
    let on_change = refresh.mode == RefreshMode::OnChange;
    let tags: HashSet<&str> =
        group.images.iter().filter(|image| image.may_move()).map(|image| image.reference.as_str()).collect();
    let has_tags = |it: &&&Generation| !on_change || it.images.values().any(|image| tags.contains(image.as_str()));
    let checked: Vec<&Generation> = match current {
        [_] if on_change && tags.is_empty() => Vec::new(),
        [only] => vec![only],
        _ => current.iter().filter(has_tags).copied().collect(),
    };
    if checked.is_empty() {
        return Some(NextRefresh::Never);
    }
    let next = checked.iter().filter_map(|newest| next_check_of_shard(refresh, newest, request, now));
    next.min_by_key(|next| match next {
        NextRefresh::Due { since } => (0, *since),
        NextRefresh::At(at) | NextRefresh::UnknownUntil(at) => (1, Some(*at)),
        NextRefresh::Never => (2, None),
    })
}

fn next_check_of_shard(
    refresh: &Refresh,
    newest: &Generation,
    request: Option<&str>,
    now: Timestamp,
) -> Option<NextRefresh> {
    let scheduled = next_refresh(&refresh.schedule, newest, now);
    if request.is_some_and(|request| !newest.answers(request)) {
        return Some(NextRefresh::Due { since: scheduled.and_then(NextRefresh::due_since) });
    }
    let on_change = refresh.mode == RefreshMode::OnChange;
    match retry_at(&refresh.schedule, newest, now).filter(|_| on_change) {
        Some(retry_at) if now < retry_at => Some(NextRefresh::At(retry_at)),
        Some(retry_at) => Some(NextRefresh::Due { since: Some(retry_at) }),
        None => scheduled,
    }
}

/// When to retry after a tag check that failed for any image.
pub(super) fn retry_at(schedule: &Schedule, newest: &Generation, now: Timestamp) -> Option<Timestamp> {
    // A later time must come from a wrong clock.
    let latest = schedule.next_after(now).and_then(|due| due.checked_add(CLOCK_SKEW).ok());
    newest.tag_check_record.retry_at.filter(|at| latest.is_none_or(|latest| *at <= latest))
}

/// The outcome of a group's last tag check or rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefreshOutcome {
    /// There was no tag check since a rollout that pulled everything with `Always`.
    Rollout,
    /// A tag had moved, and a rollout started.
    Moved,
    /// No tag had moved.
    Unchanged,
    /// Some images could not be checked. Nodes keep what they hold, and the check is retried.
    Deferred,
}

/// A group's last tag check. A rollout that resolves all tags counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTagCheck {
    /// When it finished, or when the rollout started.
    pub at: Timestamp,
    /// When a check last succeeded. [`TagCheckRecord::failed`] has the images that it failed for.
    pub success: Timestamp,
    /// Whether it found that tags have moved, or failed.
    pub outcome: RefreshOutcome,
}

/// The last tag check of a group, given the newest generations of its shards; `None` if it is unknown how they were built. A check
/// that was deferred for one of them was deferred for the group.
pub fn last_tag_check(current: &[&Generation]) -> Option<LastTagCheck> {
    let checks = || current.iter().filter_map(|newest| last_check_of_shard(newest));
    let last = checks().max_by_key(|check| (check.outcome == RefreshOutcome::Deferred, check.at))?;
    Some(LastTagCheck { success: checks().map(|check| check.success).min()?, ..last })
}

fn last_check_of_shard(newest: &Generation) -> Option<LastTagCheck> {
    let (epoch, tag_check_record) = (newest.record.as_ref()?.epoch, &newest.tag_check_record);
    let outcome = match tag_check_record.last_attempt {
        None => RefreshOutcome::Rollout,
        // A tag check that starts a rollout is recorded on the new generation, whose epoch is in whole seconds.
        Some(last_attempt) if last_attempt.as_second() == epoch.as_second() => RefreshOutcome::Moved,
        Some(_) if !tag_check_record.failed.is_empty() => RefreshOutcome::Deferred,
        Some(_) => RefreshOutcome::Unchanged,
    };
    Some(LastTagCheck {
        at: tag_check_record.last_attempt.or(tag_check_record.last_success).unwrap_or(epoch),
        success: tag_check_record.last_success.unwrap_or(epoch),
        outcome,
    })
}

/// When the last rollout started, or the time until which that is unknown.
fn last_rollout(epoch: Timestamp, created: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Timestamp> {
    if now < epoch && epoch.duration_since(now) <= CLOCK_SKEW {
        return Err(epoch);
    }
    let dates = [Some(epoch), created].into_iter().flatten();
    dates.clone().filter(|date| *date <= now).max().ok_or_else(|| dates.min().unwrap_or(epoch))
}

/// When the start delays of all nodes are over. An earlier refresh could postpone the last nodes again and again.
pub fn start_delays_end(last: Timestamp, spread_seconds: u64) -> Timestamp {
    let spread = SignedDuration::from_secs(spread_seconds.try_into().unwrap_or(i64::MAX));
    last.checked_add(spread).unwrap_or(Timestamp::MAX)
}
