//! Counts requests and measures memory, phase by phase.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::audit::AuditLog;
use crate::controller::Controller;

/// For so long no request has to come before a phase counts as over.
const QUIET: Duration = Duration::from_secs(3);
/// When to give up on that.
const LONGEST: Duration = Duration::from_secs(60);

/// Prints a block per phase.
pub struct Meter {
    log: AuditLog,
    from: usize,
    started: Instant,
}

impl Meter {
    pub fn new() -> Self {
        let log = AuditLog::open();
        Self { from: log.length(), log, started: Instant::now() }
    }

    /// Waits until the controller sends no more requests, prints what happened since the last phase, and starts the next phase.
    pub async fn phase(&mut self, name: &str, controller: &Controller) {
        let took = self.started.elapsed();
        let requests = self.quiet().await;
        let total: usize = requests.values().sum();
        println!("\n{name}: {total} requests, {took:.1?}");
        for (what, count) in &requests {
            println!("  {count:>6}  {what}");
        }
        println!("  memory: {}", memory(controller.id()));
        (self.from, self.started) = (self.log.length(), Instant::now());
    }

    async fn quiet(&self) -> BTreeMap<String, usize> {
        let started = Instant::now();
        let mut seen = self.requests();
        loop {
            tokio::time::sleep(QUIET).await;
            let now = self.requests();
            if now == seen || started.elapsed() > LONGEST {
                return now;
            }
            seen = now;
        }
    }

    /// The controller's requests, without those that keep the Lease, which come with the clock.
    fn requests(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.log.since(self.from, "", |it| it.is_ours() && it.resource() != "leases") {
            *counts.entry(format!("{} {}", request.verb, request.resource())).or_default() += 1;
        }
        counts
    }
}

/// What the kernel says of a process's memory.
fn memory(process: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let megabytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        let kibibytes: f64 = line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024.0 / 1e6
    };
    format!("{:.1} MB resident, {:.1} MB at most", megabytes("VmRSS"), megabytes("VmHWM"))
}
