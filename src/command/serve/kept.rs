//! A text that is expensive to compute is computed once per second for all clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::sync::Mutex;

/// How old a text may be.
const FRESH: Duration = Duration::from_secs(1);

/// Computes a text; `None` while there is none yet.
pub type Compute = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// A text, kept for a second. Clients that come while it is computed wait and share it, so that any number of them costs no
/// more than one, in time as in memory.
#[derive(Clone)]
pub struct Kept {
    compute: Compute,
    latest: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

impl Kept {
    /// Nothing is computed before the first client.
    pub fn new(compute: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { compute: Arc::new(compute), latest: Arc::default() }
    }

    /// The text, at most a second old. It is computed on another thread, so that it delays no other answer.
    ///
    /// # Errors
    /// If computing it panicked.
    pub async fn get(&self) -> Result<Option<Bytes>, tokio::task::JoinError> {
        let mut latest = self.latest.lock().await;
        if let Some((_, text)) = latest.as_ref().filter(|(made, _)| made.elapsed() < FRESH) {
            return Ok(Some(text.clone()));
        }
        let compute = Arc::clone(&self.compute);
        let text = tokio::task::spawn_blocking(move || compute()).await?.map(Bytes::from);
        *latest = text.clone().map(|text| (Instant::now(), text));
        Ok(text)
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
        let kept = Kept::new(move || Some(counter.fetch_add(1, Ordering::SeqCst).to_string()));
        let texts = join_all((0..100).map(|_| kept.get())).await;
        assert!(texts.into_iter().all(|text| text.is_ok_and(|text| text.is_some_and(|text| text == "0"))));
        kept.latest.lock().await.as_mut().expect("a text").0 -= FRESH;
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
