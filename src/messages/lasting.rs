//! What lasts, such as a wait, is reported when it begins, and in new words at most once in [`PAUSE`]. Pure. Nothing depends on it, so a
//! restart may lose it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::deduplication::PAUSE;
use super::{Message, Reason};
use crate::text::CleanText;

/// What was reported about things that last.
#[derive(Debug, Default)]
pub struct Lasting(HashMap<(Reason, String), Reported>);

#[derive(Debug)]
struct Reported {
    note: CleanText,
    at: Timestamp,
    lasts: bool,
}

/// What to report now.
#[derive(Debug, Default, PartialEq)]
pub struct Due {
    /// The messages, which count as reported.
    pub messages: Vec<Message>,
    /// When there will be more, if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

impl Lasting {
    /// Compares all that lasts now with what was reported.
    pub fn report(&mut self, current: impl IntoIterator<Item = Message>, now: Timestamp) -> Due {
        let current: Vec<_> = current.into_iter().map(|it| ((it.reason, it.subject.clone()), it)).collect();
        for (key, reported) in &mut self.0 {
            reported.lasts &= current.iter().any(|(it, _)| it == key);
        }
        // A clock that was set back delays nothing.
        let pause_ends = |reported: &Reported| reported.at.checked_add(PAUSE).ok().filter(|_| reported.at <= now);
        self.0.retain(|_, reported| reported.lasts || pause_ends(reported).is_some_and(|at| now < at));
        let mut due = Due::default();
        for (key, message) in current {
            let reported = self.0.get(&key);
            if reported.is_some_and(|it| it.lasts && it.note == message.note) {
                continue;
            }
            match reported.and_then(pause_ends).filter(|at| now < *at) {
                Some(at) => due.wake_at = due.wake_at.into_iter().chain([at]).min(),
                None => {
                    self.0.insert(key, Reported { note: message.note.clone(), at: now, lasts: true });
                    due.messages.push(message);
                }
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn waits(subject: &str, note: &str) -> Message {
        Message::new(Reason::Waiting, subject, note)
    }

    fn reported(lasting: &mut Lasting, current: &[(&str, &str)], at: i64) -> (Vec<String>, Option<i64>) {
        let due = lasting.report(current.iter().map(|(subject, note)| waits(subject, note)), second(at));
        let wake_at = due.wake_at.map(|at| at.duration_since(second(0)).as_secs());
        (due.messages.into_iter().map(|message| message.note.into()).collect(), wake_at)
    }

    #[test]
    fn a_wait_is_reported_once_and_in_its_latest_words_after_a_minute() {
        let mut lasting = Lasting::default();
        let mut at = |current: &[(&str, &str)], second| reported(&mut lasting, current, second);
        assert_eq!(at(&[("a", "on n1"), ("b", "on n1")], 0), (vec!["on n1".to_owned(), "on n1".to_owned()], None));
        assert_eq!(at(&[("a", "on n1"), ("b", "on n1")], 1), (vec![], None));
        for second in 2..60 {
            let note = format!("on n{second}");
            assert_eq!(at(&[("a", &note), ("b", "on n1")], second), (vec![], Some(60)));
        }
        assert_eq!(at(&[("a", "on n9"), ("b", "on n1")], 60), (vec!["on n9".to_owned()], None));
        assert_eq!(at(&[("a", "on n9"), ("b", "on n1")], 600), (vec![], None), "it was reported");
    }

    #[test]
    fn a_wait_that_ends_and_begins_again_is_reported_again_but_not_within_a_minute() {
        let mut lasting = Lasting::default();
        let mut at = |current: &[(&str, &str)], second| reported(&mut lasting, current, second);
        assert_eq!(at(&[("a", "x")], 0).0.len(), 1);
        assert_eq!(at(&[], 1), (vec![], None));
        assert_eq!(at(&[("a", "x")], 2), (vec![], Some(60)));
        assert_eq!(at(&[], 60), (vec![], None), "it is over");
        assert_eq!(at(&[("a", "x")], 61).0.len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_nothing() {
        let mut lasting = Lasting::default();
        assert_eq!(reported(&mut lasting, &[("a", "x")], 1000).0.len(), 1);
        assert_eq!(reported(&mut lasting, &[("a", "y")], 0).0.len(), 1);
    }

    proptest! {
        #[test]
        fn one_subject_is_reported_at_most_once_a_minute_and_never_for_good_in_old_words(
            history in prop::collection::vec((0_i64..40, prop::collection::btree_map("[a-b]", "[x-z]", 0..3)), 1..60)
        ) {
            let (mut lasting, mut now, mut sent) = (Lasting::default(), 0, HashMap::new());
            for (pause, current) in history {
                now += pause;
                let due = lasting.report(current.iter().map(|(subject, note)| waits(subject, note)), second(now));
                for message in due.messages {
                    let before: Option<(i64, String)> = sent.insert(message.subject.clone(), (now, message.note.into()));
                    prop_assert!(before.is_none_or(|(at, _)| now - at >= 60));
                }
                for (subject, note) in &current {
                    prop_assert!(due.wake_at.is_some() || sent.get(subject).is_some_and(|(_, sent)| sent == note));
                }
            }
        }
    }
}
