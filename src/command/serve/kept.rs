//! A text that is expensive to compute is computed once per second for all clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::sync::Mutex;

/// How old a text may be.
const FRESH: Duration = Duration::from_secs(1);

/// Computes a text, and says how old what it is made of is; `None` while there is none yet.
pub type Compute = Arc<dyn Fn() -> Option<(Instant, String)> + Send + Sync>;

/// A text, kept for a second. Clients that come while it is computed wait and share it, so that any number of them costs no
/// more than one, in time as in memory.
#[derive(Clone)]
pub struct Kept {
    compute: Compute,
    latest: Arc<Mutex<Option<Latest>>>,
}

struct Latest {
    text: Bytes,
    /// When it was made, or what it is made of.
    made: Instant,
    /// When its computation began.
    begun: Instant,
}

impl Latest {
    /// Whether the text is good for a client that asked at that time. One that waited while it was computed gets it, however long that took.
    fn is_fresh(&self, asked: Instant) -> bool {
        self.made.elapsed() < FRESH || self.begun >= asked
    }
}

impl Kept {
    /// Nothing is computed before the first client.
    pub fn new(compute: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self::dated(move || compute().map(|text| (Instant::now(), text)))
    }

    /// The same for a text that is made of something kept elsewhere: its age counts from the time that comes with it.
    pub fn dated(compute: impl Fn() -> Option<(Instant, String)> + Send + Sync + 'static) -> Self {
        Self { compute: Arc::new(compute), latest: Arc::default() }
    }

    /// The text, at most a second old. It is computed on another thread, so that it delays no other answer.
    ///
    /// # Errors
    /// If computing it panicked.
    pub async fn get(&self) -> Result<Option<Bytes>, tokio::task::JoinError> {
        let asked = Instant::now();
        let mut latest = self.latest.lock().await;
        if let Some(latest) = latest.as_ref().filter(|latest| latest.is_fresh(asked)) {
            return Ok(Some(latest.text.clone()));
        }
        let begun = Instant::now();
        let compute = Arc::clone(&self.compute);
        let text = tokio::task::spawn_blocking(move || compute()).await?;
        *latest = text.map(|(made, text)| Latest { text: text.into(), made, begun });
        Ok(latest.as_ref().map(|latest| latest.text.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_clients_at_once_cost_one_computation() {
        let computed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&computed);
        // It is not old before all have it, however slow the machine is.
        let made = Instant::now() + 600 * FRESH;
        let kept = Kept::dated(move || Some((made, counter.fetch_add(1, Ordering::SeqCst).to_string())));
        let texts = join_all((0..100).map(|_| kept.get())).await;
        assert!(texts.into_iter().all(|text| text.is_ok_and(|text| text.is_some_and(|text| text == "0"))));
        kept.latest.lock().await.as_mut().expect("a text").made = Instant::now() - FRESH;
        assert_eq!(kept.get().await.expect("no panic").expect("a text"), "1");
    }

    #[tokio::test]
    async fn however_long_it_takes_many_clients_at_once_cost_two_computations_at_most() {
        let computed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&computed);
        // It is old as soon as it is there.
        let kept =
            Kept::dated(move || Some((Instant::now() - FRESH, counter.fetch_add(1, Ordering::SeqCst).to_string())));
        let texts = join_all((0..100).map(|_| kept.get())).await;
        assert!(texts.into_iter().all(|text| text.is_ok_and(|text| text.is_some())));
        assert!(computed.load(Ordering::SeqCst) <= 2, "{computed:?}");
    }

    #[tokio::test]
    async fn what_is_made_of_something_old_is_kept_for_the_rest_of_a_second() {
        let computed = AtomicUsize::new(0);
        let old = Instant::now() - FRESH;
        let kept = Kept::dated(move || Some((old, computed.fetch_add(1, Ordering::SeqCst).to_string())));
        assert_eq!(kept.get().await.expect("no panic").expect("a text"), "0");
        assert_eq!(kept.get().await.expect("no panic").expect("a text"), "1");
    }

    #[tokio::test]
    async fn that_there_is_none_yet_is_not_kept() {
        let computed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&computed);
        let kept = Kept::new(move || (counter.fetch_add(1, Ordering::SeqCst) > 0).then(|| "text".to_owned()));
        assert_eq!(kept.get().await.expect("no panic"), None);
        assert_eq!(kept.get().await.expect("no panic").expect("a text"), "text");
    }
}
