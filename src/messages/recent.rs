//! What was told a moment ago. It spares the cluster and its readers repetitions; nothing depends on it, so it may be lost.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{Message, Reason};

/// The same messages comes at most once in this time.
pub const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// For so long a repetition is counted on the Event that is there, as Kubernetes' own components do.
const SERIES: SignedDuration = SignedDuration::from_mins(6);

/// How to tell something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Not at all: it was told a moment ago.
    NotAgain,
    /// As an Event of that name.
    Anew(String),
    /// As the Event of that name, once more.
    Counted {
        /// The Event's name.
        event: String,
        /// How often it has happened now.
        count: i32,
    },
}

/// What was told lately, by what it was about.
#[derive(Debug, Default)]
pub struct Recent(HashMap<About, Sent>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct About {
    list: String,
    reason: Reason,
    subject: String,
}

#[derive(Debug)]
struct Sent {
    note: String,
    event: String,
    count: i32,
    at: Timestamp,
}

impl Recent {
    /// How to tell it of that list now. It counts as told from then on.
    pub fn record(&mut self, list: &str, message: &Message, now: Timestamp) -> How {
        let age = |told: &Sent| now.duration_since(told.at);
        self.0.retain(|_, told| (SignedDuration::ZERO..SERIES).contains(&age(told)));
        let about = About {
            list: list.to_owned(),
            reason: message.reason,
            subject: message.subject.clone().unwrap_or_else(|| message.note.clone()),
        };
        match self.0.get_mut(&about) {
            Some(told) if age(told) < PAUSE => How::NotAgain,
            Some(told) if told.note == message.note => {
                (told.count, told.at) = (told.count.saturating_add(1), now);
                How::Counted { event: told.event.clone(), count: told.count }
            }
            _ => {
                let event = event_name(list, &about, now);
                let told = Sent { note: message.note.clone(), event: event.clone(), count: 1, at: now };
                self.0.insert(about, told);
                How::Anew(event)
            }
        }
    }
}

/// As Kubernetes' own components name Events: what they are about, and a number. Two at the same instant differ too.
fn event_name(list: &str, about: &About, now: Timestamp) -> String {
    let what = crate::naming::hash::short_hash(format!("{}\n{}", about.reason, about.subject).as_bytes());
    // A ConfigMap's name may take up all of the 253 characters that an Event's name has.
    let list: String = list.chars().take(200).collect();
    format!("{}.{:x}.{what}", list.trim_end_matches(['.', '-']), now.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn told(recent: &mut Recent, message: &Message, at: i64) -> &'static str {
        match recent.record("tools", message, second(at)) {
            How::NotAgain => "not again",
            How::Anew(_) => "anew",
            How::Counted { count, .. } => {
                assert_eq!(count, 2);
                "counted"
            }
        }
    }

    #[test]
    fn the_same_change_comes_once_a_minute_and_is_counted_on_the_same_event() {
        let (mut recent, message) = (Recent::default(), Message::new(Reason::Refused, "no"));
        assert_eq!(told(&mut recent, &message, 0), "anew");
        assert_eq!(told(&mut recent, &message, 59), "not again");
        assert_eq!(told(&mut recent, &message, 60), "counted");
        assert_eq!(told(&mut recent, &message, 60 + 360), "anew");
    }

    #[test]
    fn other_words_of_one_subject_wait_for_the_minute_to_be_over_and_other_subjects_do_not() {
        let mut recent = Recent::default();
        let of = |note: &str, subject: &str| Message::new(Reason::Refused, note).on(subject);
        assert_eq!(told(&mut recent, &of("4 pods", "the DaemonSet a"), 0), "anew");
        assert_eq!(told(&mut recent, &of("5 pods", "the DaemonSet a"), 30), "not again");
        assert_eq!(told(&mut recent, &of("4 pods", "the DaemonSet b"), 30), "anew");
        assert_eq!(told(&mut recent, &of("5 pods", "the DaemonSet a"), 70), "anew");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_from_being_reported() {
        let (mut recent, message) = (Recent::default(), Message::new(Reason::Refused, "no"));
        assert_eq!(told(&mut recent, &message, 1000), "anew");
        assert_eq!(told(&mut recent, &message, 0), "anew");
    }

    #[test]
    fn names_of_events_are_names_of_objects_and_differ() {
        let mut recent = Recent::default();
        let list = "x".repeat(253);
        let mut name = |note: &str| match recent.record(&list, &Message::new(Reason::Refused, note), second(0)) {
            How::Anew(name) => name,
            other => panic!("{other:?}"),
        };
        let (one, other) = (name("one"), name("other"));
        assert!(one.len() <= 253 && one != other, "{one} {other}");
    }
}
