//! An ImageCache, what is wrong, and now → its next status, or its end. Pure.
//!
//! ```text
//! Pending ──► Creating 0% … 90% ──► Ready ──► deleted, after its retention
//!    └───────────┴──► Failed ──► deleted, after 24 hours
//! ```

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::behaviour::Behaviour;
use crate::fault::Fault;
use crate::image_cache::{ImageCache, Phase, Spec, Status, event};

/// For how long a failed one is kept.
const FAILED_IS_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The most images in one.
const MAX_IMAGES: usize = 20;
/// What progress goes by, in per cent.
const STEP: i64 = 10;
/// When all images are pulled; the rest is the snapshot.
const PULLED: i64 = 90;
const DONE: &str = "100%";
const MIB_PER_GIB: u64 = 1024;

/// What there is to know beside the ImageCache itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'c> {
    /// The time.
    pub now: Timestamp,
    /// What goes wrong with it.
    pub fault: Option<Fault>,
    /// Secrets that it names and that are not there.
    pub missing_secrets: &'c [String],
    /// The service's times and sizes.
    pub behaviour: Behaviour,
}

/// What to do about an ImageCache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// At once.
    pub act: Option<Act>,
    /// When to decide again, if nothing happens before.
    pub check_again: Option<Timestamp>,
}

/// What the service does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Writes a new status.
    Report(Box<Status>),
    /// Deletes it.
    Delete,
}

/// What to do about an ImageCache.
#[must_use]
pub fn decide(cache: &ImageCache, circumstances: &Circumstances<'_>) -> Decision {
    if cache.metadata.deletion_timestamp.is_some() {
        return Decision::default();
    }
    let now = circumstances.now;
    let status = cache.status.clone().unwrap_or_default();
    let Some(Time(start)) = status.start_time.clone() else {
        let taken_on =
            Status { phase: Some(Phase::Pending), start_time: Some(Time(now)), progress: percent(0), ..status };
        return report(taken_on, now, now.checked_add(circumstances.behaviour.pending).ok());
    };
    if status.expire_date_time.as_ref().is_some_and(|Time(expires)| *expires <= now) {
        return Decision { act: Some(Act::Delete), check_again: None };
    }
    match status.phase {
        None | Some(Phase::Pending) => pending(cache, status, start, circumstances),
        Some(Phase::Creating) if status.progress.as_deref() == Some(DONE) => flapping(status, circumstances),
        Some(Phase::Creating) => creating(cache, status, start, circumstances),
        Some(Phase::Ready) => ready(status, circumstances),
        Some(Phase::Failed) => Decision { act: None, check_again: expires(&status) },
    }
}

fn pending(cache: &ImageCache, status: Status, start: Timestamp, circumstances: &Circumstances<'_>) -> Decision {
    let Circumstances { now, fault, missing_secrets, behaviour } = *circumstances;
    let begins = start + behaviour.pending;
    if fault == Some(Fault::StaysPending) {
        return Decision::default();
    }
    if now < begins {
        return Decision { act: None, check_again: Some(begins) };
    }
    let missing = missing_secrets.first().map(String::as_str);
    let missing = missing.or_else(|| (fault == Some(Fault::SecretMissing)).then_some("simulated:missing"));
    if let Some(secret) = missing {
        return fail(status, "imagecache", format!("image pull secret {secret} not found"), now);
    }
    if let Some(refusal) = refusal(&cache.spec) {
        return fail(status, "imagecache", refusal, now);
    }
    let id = cache.metadata.uid.iter().flat_map(|uid| uid.chars()).filter(char::is_ascii_alphanumeric).take(20);
    let id = Some(format!("imc-{}", id.collect::<String>()));
    let begun = Status { phase: Some(Phase::Creating), progress: percent(0), image_cache_id: id, ..status };
    report(begun, now, Some(step_begins(start, 1, behaviour)))
}

/// What the service does not even begin with.
fn refusal(spec: &Spec) -> Option<String> {
    if spec.images.len() > MAX_IMAGES {
        return Some(format!(
            "{} images are more than the {MAX_IMAGES} that an image cache can hold",
            spec.images.len()
        ));
    }
    if !(20..=32_768).contains(&spec.size()) {
        return Some(format!("imageCacheSize {} is not between 20 and 32768", spec.size()));
    }
    let days = spec.retention_days.filter(|days| !(1..=65_536).contains(days))?;
    Some(format!("retentionDays {days} is not between 1 and 65536"))
}

fn creating(cache: &ImageCache, mut status: Status, start: Timestamp, circumstances: &Circumstances<'_>) -> Decision {
    let Circumstances { now, fault, behaviour, .. } = *circumstances;
    let steps = (1..=100 / STEP).filter(|step| step_begins(start, *step, behaviour) <= now).max().unwrap_or(0);
    let come_to = steps * STEP;
    if let Some(Fault::FailsAt(at)) = fault
        && come_to >= i64::from(at)
    {
        let image = pull(cache, &mut status, at.into(), circumstances).unwrap_or_default();
        status.progress = percent(at.into());
        return fail(status, &image, format!("Failed to pull image {image}: simulated fault"), now);
    }
    let too_large = pull(cache, &mut status, come_to, circumstances);
    status.progress = percent(come_to);
    if let Some(image) = too_large.filter(|_| no_capacity_at(cache, circumstances) < tried(cache, come_to)) {
        let size = cache.spec.size();
        return fail(status, &image, format!("Failed to pull image {image}: no space left in {size} GiB"), now);
    }
    if come_to < 100 {
        let changed = cache.status.as_ref().is_none_or(|before| before.progress != status.progress);
        let next = Some(step_begins(start, steps + 1, behaviour));
        return if changed { report(status, now, next) } else { Decision { act: None, check_again: next } };
    }
    status.phase = Some(Phase::Ready);
    let days = cache.spec.retention_days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
    status.expire_date_time = days.and_then(|days| now.checked_add(days).ok()).map(Time);
    let check_again = expires(&status);
    // Whatever goes wrong with one that is ready is found the next time, which the new status leads to.
    report(status, now, check_again)
}

/// How many of the images have been tried at that progress.
fn tried(cache: &ImageCache, come_to: i64) -> usize {
    let images = cache.spec.images.len();
    usize::try_from(come_to).map_or(0, |come_to| come_to * images / PULLED as usize).min(images)
}

/// The first image that does not fit, by its place among the images.
fn no_capacity_at(cache: &ImageCache, circumstances: &Circumstances<'_>) -> usize {
    let available = u64::from(cache.spec.size()) * MIB_PER_GIB;
    let of_each = match circumstances.fault {
        Some(Fault::SizeTooSmall) => available,
        _ => circumstances.behaviour.image_mib,
    };
    usize::try_from(available / (2 * of_each.max(1))).unwrap_or(usize::MAX)
}

/// Tells of the images that are pulled at that progress, and names the next one.
fn pull(cache: &ImageCache, status: &mut Status, come_to: i64, circumstances: &Circumstances<'_>) -> Option<String> {
    let pulled = tried(cache, come_to).min(no_capacity_at(cache, circumstances));
    let reported = status.events.len();
    for image in cache.spec.images.iter().take(pulled).skip(reported) {
        let message = format!("Success pull image {image}");
        status.events.push(event(image, "Normal", message, &Time(circumstances.now)));
    }
    cache.spec.images.get(pulled).or(cache.spec.images.last()).cloned()
}

fn ready(mut status: Status, circumstances: &Circumstances<'_>) -> Decision {
    let Circumstances { now, fault, .. } = *circumstances;
    let since = status.last_updated_time.as_ref().map_or(now, |Time(since)| *since);
    match fault {
        Some(Fault::IsDeleted) => Decision { act: Some(Act::Delete), check_again: None },
        Some(Fault::ExpiresEarly(after)) => {
            let early = since + after;
            if expires(&status).is_some_and(|expires| expires <= early) {
                return Decision { act: None, check_again: expires(&status) };
            }
            // Its time as Ready goes on, so the last update stays what it was.
            status.expire_date_time = Some(Time(early));
            Decision { act: Some(Act::Report(Box::new(status))), check_again: Some(early) }
        }
        Some(Fault::Flaps(every)) if since + every <= now => {
            report(Status { phase: Some(Phase::Creating), ..status }, now, now.checked_add(every).ok())
        }
        Some(Fault::Flaps(every)) => Decision { act: None, check_again: Some(since + every) },
        _ => Decision { act: None, check_again: expires(&status) },
    }
}

/// One that was Ready, and says for a while that it is not.
fn flapping(status: Status, circumstances: &Circumstances<'_>) -> Decision {
    let now = circumstances.now;
    let since = status.last_updated_time.as_ref().map_or(now, |Time(since)| *since);
    match circumstances.fault {
        Some(Fault::Flaps(every)) if now < since + every => Decision { act: None, check_again: Some(since + every) },
        _ => report(Status { phase: Some(Phase::Ready), ..status }, now, None),
    }
}

fn fail(mut status: Status, about: &str, message: String, now: Timestamp) -> Decision {
    status.phase = Some(Phase::Failed);
    status.events.push(event(about, "Warning", message, &Time(now)));
    let expires = now + FAILED_IS_KEPT;
    status.expire_date_time = Some(Time(expires));
    report(status, now, Some(expires))
}

fn report(mut status: Status, now: Timestamp, check_again: Option<Timestamp>) -> Decision {
    status.last_updated_time = Some(Time(now));
    Decision { act: Some(Act::Report(Box::new(status))), check_again }
}

fn step_begins(start: Timestamp, step: i64, behaviour: Behaviour) -> Timestamp {
    let building = behaviour.building * i32::try_from(step * STEP).unwrap_or(i32::MAX) / 100;
    start + behaviour.pending + building
}

fn expires(status: &Status) -> Option<Timestamp> {
    status.expire_date_time.as_ref().map(|Time(expires)| *expires)
}

fn percent(number: i64) -> Option<String> {
    Some(format!("{number}%"))
}

#[cfg(test)]
mod tests;
