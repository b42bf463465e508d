//! Lines on standard error that say what a start has reached and how long it took.

use std::time::Instant;

/// The clock of one start.
pub struct Progress {
    begun: Instant,
}

impl Progress {
    /// Starts the clock.
    #[must_use]
    pub fn begin(what: &str) -> Self {
        eprintln!("{what}");
        Self { begun: Instant::now() }
    }

    /// Says that this has been reached.
    pub fn reached(&self, what: &str) {
        eprintln!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }
}
