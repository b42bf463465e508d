//! Whether the controller's own thread still gets to its tasks.
//!
//! Requests are answered on another thread, so that work on large lists does not delay the kubelet's probes. So the answer to
//! `/livez` says of itself nothing about the controller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

const INTERVAL: Duration = Duration::from_secs(1);
/// No task may keep the thread this long. The kubelet restarts the controller after some more failed probes.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// When the controller's thread last got to its tasks.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Mutex<Instant>>);

impl Heartbeat {
    /// The first one.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Beats forever, on the thread that is watched.
    pub async fn beat(self) {
        loop {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            sleep(INTERVAL).await;
        }
    }

    /// How long it has been silent, if that is too long.
    pub fn silence(&self) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(last.elapsed()).filter(|silence| *silence > LONGEST_SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_does_not_get_to_its_tasks_is_found_and_one_that_does_again_is_fine() {
        let heartbeat = Heartbeat::new();
        assert_eq!(heartbeat.silence(), None);
        let long_ago = Instant::now() - LONGEST_SILENCE - INTERVAL;
        *heartbeat.0.lock().expect("a time") = long_ago;
        assert!(heartbeat.silence().is_some());
        let beating = tokio::spawn(heartbeat.clone().beat());
        while heartbeat.silence().is_some() {
            tokio::task::yield_now().await;
        }
        beating.abort();
    }
}
