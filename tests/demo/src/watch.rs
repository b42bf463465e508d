//! Looks into a node's containerd, again and again, as long as the story goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use test_bed::Node;

use crate::held::Sample;

/// Between two looks. A look itself takes some hundredths of a second.
const PAUSE: Duration = Duration::from_millis(50);

/// The samples of a thread of its own.
pub struct Watch {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    samples: Mutex<Vec<Sample>>,
    failure: Mutex<Option<String>>,
    over: AtomicBool,
}

impl Watch {
    /// Begins to look at the containers of a namespace.
    pub fn begin(node: Node, namespace: &'static str) -> Self {
        let seen = Arc::new(Seen::default());
        let writer = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            while !writer.over.load(Ordering::Relaxed) {
                let at = Instant::now();
                match node.containers() {
                    Ok(containers) => lock(&writer.samples).push(Sample::new(at, containers, namespace)),
                    Err(error) => {
                        *lock(&writer.failure) = Some(format!("{error:#}"));
                        return;
                    }
                }
                thread::sleep(PAUSE);
            }
        });
        Self { seen, thread: Some(thread) }
    }

    /// The samples that were begun at that instant or later.
    ///
    /// # Errors
    /// If containerd could not be asked any more.
    pub fn since(&self, begin: Instant) -> Result<Vec<Sample>> {
        if let Some(failure) = lock(&self.seen.failure).as_ref() {
            return Err(anyhow!("cannot look into the node's containerd: {failure}"));
        }
        Ok(lock(&self.seen.samples).iter().filter(|sample| sample.at >= begin).cloned().collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What was pushed before a panic is still true.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
