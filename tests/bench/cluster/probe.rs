//! Asks for `/livez` as a kubelet does, from outside and again and again, while something else is going on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);
/// Longer than a kubelet waits.
const LIMIT: Duration = Duration::from_secs(5);

/// It asks until it is ended.
pub struct Probe {
    over: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Duration>>,
}

/// How long the answers took, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub median: f64,
    pub p99: f64,
    pub most: f64,
}

impl Probe {
    pub fn begin(address: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (url, until) = (format!("http://{address}/livez"), Arc::clone(&over));
        let asking = thread::spawn(move || {
            // Each probe of a kubelet is a connection of its own.
            let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).max_idle_connections(0);
            let agent = config.timeout_global(Some(LIMIT)).build().new_agent();
            let mut took = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let started = Instant::now();
                let good = agent.get(&url).call().is_ok_and(|answer| answer.status() == 200);
                took.push(if good { started.elapsed() } else { LIMIT });
                thread::sleep(PAUSE);
            }
            took
        });
        Self { over, asking }
    }

    pub fn end(self) -> Latency {
        self.over.store(true, Ordering::Relaxed);
        let mut took = self.asking.join().unwrap();
        took.sort_unstable();
        let at = |share: f64| {
            let place = ((took.len() - 1) as f64 * share).round() as usize;
            took[place].as_secs_f64() * 1000.0
        };
        Latency { median: at(0.5), p99: at(0.99), most: at(1.0) }
    }
}
