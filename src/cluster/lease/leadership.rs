//! Whether this process leads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use tracing::info;

use super::{DURATION, MARGIN};
use crate::cluster::Error;

/// Until when this process may write.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// As long as it lives: there is no election.
    Ever,
    /// Until either clock says so: one stands still while the machine sleeps, the other can be set.
    Time(Instant, SystemTime),
}

/// Whether this process leads. Shared by everything that writes.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Until>>>,
    leads: watch::Sender<bool>,
}

impl Leadership {
    /// Leads for ever, without an election.
    pub fn without_election() -> Self {
        Self { until: Arc::new(Mutex::new(Some(Until::Ever))), leads: watch::Sender::new(true) }
    }

    pub(super) fn none() -> Self {
        Self { until: Arc::default(), leads: watch::Sender::new(false) }
    }

    /// Whether it leads at this very moment. A process that slept through the end of its Lease does not.
    pub fn holds(&self) -> bool {
        match *self.until.lock().unwrap_or_else(PoisonError::into_inner) {
            None => false,
            Some(Until::Ever) => true,
            Some(Until::Time(instant, time)) => Instant::now() < instant && SystemTime::now() < time,
        }
    }

    /// To be asked before each write.
    ///
    /// # Errors
    /// [`Error::NotLeading`] where another process may write now.
    pub fn check(&self) -> Result<(), Error> {
        if self.holds() { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// Tells when the lead is taken or lost.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Takes the lead, from the moment at which the write began that took the Lease.
    pub(super) fn lead_since(&self, began: (Instant, SystemTime)) {
        let lasts = DURATION.saturating_sub(MARGIN);
        self.set(Some(Until::Time(began.0 + lasts, began.1 + lasts)));
    }

    /// Gives the lead up.
    pub(super) fn leave(&self) {
        self.set(None);
    }

    fn set(&self, until: Option<Until>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let leads = until.is_some();
        let changed = self.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
        if changed {
            info!("{}", if leads { "leading from now on" } else { "not leading any more" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_stops_writing_before_others_may_take_over() {
        let leadership = Leadership::none();
        assert!(!leadership.holds());
        let long_ago = DURATION - MARGIN;
        leadership.lead_since((Instant::now(), SystemTime::now()));
        assert!(leadership.holds());
        leadership.lead_since((Instant::now() - long_ago, SystemTime::now()));
        assert!(!leadership.holds(), "by the clock that cannot be set");
        leadership.lead_since((Instant::now(), SystemTime::now() - long_ago));
        assert!(!leadership.holds(), "by the clock that goes on while the machine sleeps");
    }
}
