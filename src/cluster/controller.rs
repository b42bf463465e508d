//! Runs a worker for each list, each with its own backoff, so that no list delays another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use super::affected_lists::Changed;
use super::backoff::{LONGEST_PAUSE, Pace, Waker, pauses};
use super::concerned_lists::concerned;
use super::leadership::Leadership;
use super::lease::{Election, Resignation};
use super::node_gates::NodeGates;
use super::observed::Observed;
use super::readiness::Readiness;
use super::reconcile::{AfterReconcile, Memory, Reconciler};
use super::snapshot::Snapshot;
use super::status_server::Overview;
use super::watch::Listeners;
use super::{Installation, environment, node_warm_ups, watch};
use crate::error::Error;
use crate::messages::api_errors;
use crate::metrics::Metrics;
use crate::plan::Settings;

/// How long a reconcile may take before the cluster counts as unreachable.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The running controller. It ends when this is dropped, and changes nothing in the cluster then.
pub struct Controller {
    /// Whether it is ready.
    pub readiness: Readiness,
    /// What it knows about the lists.
    pub overview: Overview,
    tasks: JoinSet<()>,
    resignation: Option<Resignation>,
}

impl Controller {
    /// Starts watching, and working as soon as it leads. With `elects`, an election decides over `leadership`.
    ///
    /// `client` must refuse writes without that leadership (see [`super::connect::connect_controller`]).
    pub fn start(
        client: &Client,
        installation: Installation,
        may_read_nodes: bool,
        elects: bool,
        leadership: Leadership,
        metrics: &Metrics,
    ) -> Self {
        let (changed, changes) = unbounded_channel();
        let mut tasks = JoinSet::new();
        let readiness = Readiness::default();
        let resignation = elects.then(|| {
            let identity = format!("{}_{}", environment::instance(), std::process::id());
            let (election, resignation) =
                Election::new(client, &installation, identity, leadership.clone(), readiness.clone());
            tasks.spawn(election.run());
            resignation
        });
        let listeners = Listeners {
            changed,
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            leadership: leadership.clone(),
        };
        let observed = watch::start(client, &installation, may_read_nodes, listeners, &mut tasks);
        let overview = Overview::new(&installation.namespace, observed.clone(), readiness.clone(), leadership.clone());
        tasks.spawn(node_warm_ups::measure(overview.clone(), metrics.clone()));
        let gate_changes = Arc::new(Notify::new());
        let gates = NodeGates::new(client, &installation, overview.clone(), metrics.clone(), Arc::clone(&gate_changes));
        if let Some(gates) = gates {
            tasks.spawn(gates.keep());
        }
        let metrics = metrics.clone();
        let changes = Changes { changes, gates: gate_changes };
        tasks.spawn(work(client.clone(), installation, observed, readiness.clone(), leadership, metrics, changes));
        Self { readiness, overview, tasks, resignation }
    }

    /// Lets another controller take over at once.
    pub async fn resign(&mut self) {
        if let Some(resignation) = self.resignation.take() {
            resignation.resign().await;
        }
    }

    /// Waits until a task ends, which none should.
    pub async fn ended(&mut self) {
        if let Some(Err(panic)) = self.tasks.join_next().await {
            error!(%panic, "task panicked");
        }
    }
}

/// What changes in the cluster, for the workers of lists and for the gates of nodes.
struct Changes {
    changes: UnboundedReceiver<Changed>,
    gates: Arc<Notify>,
}

impl Changes {
    async fn next(&mut self) -> Option<Changed> {
        let changed = self.changes.recv().await;
        self.gates.notify_one();
        changed
    }
}

async fn work(
    client: Client,
    installation: Installation,
    observed: Observed,
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    mut changes: Changes,
) {
    let mut lead = leadership.changes();
    let settings = settings_of_cluster(&client, &installation, &readiness).await;
    let reconciler =
        Reconciler::new(&client, &installation, observed.clone(), settings, leadership.clone(), metrics.clone());
    let mut workers = Workers {
        reconciler: Arc::new(reconciler),
        observed: observed.clone(),
        readiness: readiness.clone(),
        leadership,
        metrics,
        wakers: HashMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        let changed = tokio::select! {
            changed = changes.next() => changed,
            changed = lead.changed() => {
                changes.gates.notify_one();
                changed.ok().map(|()| Changed::Everything)
            }
            Some(ended) = workers.tasks.join_next() => {
                workers.ended(ended);
                continue;
            }
        };
        let Some(changed) = changed else { return };
        // Before all listings are complete, nodes whose pods are not listed yet would seem to hold nothing.
        if !readiness.all_listed() {
            continue;
        }
        // An edit ends a worker's pause even while another process leads, so that no pause remains when this one leads again.
        if !workers.leadership.holds() && !matches!(changed, Changed::Edited(_)) {
            continue;
        }
        let wake = if matches!(changed, Changed::Edited(_)) { Waker::edit } else { Waker::change };
        concerned(changed, &observed).iter().for_each(|list| workers.wake(list, wake));
    }
}

/// Finds out what kind of cluster this is. Nothing is written before that is known, so it is retried until it succeeds.
async fn settings_of_cluster(client: &Client, installation: &Installation, readiness: &Readiness) -> Settings {
    let part = "environment";
    let mut pauses = pauses();
    loop {
        match environment::settings(client, installation).await {
            Ok(settings) => {
                readiness.ready(part);
                return settings;
            }
            Err(error) => {
                warn!(%error, "cannot detect the environment; retrying");
                readiness.not_ready(part, api_errors::of_controller(&error));
            }
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

struct Workers {
    reconciler: Arc<Reconciler>,
    observed: Observed,
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    wakers: HashMap<String, Arc<Waker>>,
    /// Each ends with the name of its list once nothing of the list is left.
    tasks: JoinSet<String>,
}

impl Workers {
    /// Forgets the worker of a list that is gone. If the list came back while the worker ended, it gets another one.
    fn ended(&mut self, ended: Result<String, JoinError>) {
        let list = match ended {
            Ok(list) => list,
            Err(panic) => return error!(%panic, "a worker panicked"),
        };
        self.metrics.forget(&list);
        if self.wakers.remove(&list).is_some_and(|waker| waker.is_pending()) {
            self.wake(&list, Waker::edit);
        }
    }

    fn wake(&mut self, list: &str, wake: fn(&Waker)) {
        if let Some(waker) = self.wakers.get(list) {
            return wake(waker);
        }
        // The last pods of a list go after everything else of it, which needs no worker.
        if !self.leadership.holds() || Snapshot::observed(&self.observed, list).is_empty() {
            return;
        }
        let waker = Arc::new(Waker::default());
        wake(&waker);
        let work = Work {
            list: list.to_owned(),
            reconciler: Arc::clone(&self.reconciler),
            readiness: self.readiness.clone(),
            leadership: self.leadership.clone(),
            metrics: self.metrics.clone(),
            pace: Pace::new(Arc::clone(&waker)),
        };
        self.tasks.spawn(work.go_on());
        self.wakers.insert(list.to_owned(), waker);
    }
}

/// The worker of one list.
struct Work {
    list: String,
    reconciler: Arc<Reconciler>,
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    pace: Pace,
}

impl Work {
    /// Works until the list is gone. Returns its name.
    async fn go_on(mut self) -> String {
        info!(list = self.list, "started worker for list");
        let mut memory = Memory::default();
        loop {
            self.pace.next().await;
            if !self.leadership.holds() {
                // Taking the lead wakes the workers of all lists.
                self.pace.done(None);
                continue;
            }
            let started = Instant::now();
            // On the heap, so that a worker that waits does without the 8 KiB that a reconcile needs.
            let reconcile = Box::pin(self.reconciler.reconcile(&self.list, &mut memory));
            let outcome = timeout(TIME_LIMIT, reconcile).await;
            let outcome = outcome.unwrap_or(Err(Error::TimedOut { seconds: TIME_LIMIT.as_secs() }));
            self.pace.cost(memory.take_cost());
            self.metrics.reconciled(started.elapsed(), outcome.as_ref().err().map(api_errors::category));
            match outcome {
                Ok(next) => {
                    self.readiness.ready(&self.list);
                    match next {
                        AfterReconcile::At(next) => self.pace.done(next.map(instant)),
                        AfterReconcile::Gone => {
                            info!(list = self.list, "nothing is left of the list: ended worker");
                            return self.list;
                        }
                    }
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn failed(&mut self, error: &Error) {
        let pause = self.pace.failed();
        let list = &self.list;
        match error {
            // The rights are those of the namespace, so all lists lack them.
            Error::Forbidden { .. } => {
                self.readiness.not_ready(list, format!("list {list}: {}", api_errors::of_controller(error)));
            }
            // Admission comes after authorization. The refusal concerns this list alone, which has an Event about it.
            Error::Denied { .. } => self.readiness.ready(list),
            _ => {}
        }
        warn!(list, %error, seconds = pause.as_secs_f32(), "reconcile failed; retrying");
    }
}

/// The longest wait of a worker before it reads the clock again, which may be set forward in the meantime.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

fn instant(at: Timestamp) -> Instant {
    let ahead = Timestamp::now().duration_until(at);
    Instant::now() + Duration::try_from(ahead).unwrap_or_default().min(LONGEST_WAIT)
}
