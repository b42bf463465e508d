//! What was found in workloads and has yet to settle.

use jiff::{SignedDuration, Timestamp};

use crate::list::discover::found::Found;

/// How many times as long as without another change it takes at most until a change counts: workloads may change all the time.
const PATIENCE: i32 = 10;

/// What was found and does not count yet, because workloads have just changed. Lost in a crash, it is found again.
#[derive(Debug, Default)]
pub struct Unsettled {
    pending: Option<PendingFound>,
}

#[derive(Debug)]
struct PendingFound {
    found: Found,
    /// When the first change was seen since something counted last.
    first: Timestamp,
    /// When the last one was.
    last: Timestamp,
}

/// What counts now.
#[derive(Debug, PartialEq)]
pub enum SettledFound {
    /// What counted before.
    Before,
    /// What counted before, until that time if nothing changes meanwhile.
    Until(Timestamp),
    /// This.
    Now(Found),
}

impl Unsettled {
    /// Whether what was found counts, if it must not have changed for `settle`.
    pub fn settle(
        &mut self,
        before: Option<&Found>,
        found: Found,
        settle: SignedDuration,
        now: Timestamp,
    ) -> SettledFound {
        if before.map_or(found.0.is_empty(), |before| found.is_same(before)) {
            self.pending = None;
            return SettledFound::Before;
        }
        let pending = match self.pending.take().filter(|pending| pending.first <= now && pending.last <= now) {
            Some(same) if same.found.is_same(&found) => same,
            Some(other) => PendingFound { found, first: other.first, last: now },
            None => PendingFound { found, first: now, last: now },
        };
        let pending = self.pending.insert(pending);
        let after = |time: Timestamp, pause: SignedDuration| time.checked_add(pause).unwrap_or(Timestamp::MAX);
        let due = after(pending.last, settle).min(after(pending.first, settle.saturating_mul(PATIENCE)));
        if due <= now { SettledFound::Now(pending.found.clone()) } else { SettledFound::Until(due) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::discover::found::{FoundImage, GroupFound};

    const SETTLE: SignedDuration = SignedDuration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).expect("a time")
    }

    fn found(images: &[&str]) -> Found {
        let images = images.iter().map(|image| ((*image).to_owned(), FoundImage::default())).collect();
        Found([("shop".to_owned(), GroupFound { images, ..GroupFound::default() })].into())
    }

    #[test]
    fn a_change_counts_once_nothing_has_changed_for_a_while() {
        let (before, mut unsettled) = (found(&["a:1"]), Unsettled::default());
        let mut settle = |images: &[&str], now| unsettled.settle(Some(&before), found(images), SETTLE, at(now));
        assert_eq!(settle(&["a:2"], 0), SettledFound::Until(at(30)));
        assert_eq!(settle(&["a:2", "b:1"], 20), SettledFound::Until(at(50)), "it changed again");
        assert_eq!(settle(&["a:2", "b:1"], 49), SettledFound::Until(at(50)));
        assert_eq!(settle(&["a:2", "b:1"], 50), SettledFound::Now(found(&["a:2", "b:1"])));
    }

    #[test]
    fn what_changes_back_was_no_change() {
        let (before, mut unsettled) = (found(&["a:1"]), Unsettled::default());
        assert_eq!(unsettled.settle(Some(&before), found(&["a:2"]), SETTLE, at(0)), SettledFound::Until(at(30)));
        assert_eq!(unsettled.settle(Some(&before), found(&["a:1"]), SETTLE, at(29)), SettledFound::Before);
        assert_eq!(unsettled.settle(Some(&before), found(&["a:2"]), SETTLE, at(31)), SettledFound::Until(at(61)));
    }

    #[test]
    fn what_changes_all_the_time_counts_all_the_same() {
        let (before, mut unsettled) = (found(&["a:0"]), Unsettled::default());
        let counts = (0..).map(|number| number * 10).find(|now| {
            let images = [format!("a:{now}1")];
            let settled = unsettled.settle(Some(&before), found(&[&images[0]]), SETTLE, at(*now));
            matches!(settled, SettledFound::Now(_))
        });
        assert_eq!(counts, Some(300));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_again() {
        let (before, mut unsettled) = (found(&["a:1"]), Unsettled::default());
        assert_eq!(unsettled.settle(Some(&before), found(&["a:2"]), SETTLE, at(1000)), SettledFound::Until(at(1030)));
        assert_eq!(unsettled.settle(Some(&before), found(&["a:2"]), SETTLE, at(0)), SettledFound::Until(at(30)));
    }
}
