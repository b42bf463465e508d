//! Whether the leader's answer is still coming in.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long nothing may come in, so that a broken way to the leader does not cost users more. On a slow line a report takes its time, but
/// objects would take many times as long.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a part of the answer came in last.
pub struct AnswerProgress(Cell<Instant>);

impl AnswerProgress {
    /// Nothing has come in yet.
    pub fn begin() -> Self {
        Self(Cell::new(Instant::now()))
    }

    /// Records that a part has come in.
    pub fn made(&self) {
        self.0.set(Instant::now());
    }

    /// Waits until nothing has come in for too long.
    pub async fn stalled(&self) {
        while self.0.get().elapsed() < PATIENCE {
            sleep_until(self.0.get() + PATIENCE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_keeps_coming_in_may_take_long_and_one_that_does_not_come_may_not() {
        let begun = Instant::now();
        let progress = AnswerProgress::begin();
        let coming_in = async {
            for _ in 0..10 {
                sleep(PATIENCE / 2).await;
                progress.made();
            }
        };
        futures::join!(coming_in, progress.stalled());
        assert_eq!(begun.elapsed(), PATIENCE * 6);
    }
}
