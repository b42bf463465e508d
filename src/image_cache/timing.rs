//! When to retry and when to renew.

use jiff::{SignedDuration, Timestamp};

use super::cache::{Cache, after_days};

/// How many ImageCaches are created for one content before one must have been ready: the first and three retries.
pub const MAX_ATTEMPTS: u32 = 4;
/// An ImageCache that was ready for that long resets the count of losses.
pub const STABLE: SignedDuration = SignedDuration::from_hours(1);
/// How long to wait for the build of an ImageCache that is no longer wanted.
pub const STUCK: SignedDuration = SignedDuration::from_hours(2);
/// When a build is reported as slow.
pub const SLOW: SignedDuration = SignedDuration::from_hours(1);
/// How long to wait for nodes to report the digests of new images.
pub const DIGESTS_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// The longest time before its expiry at which an ImageCache is renewed.
const LONGEST_LEAD: SignedDuration = SignedDuration::from_hours(72);

/// The pause before attempt `failures + 1`: one minute, four, sixteen, at most 64.
pub fn pause(failures: u32) -> SignedDuration {
    match failures {
        0 => SignedDuration::ZERO,
        failures => SignedDuration::from_mins(1 << (2 * (failures - 1).min(3))),
    }
}

/// When an ImageCache must be renewed: after three quarters of its lifetime, or three days before it expires. For one that
/// never expires, the list's retention counts.
pub fn renewal_at(cache: &Cache, retention_days: Option<u32>) -> Option<Timestamp> {
    let created = cache.created?;
    let end = cache.expires_at().or_else(|| after_days(created, retention_days?))?;
    end.checked_sub(lead(end.duration_since(created))).ok()
}

/// How long before the expiry the renewal starts.
pub fn lead(life: SignedDuration) -> SignedDuration {
    (life / 4).min(LONGEST_LEAD)
}
