//! Counts the controller's requests to the API server, phase by phase.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::audit::{AuditLog, Request};
use crate::controller::Controller;
use crate::process::Process;
use crate::progress;

/// For so long no request has to come before a phase counts as over.
const QUIET: Duration = Duration::from_secs(3);
/// When to give up on that.
const LONGEST: Duration = Duration::from_secs(60);

/// Reads the audit log from where the last phase ended.
pub struct Meter {
    log: AuditLog,
    from: usize,
    started: Instant,
}

/// What happened in a phase.
pub struct Phase {
    /// By verb and resource.
    requests: BTreeMap<String, usize>,
    /// How many pods anybody made.
    pub pods: usize,
}

impl Phase {
    /// All requests.
    pub fn total(&self) -> usize {
        self.requests.values().sum()
    }

    /// Those that change something.
    pub fn writes(&self) -> usize {
        let reads = ["get ", "list "];
        let writes = self.requests.iter().filter(|(what, _)| !reads.iter().any(|read| what.starts_with(read)));
        writes.map(|(_, count)| count).sum()
    }
}

impl Meter {
    pub fn new() -> Self {
        let log = AuditLog::open();
        Self { from: log.length(), log, started: Instant::now() }
    }

    /// Waits until the controller sends no more requests, reports what happened since the last phase, and starts the next phase.
    pub async fn phase(&mut self, name: &str, controller: &Controller) -> Phase {
        let took = self.started.elapsed();
        let requests = self.quiet().await;
        let pods = self.log.since(self.from, "/pods", |it| it.creates_pod() && it.succeeded()).len();
        let phase = Phase { requests, pods };
        let process = Process(controller.id());
        progress(&format!(
            "{name}: {took:.1?}, {} requests, {} of them writes, {:.1} MiB, {:.1} MiB at most, {:.1?} of CPU",
            phase.total(),
            phase.writes(),
            process.resident(),
            process.peak(),
            process.cpu()
        ));
        for (what, count) in &phase.requests {
            progress(&format!("{count:>8}  {what}"));
        }
        (self.from, self.started) = (self.log.length(), Instant::now());
        phase
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

    /// The controller's requests, without those that keep the Lease and watches, which come with the clock.
    fn requests(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        let counts_up = |it: &Request| it.is_ours() && it.resource() != "leases" && it.verb != "watch";
        for request in self.log.since(self.from, "kube-prepull/", counts_up) {
            *counts.entry(format!("{} {}", request.verb, request.resource())).or_default() += 1;
        }
        counts
    }
}
