//! Waiting for a condition, never for an amount of time.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The pause between two tries grows with the time that has passed: soon enough, and easy on a small machine.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(250);

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on SIGINT, SIGTERM and SIGHUP end the waiting with an error instead of ending the process, so that what was
/// begun can be cleaned up.
pub fn heed_signals() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag)).context("cannot listen to signals")?;
    }
    Ok(())
}

/// Whether one of those signals came.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Calls `check` repeatedly until it returns a value.
///
/// # Errors
/// If `check` fails, if there is no answer within `limit`, or if a signal comes.
pub fn until<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_uninterrupted(what, limit, || {
        if interrupted() {
            bail!("interrupted while waiting for {what}");
        }
        check()
    })
}

/// The same for a clean-up, which a signal must not cut short.
pub(crate) fn until_uninterrupted<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = check()? {
            return Ok(answer);
        }
        if begun.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        thread::sleep((begun.elapsed() / 10).clamp(*PAUSES.start(), *PAUSES.end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_returned_as_soon_as_it_is_there() {
        let mut calls = 0;
        let answer = until("an answer", Duration::from_secs(5), || {
            calls += 1;
            Ok((calls == 3).then_some("here"))
        });
        assert_eq!((answer.unwrap(), calls), ("here", 3));
    }

    #[test]
    fn waiting_is_bounded_and_says_what_for() {
        let error = until::<()>("rain", Duration::ZERO, || Ok(None)).unwrap_err();
        assert_eq!(error.to_string(), "waited 0 s in vain for rain");
    }
}
