//! The results of a generation's tag checks, as stored on its DaemonSet. After a restart, a new process continues from
//! there.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::check_failure::CheckFailure;
use super::digests::DigestLists;
use crate::list::schedule::Schedule;
use crate::naming::hash::{number, short_hash};
use crate::text::json;

/// The maximum size of the annotation. All annotations of an object share 256 KiB.
const MAX_BYTES: usize = 100_000;
/// The approximate pause after the first failure. It doubles with each further failure.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(20);
/// After this many doublings, the pause exceeds any interval.
const MAX_DOUBLINGS: u32 = 24;

/// The results of a generation's tag checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagCheckRecord {
    /// The digests that started this rollout, and those before it that no rollout delivered. They start no further
    /// rollout, since nodes may keep reporting a tag the way they did before.
    pub tried: DigestLists,
    /// Digests that some nodes still hold although other nodes hold the current image.
    #[serde(skip_serializing_if = "DigestLists::is_empty")]
    pub outdated: DigestLists,
    /// How many nodes still reported another digest after they were updated.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed_renewals: u32,
    /// When a check of all tags last succeeded for at least one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// When a tag check last finished, successfully or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Timestamp>,
    /// The hash of the request that was answered last. The request itself can have any length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How many tag checks in a row failed for any image.
    pub failures: u32,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// The images that could not be checked, and why. The reasons are for humans only, and are dropped first if the
    /// annotation gets too long.
    pub failed: BTreeMap<String, Option<CheckFailure>>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TagCheckRecord {
    /// Parses the annotation. An invalid value counts as empty, and the results are collected again.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Formats the annotation. If it is too long, reasons are dropped first, then older digests.
    pub fn to_text(&self) -> String {
        let text = |tag_check_record: &Self| json::annotation(tag_check_record);
        let unexplained =
            Self { failed: self.failed.keys().map(|name| (name.clone(), None)).collect(), ..self.clone() };
        let fewer = [4, 2, 1].into_iter().map(|most| Self {
            tried: self.tried.at_most(most),
            outdated: self.outdated.at_most(most),
            ..unexplained.clone()
        });
        let mut forms = [self.clone(), unexplained.clone()]
            .into_iter()
            .chain(fewer)
            .map(|tag_check_record| text(&tag_check_record));
        forms.find(|text| text.len() <= MAX_BYTES).unwrap_or_else(|| text(&Self::default()))
    }

    /// The results for these images only.
    pub fn only_of(&self, images: impl Fn(&str) -> bool) -> Self {
        let mut tag_check_record = self.clone();
        tag_check_record.tried.retain(&images);
        tag_check_record.outdated.retain(&images);
        tag_check_record.failed.retain(|name, _| images(name));
        if tag_check_record.failed.is_empty() {
            (tag_check_record.failures, tag_check_record.retry_at) = (0, None);
        }
        tag_check_record
    }

    /// A failure for an image, or that of the last check if this one does not say why.
    pub fn explained(&self, image: &str, failure: &CheckFailure) -> CheckFailure {
        let last = self.failed.get(image).and_then(Option::as_ref);
        let last = last.filter(|last| last.cause == failure.cause && last.is_explained() && !failure.is_explained());
        last.unwrap_or(failure).clone()
    }

    /// Whether this request was the last one to be answered by a tag check.
    pub fn answers(&self, request: &str) -> bool {
        self.request.as_deref() == Some(&short_hash(request.as_bytes()))
    }

    /// Stores the outcome of a tag check.
    pub fn record_outcome(&mut self, outcome: FinishedTagCheck) {
        self.last_attempt = Some(outcome.at);
        if outcome.any_succeeded {
            self.last_success = Some(outcome.at);
        }
        if let Some(request) = outcome.request {
            self.request = Some(short_hash(request.as_bytes()));
        }
        self.failures = if outcome.failed.is_empty() { 0 } else { self.failures.saturating_add(1) };
        self.retry_at =
            (!outcome.failed.is_empty()).then(|| next_try(self.failures, outcome.schedule, outcome.at, outcome.salt));
        self.failed = outcome.failed;
    }
}

/// A finished tag check.
pub struct FinishedTagCheck<'a> {
    /// When it finished.
    pub at: Timestamp,
    /// The request for a refresh at that time.
    pub request: Option<&'a str>,
    /// Whether it succeeded for any image.
    pub any_succeeded: bool,
    /// The images that it failed for, and why.
    pub failed: BTreeMap<String, Option<CheckFailure>>,
    /// The schedule of refreshes.
    pub schedule: &'a Schedule,
    /// A text that differs between groups, so that they do not all retry at the same time.
    pub salt: &'a str,
}

/// When to retry after this many failures: with exponential backoff and a quarter of jitter either way, but no later
/// than the next scheduled refresh.
fn next_try(failures: u32, schedule: &Schedule, now: Timestamp, salt: &str) -> Timestamp {
    let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
    let percent = 75 + i64::try_from(number(format!("{salt}\n{failures}").as_bytes()) % 50).unwrap_or_default();
    let pause = FIRST_PAUSE.as_secs().saturating_mul(1 << doublings).saturating_mul(percent) / 100;
    let retry_at = now.checked_add(SignedDuration::from_secs(pause)).unwrap_or(Timestamp::MAX);
    schedule.next_after(now).map_or(retry_at, |due| retry_at.min(due))
}

#[cfg(test)]
mod tests {
    use super::super::check_failure::CheckFailureCause;
    use super::super::digests::Digest;
    use super::*;

    const HOURLY: Schedule = Schedule::Every(SignedDuration::from_hours(1));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn unauthorized() -> Option<CheckFailure> {
        Some(CheckFailure::new(CheckFailureCause::PullFailed, "401"))
    }

    fn outcome(failed: &[&str], seconds: i64) -> FinishedTagCheck<'static> {
        let failed: BTreeMap<_, _> = failed.iter().map(|name| ((*name).to_owned(), unauthorized())).collect();
        FinishedTagCheck {
            at: at(seconds),
            request: None,
            any_succeeded: failed.is_empty(),
            failed,
            schedule: &HOURLY,
            salt: "",
        }
    }

    #[test]
    fn pauses_double_up_to_the_interval_and_a_success_resets_them() {
        let (mut tag_check_record, mut now) = (TagCheckRecord::default(), 0);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            tag_check_record.record_outcome(outcome(&["app"], now));
            let next = tag_check_record.retry_at.expect("another try").as_second();
            pauses.push(next - now);
            now = next;
        }
        assert!((15..=25).contains(&pauses[0]), "{pauses:?}");
        assert!((30..=50).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 3600) && pauses[39] == 3600, "{pauses:?}");
        assert_eq!(tag_check_record.last_success, None);
        tag_check_record.record_outcome(outcome(&[], now));
        assert_eq!(
            (tag_check_record.failures, tag_check_record.retry_at, tag_check_record.last_success),
            (0, None, Some(at(now)))
        );
        assert!(tag_check_record.failed.is_empty());
    }

    #[test]
    fn groups_do_not_all_retry_at_the_same_time() {
        let tries: std::collections::BTreeSet<_> =
            (0..20).map(|salt: u32| next_try(5, &HOURLY, at(0), &salt.to_string())).collect();
        assert!(tries.len() > 10, "{tries:?}");
    }

    #[test]
    fn a_record_round_trips_and_an_invalid_annotation_counts_as_empty() {
        let mut tag_check_record = TagCheckRecord {
            failures: 3,
            request: Some("x".to_owned()),
            last_success: Some(at(7)),
            ..TagCheckRecord::default()
        };
        tag_check_record.tried.add("app", "amd64", Digest::of_image_id("anything").expect("a digest"));
        tag_check_record.failed.insert("tools".to_owned(), unauthorized());
        assert_eq!(TagCheckRecord::from_text(&tag_check_record.to_text()), tag_check_record);
        for nonsense in ["", "{", "[]", r#"{"failures": -1}"#, r#"{"lastSuccess": "yesterday"}"#] {
            assert_eq!(TagCheckRecord::from_text(nonsense), TagCheckRecord::default(), "{nonsense}");
        }
    }

    #[test]
    fn a_record_never_exceeds_the_size_of_an_annotation() {
        let mut tag_check_record = TagCheckRecord::default();
        for (image, digest) in (0..1500).flat_map(|image| (0..8).map(move |digest| (image, digest))) {
            let digest = Digest::of_image_id(&format!("{image} {digest}")).expect("a digest");
            tag_check_record.tried.add(&format!("image-{image}"), "amd64", digest);
        }
        tag_check_record.failed.insert("tools".to_owned(), unauthorized());
        let text = tag_check_record.to_text();
        assert!(text.len() <= MAX_BYTES, "{}", text.len());
        let kept = TagCheckRecord::from_text(&text);
        let newest = Digest::of_image_id("1499 7").expect("a digest");
        assert_eq!(kept.tried.of("image-1499", "amd64").last(), Some(&newest));
        assert_eq!(kept.failed, BTreeMap::from([("tools".to_owned(), None)]), "the failed image is still known");
    }
}
