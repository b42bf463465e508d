//! When a group's refresh is due.
//!
//! Nothing is remembered: a refresh counts from the last round of the group, whatever began that (a new list, an edit, a
//! request, a refresh), or from the last look at its tags, and both are what the group's newest generation says of itself. So a tick that nobody
//! saw is made up once, since what is made for it is the last round from then on; a restart of the controller changes
//! nothing; and a change of the schedule counts from the last round too, so it begins one at once only where that was too
//! long ago by the new schedule.
//!
//! Two clocks date a round: the epoch is the controller's, the creation is the API server's. A date in the future is
//! wrong, so it does not count while the other one is not; each jump of a clock costs one round at most.

use jiff::{SignedDuration, Timestamp};

use super::generation::Generation;
use crate::list::schedule::Schedule;

/// The most that clocks differ of machines that are kept in time: a date that is less in the future is taken for one.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// When a group's refresh is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRefresh {
    /// Now.
    Due,
    /// At that time.
    At(Timestamp),
    /// The last round is dated in the future, so it cannot be said before that time.
    UnknownUntil(Timestamp),
    /// At no time that the schedule knows.
    Never,
}

/// When the refresh of a group with that newest generation is due. `None` where it does not say how it was made.
pub fn next_refresh(schedule: &Schedule, newest: &Generation, now: Timestamp) -> Option<NextRefresh> {
    let record = newest.record.as_ref()?;
    let last = match last_round(record.epoch, newest.created, now) {
        Ok(last) => last,
        Err(until) if until.duration_since(now) <= CLOCK_SKEW => return Some(NextRefresh::At(until)),
        Err(until) => return Some(NextRefresh::UnknownUntil(until)),
    };
    let looked = newest.looks.last.filter(|looked| *looked <= now);
    Some(match schedule.next_after(looked.map_or(last, |looked| looked.max(last))) {
        None => NextRefresh::Never,
        Some(due) => match due.max(all_turns_have_come(last, record.spread_seconds)) {
            due if due <= now => NextRefresh::Due,
            due => NextRefresh::At(due),
        },
    })
}

/// When the last round began, or until when that cannot be known.
fn last_round(epoch: Timestamp, created: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Timestamp> {
    if now < epoch && epoch.duration_since(now) <= CLOCK_SKEW {
        return Err(epoch);
    }
    let dates = [Some(epoch), created].into_iter().flatten();
    dates.clone().filter(|date| *date <= now).max().ok_or_else(|| dates.min().unwrap_or(epoch))
}

/// A refresh before the last node's turn would keep that node waiting again and again.
fn all_turns_have_come(last: Timestamp, spread_seconds: u64) -> Timestamp {
    let spread = SignedDuration::from_secs(spread_seconds.try_into().unwrap_or(i64::MAX));
    last.checked_add(spread).unwrap_or(Timestamp::MAX)
}
