//! When a worker reconciles its list: on a change or at a set time; after a failure, when a pause is over or the list is edited.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backoff::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two reconciles of a list: a rollout changes thousands of pods, and a list may be edited in a loop.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// A list that takes long to plan is planned less often, so that planning takes no more than a fortieth of a processor…
const PAUSE_PER_COST: u32 = 40;
/// …but whatever changes is acted on within this time.
const MOST_PAUSE: Duration = Duration::from_secs(3);

/// The longest pause between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pauses between attempts. The jitter may double a pause, so the limit here is half of the longest one.
pub fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE / 2)
        .without_max_times()
        .with_jitter()
        .build()
}

/// Wakes a worker, or lets it continue at once if it is busy.
#[derive(Debug, Default)]
pub struct Waker {
    changed: Notify,
    edited: Notify,
    /// Whether the worker has not begun to heed the last report yet.
    pending: AtomicBool,
}

impl Waker {
    /// Reports a change that concerns the list. It does not end a pause after a failure, because pods change all the time.
    pub fn change(&self) {
        self.pending.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Reports an edit of the list itself. It ends a pause, because it may fix the failure.
    pub fn edit(&self) {
        self.pending.store(true, Ordering::Release);
        self.edited.notify_one();
    }

    /// Whether something was reported after the worker began its last reconcile.
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }
}

/// What a worker waits for.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// Any change, or this time.
    Change(Option<Instant>),
    /// An edit, or the end of a pause at this time.
    Edit(Instant),
}

/// The pace of one worker.
pub struct Pace {
    waker: Arc<Waker>,
    until: Until,
    retries: ExponentialBackoff,
    /// When the last reconcile began.
    begun: Option<Instant>,
    /// The pause that planning needs, from when the last reconcile began.
    pause: Duration,
}

impl Pace {
    /// Starts by waiting for `waker`.
    pub fn new(waker: Arc<Waker>) -> Self {
        Self { waker, until: Until::Change(None), retries: pauses(), begun: None, pause: LEAST_PAUSE }
    }

    /// Waits until the next reconcile is due.
    pub async fn next(&mut self) {
        if let Some(begun) = self.begun {
            sleep_until(begun + LEAST_PAUSE).await;
        }
        let rested = self.begun.map_or_else(Instant::now, |begun| begun + self.pause);
        let (at, heeds_changes) = match self.until {
            Until::Change(at) => (at.map(|at| at.max(rested)), true),
            Until::Edit(at) => (Some(at), false),
        };
        let changed = async {
            self.waker.changed.notified().await;
            sleep_until(rested).await;
        };
        tokio::select! {
            biased;
            () = self.waker.edited.notified() => self.retries = pauses(),
            () = changed, if heeds_changes => {}
            () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {}
        }
        self.waker.pending.store(false, Ordering::Release);
        self.begun = Some(Instant::now());
    }

    /// Records how long the last reconcile kept a processor busy.
    pub fn cost(&mut self, cost: Duration) {
        self.pause = (cost * PAUSE_PER_COST).clamp(LEAST_PAUSE, MOST_PAUSE);
    }

    /// Records a success, after which the list is reconciled again at that time at the latest.
    pub fn done(&mut self, again: Option<Instant>) {
        self.retries = pauses();
        self.until = Until::Change(again);
    }

    /// Records a failure. Returns how long the pause after it is.
    pub fn failed(&mut self) -> Duration {
        let pause = self.retries.next().unwrap_or(LONGEST_PAUSE);
        self.until = Until::Edit(Instant::now() + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    /// The pace of a worker that has failed until its pause is at least that long; also returns that pause.
    async fn failing(least: Duration) -> (Pace, Arc<Waker>, Duration) {
        let waker = Arc::new(Waker::default());
        let mut pace = Pace::new(Arc::clone(&waker));
        waker.change();
        loop {
            pace.next().await;
            let pause = pace.failed();
            if pause >= least {
                return (pace, waker, pause);
            }
        }
    }

    /// How long it is until the next reconcile.
    async fn waited(pace: &mut Pace) -> Duration {
        let started = Instant::now();
        pace.next().await;
        started.elapsed()
    }

    async fn is_resting(pace: &mut Pace) -> bool {
        timeout(Duration::from_secs(3600), pace.next()).await.is_err()
    }

    /// How imprecise tokio's timers are.
    const TICK: Duration = Duration::from_millis(2);

    #[tokio::test(start_paused = true)]
    async fn an_edit_ends_the_pause_after_a_failure_and_the_next_one_is_short_again() {
        let (mut pace, waker, _) = failing(Duration::from_secs(30)).await;
        advance(Duration::from_secs(10)).await;
        waker.edit();
        assert!(waited(&mut pace).await <= TICK);
        assert!(pace.failed() <= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_during_a_reconcile_wakes_right_after_it_even_if_that_fails() {
        let (mut pace, waker, _) = failing(Duration::from_secs(30)).await;
        pace.next().await;
        waker.edit();
        advance(Duration::from_secs(60)).await;
        assert!(pace.failed() >= Duration::from_secs(30));
        assert!(waited(&mut pace).await <= TICK);
    }

    #[tokio::test(start_paused = true)]
    async fn no_other_change_ends_the_pause_and_none_is_forgotten() {
        let (mut pace, waker, pause) = failing(Duration::from_secs(16)).await;
        waker.change();
        let waited_for = waited(&mut pace).await;
        assert!(waited_for >= pause && waited_for <= pause + TICK, "{waited_for:?} of {pause:?}");
        pace.done(None);
        assert!(waited(&mut pace).await <= LEAST_PAUSE + TICK, "the change is still to be reconciled");
        pace.done(None);
        assert!(is_resting(&mut pace).await);
    }

    #[tokio::test(start_paused = true)]
    async fn edits_without_end_lead_to_a_bounded_number_of_reconciles() {
        let (mut pace, waker, _) = failing(Duration::ZERO).await;
        let started = Instant::now();
        let mut reconciles = 0;
        while started.elapsed() < Duration::from_secs(10) {
            waker.edit();
            pace.next().await;
            pace.failed();
            reconciles += 1;
        }
        assert!(reconciles <= 51, "{reconciles} in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_failure_every_change_and_the_time_wake() {
        let waker = Arc::new(Waker::default());
        let mut pace = Pace::new(Arc::clone(&waker));
        assert!(is_resting(&mut pace).await);
        for wake in [Waker::change, Waker::edit] {
            wake(&waker);
            assert!(waited(&mut pace).await <= LEAST_PAUSE + TICK);
            pace.done(None);
        }
        pace.done(Some(Instant::now() + Duration::from_secs(7)));
        let waited = waited(&mut pace).await;
        assert!(waited >= Duration::from_secs(7) && waited <= Duration::from_secs(7) + TICK, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_takes_long_to_plan_is_planned_less_often_but_soon_after_a_change_and_at_once_after_an_edit() {
        for (cost, pause) in [(1, 200), (5, 200), (25, 1000), (60, 2400), (100, 3000), (5000, 3000)] {
            let waker = Arc::new(Waker::default());
            let mut pace = Pace::new(Arc::clone(&waker));
            waker.change();
            waited(&mut pace).await;
            pace.cost(Duration::from_millis(cost));
            pace.done(None);
            waker.change();
            let after_change = waited(&mut pace).await;
            let pause = Duration::from_millis(pause);
            assert!(after_change >= pause && after_change <= pause + TICK, "{after_change:?} after {cost} ms");
            waker.edit();
            assert!(waited(&mut pace).await <= LEAST_PAUSE + TICK);
            assert!(is_resting(&mut pace).await, "each change is reconciled once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_an_edit_comes_after_is_reconciled_with_it_or_after_it() {
        let waker = Arc::new(Waker::default());
        let mut pace = Pace::new(Arc::clone(&waker));
        waker.change();
        waited(&mut pace).await;
        pace.cost(Duration::from_secs(1));
        pace.done(None);
        waker.change();
        let edit = async {
            sleep_until(Instant::now() + Duration::from_secs(1)).await;
            waker.edit();
        };
        let (waited, ()) = tokio::join!(waited(&mut pace), edit);
        assert!(waited <= Duration::from_secs(1) + TICK, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_reported_during_the_last_reconcile_is_pending_when_the_worker_ends() {
        let waker = Arc::new(Waker::default());
        let mut pace = Pace::new(Arc::clone(&waker));
        for wake in [Waker::change, Waker::edit] {
            wake(&waker);
            assert!(waker.is_pending());
            pace.next().await;
            assert!(!waker.is_pending());
        }
        waker.change();
        assert!(waker.is_pending());
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let all: Vec<Duration> = pauses().take(30).collect();
        assert!(all[0] <= Duration::from_secs(1), "{all:?}");
        assert!(all.iter().all(|pause| *pause <= LONGEST_PAUSE), "{all:?}");
        assert!(all[20..].iter().all(|pause| *pause >= LONGEST_PAUSE / 2), "{all:?}");
    }
}
