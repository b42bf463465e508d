//! What is kept of the looks at a generation's tags, on its DaemonSet: a new controller goes on from there.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::digests::Digests;
use crate::list::schedule::Schedule;
use crate::naming::hash::{number, short_hash};

/// The most bytes of the annotation: all annotations of an object share 256 KiB.
const MOST_BYTES: usize = 100_000;
/// About how long the first try in vain is followed by another; each further one takes twice as long.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(20);
/// After as many doublings the pause is longer than any interval.
const MOST_DOUBLINGS: u32 = 24;

/// What is kept of the looks at a generation's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagCheckRecord {
    /// The digests that began this rollout, and before it those that no rollout brought: they begin no other, since nodes may
    /// go on calling a tag what they called it before.
    pub tried: Digests,
    /// The digests that nodes still hold though others hold what the tags stand for.
    #[serde(skip_serializing_if = "Digests::is_empty")]
    pub outdated: Digests,
    /// How many nodes were brought up to date in vain.
    #[serde(skip_serializing_if = "is_zero")]
    pub renewals_in_vain: u32,
    /// When a tag check last said what a tag stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// When a look last ended, whatever came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked: Option<Timestamp>,
    /// The request that was answered last, hashed: its value may be of any length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How many tries in a row did not tell of all images.
    pub failures: u32,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// The names of the images that could not be looked at, and why not. The reasons are for people: they are left out where
    /// there is no room for them.
    pub failed: BTreeMap<String, String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TagCheckRecord {
    /// Reads the annotation. One that cannot be read says nothing: what is lost is learnt again.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The annotation. Where it would be too long, first reasons and then older digests are left out.
    pub fn to_text(&self) -> String {
        // Texts, numbers and maps of texts are always JSON.
        let text = |tag_check_record: &Self| {
            serde_json::to_string(tag_check_record).unwrap_or_else(|error| unreachable!("{error}"))
        };
        let unexplained =
            Self { failed: self.failed.keys().map(|name| (name.clone(), String::new())).collect(), ..self.clone() };
        let fewer = [4, 2, 1].into_iter().map(|most| Self {
            tried: self.tried.at_most(most),
            outdated: self.outdated.at_most(most),
            ..unexplained.clone()
        });
        let mut forms = [self.clone(), unexplained.clone()]
            .into_iter()
            .chain(fewer)
            .map(|tag_check_record| text(&tag_check_record));
        forms.find(|text| text.len() <= MOST_BYTES).unwrap_or_else(|| text(&Self::default()))
    }

    /// What is known of these images only.
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

    /// Whether this request was the last to be answered by a look.
    pub fn answer(&self, request: &str) -> bool {
        self.request.as_deref() == Some(&short_hash(request.as_bytes()))
    }

    /// Takes in how a look went.
    pub fn take_in(&mut self, tag_check: Taken) {
        self.looked = Some(tag_check.at);
        if tag_check.any_answered {
            self.last = Some(tag_check.at);
        }
        if let Some(request) = tag_check.request {
            self.request = Some(short_hash(request.as_bytes()));
        }
        self.failures = if tag_check.failed.is_empty() { 0 } else { self.failures.saturating_add(1) };
        self.retry_at = (!tag_check.failed.is_empty())
            .then(|| next_try(self.failures, tag_check.schedule, tag_check.at, tag_check.salt));
        self.failed = tag_check.failed;
    }
}

/// How a look went.
pub struct Taken<'a> {
    /// When.
    pub at: Timestamp,
    /// The request for a refresh at that time.
    pub request: Option<&'a str>,
    /// Whether it told of any image.
    pub any_answered: bool,
    /// The images that it could not tell of, and why not.
    pub failed: BTreeMap<String, String>,
    /// When refreshes are due anyway.
    pub schedule: &'a Schedule,
    /// A text that differs between groups, so that they do not try again all at once.
    pub salt: &'a str,
}

/// When to try again after so many tries in vain: with an exponential backoff and a quarter of jitter either way, but not
/// later than the next refresh is due.
fn next_try(failures: u32, schedule: &Schedule, now: Timestamp, salt: &str) -> Timestamp {
    let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
    let percent = 75 + i64::try_from(number(format!("{salt}\n{failures}").as_bytes()) % 50).unwrap_or_default();
    let pause = FIRST_PAUSE.as_secs().saturating_mul(1 << doublings).saturating_mul(percent) / 100;
    let retry_at = now.checked_add(SignedDuration::from_secs(pause)).unwrap_or(Timestamp::MAX);
    schedule.next_after(now).map_or(retry_at, |due| retry_at.min(due))
}

#[cfg(test)]
mod tests {
    use super::super::digests::Digest;
    use super::*;

    const HOURLY: Schedule = Schedule::Every(SignedDuration::from_hours(1));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn taken(failed: &[&str], seconds: i64) -> Taken<'static> {
        let failed: BTreeMap<_, _> = failed.iter().map(|name| ((*name).to_owned(), "401".to_owned())).collect();
        Taken { at: at(seconds), request: None, any_answered: failed.is_empty(), failed, schedule: &HOURLY, salt: "" }
    }

    #[test]
    fn pauses_double_up_to_the_interval_and_a_success_ends_them() {
        let (mut tag_check_record, mut now) = (TagCheckRecord::default(), 0);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            tag_check_record.take_in(taken(&["app"], now));
            let next = tag_check_record.retry_at.expect("another try").as_second();
            pauses.push(next - now);
            now = next;
        }
        assert!((15..=25).contains(&pauses[0]), "{pauses:?}");
        assert!((30..=50).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 3600) && pauses[39] == 3600, "{pauses:?}");
        assert_eq!(tag_check_record.last, None);
        tag_check_record.take_in(taken(&[], now));
        assert_eq!(
            (tag_check_record.failures, tag_check_record.retry_at, tag_check_record.last),
            (0, None, Some(at(now)))
        );
        assert!(tag_check_record.failed.is_empty());
    }

    #[test]
    fn groups_do_not_try_again_all_at_once() {
        let tries: std::collections::BTreeSet<_> =
            (0..20).map(|salt: u32| next_try(5, &HOURLY, at(0), &salt.to_string())).collect();
        assert!(tries.len() > 10, "{tries:?}");
    }

    #[test]
    fn it_is_read_back_from_its_text_and_nonsense_is_nothing() {
        let mut tag_check_record = TagCheckRecord {
            failures: 3,
            request: Some("x".to_owned()),
            last: Some(at(7)),
            ..TagCheckRecord::default()
        };
        tag_check_record.tried.add("app", "amd64", Digest::of_image_id("anything").expect("a digest"));
        tag_check_record.failed.insert("tools".to_owned(), "401".to_owned());
        assert_eq!(TagCheckRecord::from_text(&tag_check_record.to_text()), tag_check_record);
        for nonsense in ["", "{", "[]", r#"{"failures": -1}"#, r#"{"last": "yesterday"}"#] {
            assert_eq!(TagCheckRecord::from_text(nonsense), TagCheckRecord::default(), "{nonsense}");
        }
    }

    #[test]
    fn it_never_outgrows_an_annotation() {
        let mut tag_check_record = TagCheckRecord::default();
        for (image, digest) in (0..1500).flat_map(|image| (0..8).map(move |digest| (image, digest))) {
            let digest = Digest::of_image_id(&format!("{image} {digest}")).expect("a digest");
            tag_check_record.tried.add(&format!("image-{image}"), "amd64", digest);
        }
        tag_check_record.failed.insert("tools".to_owned(), "401".to_owned());
        let text = tag_check_record.to_text();
        assert!(text.len() <= MOST_BYTES, "{}", text.len());
        let kept = TagCheckRecord::from_text(&text);
        let newest = Digest::of_image_id("1499 7").expect("a digest");
        assert_eq!(kept.tried.of("image-1499", "amd64").last(), Some(&newest));
        assert_eq!(kept.failed, BTreeMap::from([("tools".to_owned(), String::new())]), "what failed is known still");
    }
}
