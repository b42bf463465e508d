//! Time, which tests can drive.

use std::time::Duration;

use futures::{Stream, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// A clock. Its clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// When it stands still; otherwise it goes with the system's.
    stopped_at: Option<Timestamp>,
    /// By how much it was put forward.
    ahead: watch::Sender<SignedDuration>,
}

impl Clock {
    /// Goes with the system's.
    #[must_use]
    pub fn system() -> Self {
        Self { stopped_at: None, ahead: watch::Sender::default() }
    }

    /// Stands still but for [`Clock::advance`].
    #[must_use]
    pub fn stopped_at(time: Timestamp) -> Self {
        Self { stopped_at: Some(time), ahead: watch::Sender::default() }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.stopped_at.unwrap_or_else(Timestamp::now) + *self.ahead.borrow()
    }

    /// Puts it forward.
    pub fn advance(&self, by: SignedDuration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }

    /// Says whenever it was put forward.
    pub fn advances(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::unfold(self.ahead.subscribe(), |mut ahead| async {
            ahead.changed().await.ok()?;
            Some(((), ahead))
        })
    }

    /// For how long to wait for a time; `None` if it does not come by itself.
    #[must_use]
    pub fn wait_for(&self, time: Timestamp) -> Option<Duration> {
        let ahead = self.now().duration_until(time);
        self.stopped_at.is_none().then(|| Duration::try_from(ahead).unwrap_or_default())
    }
}
