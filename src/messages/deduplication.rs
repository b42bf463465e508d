//! Which Events were just sent, so that they are not repeated. Nothing depends on it, so a restart may lose it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::{Message, Reason};
use crate::text::CleanText;

/// The same Event is sent at most once in this time.
pub const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// Within this time, a repetition raises the count of the existing Event, as in Kubernetes' own components.
const SERIES: SignedDuration = SignedDuration::from_mins(6);

/// How to send an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Not at all: it was just sent.
    Suppressed,
    /// As a new Event of this name.
    New(String),
    /// By raising the count of an existing Event.
    Repeated {
        /// The Event's name.
        event: String,
        /// The new count.
        count: i32,
    },
}

/// The Events that were sent lately.
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
    /// The hash of its note: with hundreds of lists, the notes of some minutes are megabytes.
    note: u64,
    event: String,
    count: i32,
    at: Timestamp,
}

impl Recent {
    /// Decides how to send a message about a list now, and records it as sent.
    pub fn record(&mut self, list: &str, message: &Message, now: Timestamp) -> Delivery {
        let note = hash(&message.note);
        let age = |sent: &Sent| now.duration_since(sent.at);
        self.0.retain(|_, sent| (SignedDuration::ZERO..SERIES).contains(&age(sent)));
        let about = About { list: list.to_owned(), reason: message.reason, subject: message.subject.clone() };
        match self.0.get_mut(&about) {
            Some(sent) if age(sent) < PAUSE => Delivery::Suppressed,
            Some(sent) if sent.note == note => {
                (sent.count, sent.at) = (sent.count.saturating_add(1), now);
                Delivery::Repeated { event: sent.event.clone(), count: sent.count }
            }
            _ => {
                let event = event_name(list, &about, now);
                let sent = Sent { note, event: event.clone(), count: 1, at: now };
                self.0.insert(about, sent);
                Delivery::New(event)
            }
        }
    }
}

fn hash(note: &CleanText) -> u64 {
    let mut hasher = DefaultHasher::new();
    note.as_str().hash(&mut hasher);
    hasher.finish()
}

/// Named like Events of Kubernetes' own components: by the object and a number. Even Events of the same instant differ.
fn event_name(list: &str, about: &About, now: Timestamp) -> String {
    let what = crate::naming::hash::short_hash(format!("{}\n{}", about.reason, about.subject).as_bytes());
    // A ConfigMap's name may be as long as an Event's: 253 characters.
    let list: String = list.chars().take(200).collect();
    format!("{}.{:x}.{what}", list.trim_end_matches(['.', '-']), now.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn sent(recent: &mut Recent, message: &Message, at: i64) -> &'static str {
        match recent.record("tools", message, second(at)) {
            Delivery::Suppressed => "suppressed",
            Delivery::New(_) => "new",
            Delivery::Repeated { count, .. } => {
                assert_eq!(count, 2);
                "repeated"
            }
        }
    }

    #[test]
    fn the_same_change_comes_once_a_minute_and_is_counted_on_the_same_event() {
        let (mut recent, message) = (Recent::default(), Message::new(Reason::Refused, "a", "no"));
        assert_eq!(sent(&mut recent, &message, 0), "new");
        assert_eq!(sent(&mut recent, &message, 59), "suppressed");
        assert_eq!(sent(&mut recent, &message, 60), "repeated");
        assert_eq!(sent(&mut recent, &message, 60 + 360), "new");
    }

    #[test]
    fn other_words_of_one_subject_wait_for_the_minute_to_be_over_and_other_subjects_do_not() {
        let mut recent = Recent::default();
        let of = |note: &str, subject: &str| Message::new(Reason::Refused, subject, note);
        assert_eq!(sent(&mut recent, &of("4 pods", "the DaemonSet a"), 0), "new");
        assert_eq!(sent(&mut recent, &of("5 pods", "the DaemonSet a"), 30), "suppressed");
        assert_eq!(sent(&mut recent, &of("4 pods", "the DaemonSet b"), 30), "new");
        assert_eq!(sent(&mut recent, &of("5 pods", "the DaemonSet a"), 70), "new");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_from_being_reported() {
        let (mut recent, message) = (Recent::default(), Message::new(Reason::Refused, "a", "no"));
        assert_eq!(sent(&mut recent, &message, 1000), "new");
        assert_eq!(sent(&mut recent, &message, 0), "new");
    }

    #[test]
    fn names_of_events_are_names_of_objects_and_differ() {
        let mut recent = Recent::default();
        let list = "x".repeat(253);
        let mut name =
            |subject: &str| match recent.record(&list, &Message::new(Reason::Refused, subject, "no"), second(0)) {
                Delivery::New(name) => name,
                other => panic!("{other:?}"),
            };
        let (one, other) = (name("one"), name("other"));
        assert!(one.len() <= 253 && one != other, "{one} {other}");
    }
}
