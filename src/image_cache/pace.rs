//! When there is another try, and when a renewal.

use jiff::{SignedDuration, Timestamp};

use super::cache::{Cache, after_days};

/// The most ImageCaches that are made for one content without one of them becoming ready: the first, and three more.
pub const MAX_ATTEMPTS: u32 = 4;
/// How long an ImageCache must have been ready for its loss to count as the first again.
pub const STABLE: SignedDuration = SignedDuration::from_hours(1);
/// After how long the building of an ImageCache that nobody wants any more is not waited for.
pub const STUCK: SignedDuration = SignedDuration::from_hours(2);
/// After how long the building of an ImageCache is told to be slow.
pub const SLOW: SignedDuration = SignedDuration::from_hours(1);
/// How long to wait for nodes to tell the digests of new images.
pub const DIGESTS_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// The longest time before its end that an ImageCache is renewed.
const LONGEST_LEAD: SignedDuration = SignedDuration::from_hours(72);

/// The pause before try `failures + 1`: one minute, four, sixteen, at most 64.
pub fn pause(failures: u32) -> SignedDuration {
    match failures {
        0 => SignedDuration::ZERO,
        failures => SignedDuration::from_mins(1 << (2 * (failures - 1).min(3))),
    }
}

/// When an ImageCache is to be renewed: when three quarters of its life have passed, or three days before its end. One that
/// never expires is as old as the list allows at that age.
pub fn renewal_at(cache: &Cache, retention_days: Option<u32>) -> Option<Timestamp> {
    let created = cache.created?;
    let end = cache.expires_at().or_else(|| after_days(created, retention_days?))?;
    end.checked_sub(lead(end.duration_since(created))).ok()
}

/// How long before the end of such a life the next one is begun.
pub fn lead(life: SignedDuration) -> SignedDuration {
    (life / 4).min(LONGEST_LEAD)
}
