//! Whether this process leads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use tracing::info;

/// Until when this process leads.
#[derive(Clone, Copy, Debug)]
enum LeadsUntil {
    /// Until the process ends: there is no election.
    Forever,
    /// Until either clock reaches its time. The first one stops while the machine sleeps, and the second one can be set back.
    Time(Instant, SystemTime),
}

impl LeadsUntil {
    fn is_ahead(self) -> bool {
        match self {
            Self::Forever => true,
            Self::Time(instant, time) => Instant::now() < instant && SystemTime::now() < time,
        }
    }
}

/// Whether this process leads. All clones share the answer.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<LeadsUntil>>>,
    /// How often it began to lead.
    terms: Arc<AtomicU64>,
    leads: watch::Sender<bool>,
}

impl Leadership {
    /// The leadership of a process that is the only one, and leads without an election.
    pub fn without_election() -> Self {
        Self {
            until: Arc::new(Mutex::new(Some(LeadsUntil::Forever))),
            terms: Arc::default(),
            leads: watch::Sender::new(true),
        }
    }

    /// The leadership of a process that leads once it is elected.
    pub fn to_be_elected() -> Self {
        Self { until: Arc::default(), terms: Arc::default(), leads: watch::Sender::new(false) }
    }

    /// Whether this process leads at this very moment. It does not if it slept through the end of its Lease.
    pub fn holds(&self) -> bool {
        (*self.until.lock().unwrap_or_else(PoisonError::into_inner)).is_some_and(LeadsUntil::is_ahead)
    }

    /// The number of this process's present term, or of its last. Between two terms, another process may have led.
    pub fn term(&self) -> u64 {
        self.terms.load(Ordering::Acquire)
    }

    /// Reports when this process begins and ceases to lead.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Takes the lead, or keeps it, until either clock reaches its time.
    pub(super) fn lead_until(&self, (instant, time): (Instant, SystemTime)) {
        self.set(Some(LeadsUntil::Time(instant, time)));
    }

    /// Gives up the lead.
    pub(super) fn leave(&self) {
        self.set(None);
    }

    fn set(&self, until: Option<LeadsUntil>) {
        let leads = until.is_some();
        let mut known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = leads && !known.is_some_and(LeadsUntil::is_ahead);
        if begins {
            self.terms.fetch_add(1, Ordering::AcqRel);
        }
        *known = until;
        drop(known);
        // Also if the lead had ended for a moment in which nobody asked: nothing was done then about what changed.
        let changed = self.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads || begins);
        if changed {
            info!("{}", if leads { "leading from now on" } else { "not leading any more" });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_term_goes_on_while_the_lead_is_kept_in_time() {
        let leadership = Leadership::to_be_elected();
        let mut changes = leadership.changes();
        let later = || (Instant::now() + Duration::from_secs(60), SystemTime::now() + Duration::from_secs(60));
        leadership.lead_until(later());
        let first = leadership.term();
        changes.mark_unchanged();
        leadership.lead_until(later());
        assert_eq!(leadership.term(), first);
        leadership.lead_until((Instant::now(), SystemTime::now()));
        assert_eq!(changes.has_changed().ok(), Some(false));
        leadership.lead_until(later());
        assert_eq!(leadership.term(), first + 1, "it had ended for a moment");
        assert_eq!(changes.has_changed().ok(), Some(true), "workers are to look again");
        leadership.leave();
        leadership.lead_until(later());
        assert_eq!(leadership.term(), first + 2);
    }

    #[test]
    fn the_lead_ends_when_either_clock_says_so() {
        let leadership = Leadership::to_be_elected();
        assert!(!leadership.holds());
        let (instant, time) = (Instant::now(), SystemTime::now());
        let (later, later_time) = (instant + Duration::from_secs(60), time + Duration::from_secs(60));
        leadership.lead_until((later, later_time));
        assert!(leadership.holds());
        leadership.lead_until((instant, later_time));
        assert!(!leadership.holds(), "by the clock that cannot be set");
        leadership.lead_until((later, time));
        assert!(!leadership.holds(), "by the clock that goes on while the machine sleeps");
    }
}
