//! What is known of the Lease, and what to do about it. Pure.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// How long the Lease lasts without a renewal, and so the longest that nobody leads after a crash.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often the leader renews it.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// The pause after a failed attempt.
pub const RETRY: Duration = Duration::from_secs(2);

/// The identity of the Lease's holder, unless it is free.
pub fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

/// What is known of the Lease.
#[derive(Debug, Default)]
pub struct LeaseView {
    /// Whether the first listing is complete: before, a missing Lease may just not have been seen.
    pub complete: bool,
    pub lease: Option<Lease>,
    /// When it was seen to change last.
    seen_at: Option<Instant>,
}

/// What to do about the Lease.
#[derive(Debug, PartialEq)]
pub enum Step {
    Wait(Duration),
    Write(Box<Lease>),
}

impl LeaseView {
    /// Records the Lease as it was seen at that time.
    pub fn see(&mut self, lease: Option<Lease>, now: Instant) {
        let spec = |lease: &Option<Lease>| lease.as_ref().and_then(|lease| lease.spec.clone());
        if spec(&self.lease) != spec(&lease) {
            self.seen_at = Some(now);
        }
        self.lease = lease;
    }

    /// What the controller of that identity does next.
    pub fn step(&self, identity: &str, now: Instant) -> Step {
        if !self.complete {
            return Step::Wait(RETRY);
        }
        let Some(lease) = &self.lease else { return Step::Write(Box::new(claimed(Lease::default(), identity))) };
        let age = self.seen_at.map_or(Duration::ZERO, |seen_at| now.saturating_duration_since(seen_at));
        let wait_for = match holder(lease) {
            None => Duration::ZERO,
            Some(own) if own == identity => RENEWAL,
            Some(_) => lasts(lease),
        };
        match wait_for.checked_sub(age) {
            Some(rest) if !rest.is_zero() => Step::Wait(rest),
            _ => Step::Write(Box::new(claimed(lease.clone(), identity))),
        }
    }
}

/// How long the Lease lasts, as its holder wrote.
fn lasts(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DURATION, Duration::from_secs)
}

/// The Lease with us as its holder.
fn claimed(mut lease: Lease, identity: &str) -> Lease {
    let now = MicroTime(Timestamp::now());
    let before = lease.spec.take().unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(identity);
    let transitions = before.lease_transitions.unwrap_or(0);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
        lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
        renew_time: Some(now),
        ..LeaseSpec::default()
    });
    lease
}

/// The Lease in a form that keeps every controller from taking it for that long.
pub fn suspended(lease: Lease, lasts: Duration) -> Lease {
    let mut lease = claimed(lease, "clean-up");
    lease.spec.get_or_insert_default().lease_duration_seconds = i32::try_from(lasts.as_secs()).ok();
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(identity: &str) -> Lease {
        let mut lease = claimed(Lease::default(), identity);
        lease.metadata.resource_version = Some("1".to_owned());
        lease
    }

    fn view(lease: Option<Lease>, seen_at: Instant) -> LeaseView {
        let mut view = LeaseView { complete: true, ..LeaseView::default() };
        view.see(lease, seen_at);
        view
    }

    fn claims(step: Step) -> bool {
        matches!(step, Step::Write(lease) if holder(&lease).is_some_and(|holder| holder == "me"))
    }

    #[test]
    fn a_lease_that_is_missing_or_free_is_taken_at_once() {
        let now = Instant::now();
        assert!(claims(view(None, now).step("me", now)));
        let mut free = held_by("other");
        free.spec.get_or_insert_default().holder_identity = Some(String::new());
        assert!(claims(view(Some(free), now).step("me", now)));
    }

    #[test]
    fn before_the_lease_was_looked_for_nothing_is_written() {
        assert_eq!(LeaseView::default().step("me", Instant::now()), Step::Wait(RETRY));
    }

    #[test]
    fn the_lease_of_another_is_taken_when_it_was_not_renewed_for_as_long_as_it_lasts() {
        let seen = Instant::now();
        let mut view = view(Some(held_by("other")), seen);
        let almost = seen + DURATION - Duration::from_secs(1);
        assert_eq!(view.step("me", almost), Step::Wait(Duration::from_secs(1)));
        view.see(Some(held_by("other")), almost);
        assert_eq!(view.step("me", seen + DURATION), Step::Wait(DURATION - Duration::from_secs(1)));
        assert!(claims(view.step("me", almost + DURATION)));
    }

    #[test]
    fn ones_own_lease_is_renewed_and_remembers_since_when_it_is_held() {
        let seen = Instant::now();
        let own = held_by("me");
        let view = view(Some(own.clone()), seen);
        assert_eq!(view.step("me", seen), Step::Wait(RENEWAL));
        let Step::Write(renewed) = view.step("me", seen + RENEWAL) else { panic!("it must be renewed") };
        let (before, after) = (own.spec.expect("a spec"), renewed.spec.expect("a spec"));
        assert_eq!((before.acquire_time, before.lease_transitions), (after.acquire_time, after.lease_transitions));
        assert_eq!(renewed.metadata.resource_version.as_deref(), Some("1"), "so that a faster one is not overwritten");
    }
}
