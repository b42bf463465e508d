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

use super::affected_lists::{Change, Changed};
use super::backoff::{LONGEST_PAUSE, Pace, Waker, pauses};
use super::concerned_lists::concerned;
use super::leadership::Leadership;
use super::lease::{Election, Resignation};
use super::node_gates::NodeGates;
use super::observed_cluster::{ObservedCluster, WatchedNamespace};
use super::other_controllers::OtherControllers;
use super::readiness::Readiness;
use super::reconcile::{AfterReconcile, Memory, Reconciler, Reconcilers, Turns};
use super::snapshot::Snapshot;
use super::status_server::Overview;
use super::warm_results::WarmResults;
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
        let cluster = watch::start(client, &installation, may_read_nodes, listeners, &mut tasks);
        let overview =
            Overview::new(cluster.clone(), installation.all_namespaces, readiness.clone(), leadership.clone());
        tasks.spawn(node_warm_ups::measure(overview.clone(), metrics.clone()));
        let gate_changes = Arc::new(Notify::new());
        let gates = NodeGates::new(client, &installation, overview.clone(), metrics.clone(), Arc::clone(&gate_changes));
        if let Some(gates) = gates {
            tasks.spawn(gates.keep());
        }
        let warm_changes = Arc::new(Notify::new());
        let turns = Turns::new();
        tasks.spawn(WarmResults::new(client, overview.clone(), turns.clone(), Arc::clone(&warm_changes)).keep());
        let common = Common { readiness: readiness.clone(), leadership, metrics: metrics.clone(), turns };
        let changes = Changes { changes, listeners: [gate_changes, warm_changes] };
        tasks.spawn(work(client.clone(), installation, cluster, common, changes));
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

/// What changes in the cluster, for the workers of lists, for the gates of nodes and for what lists say of themselves.
struct Changes {
    changes: UnboundedReceiver<Change>,
    listeners: [Arc<Notify>; 2],
}

impl Changes {
    async fn next(&mut self) -> Option<Change> {
        let changed = self.changes.recv().await;
        self.notify();
        changed
    }

    fn notify(&self) {
        self.listeners.iter().for_each(|listener| listener.notify_one());
    }
}

/// What all workers share.
struct Common {
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    turns: Turns,
}

async fn work(
    client: Client,
    installation: Installation,
    cluster: ObservedCluster,
    common: Common,
    mut changes: Changes,
) {
    let Common { readiness, leadership, metrics, turns } = common;
    let mut lead = leadership.changes();
    let settings = settings_of_cluster(&client, &installation, &readiness).await;
    let mut workers = Workers {
        reconcilers: Reconcilers::new(&client, installation, settings, leadership.clone(), metrics.clone(), turns),
        cluster,
        readiness: readiness.clone(),
        leadership,
        metrics,
        namespaces: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let mut listed = false;
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            changed = lead.changed() => {
                changes.notify();
                changed.ok().map(|()| Change::anywhere(Changed::Everything))
            }
            Some(ended) = workers.tasks.join_next() => {
                workers.ended(ended);
                continue;
            }
        };
        let Some(mut change) = change else { return };
        // Before all listings are complete, nodes whose pods are not listed yet would seem to hold nothing.
        if !readiness.all_listed() {
            continue;
        }
        if !std::mem::replace(&mut listed, true) {
            // What changed before concerned nobody.
            change = Change::anywhere(Changed::Everything);
        }
        let Change { namespace, what } = change;
        // An edit ends a worker's pause even while another process leads, so that no pause remains when this one leads again.
        if !workers.leadership.holds() && !matches!(what, Changed::Edited(_)) {
            continue;
        }
        let namespaces = match namespace {
            Some(namespace) => workers.cluster.get(&namespace).into_iter().collect(),
            None => workers.cluster.all(),
        };
        let wake = if matches!(what, Changed::Edited(_)) { Waker::edit } else { Waker::change };
        for namespace in &namespaces {
            let concerned = concerned(&what, &namespace.observed);
            if concerned.is_empty() {
                workers.forget(&namespace.name);
            }
            concerned.iter().for_each(|list| workers.wake(namespace, list, wake));
        }
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
    reconcilers: Reconcilers,
    cluster: ObservedCluster,
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    namespaces: HashMap<Arc<str>, WorkersOfNamespace>,
    /// Each ends with the namespace and the label of its list once nothing of the list is left.
    tasks: JoinSet<(Arc<str>, String)>,
}

/// The workers of one namespace's lists.
struct WorkersOfNamespace {
    reconciler: Arc<Reconciler>,
    wakers: HashMap<String, Arc<Waker>>,
}

impl Workers {
    /// Forgets the worker of a list that is gone. If the list came back while the worker ended, it gets another one.
    fn ended(&mut self, ended: Result<(Arc<str>, String), JoinError>) {
        let (namespace, list) = match ended {
            Ok(ended) => ended,
            Err(panic) => return error!(%panic, "a worker panicked"),
        };
        self.metrics.forget(&namespace, &list);
        let Some(workers) = self.namespaces.get_mut(&namespace) else { return };
        let waker = workers.wakers.remove(&list);
        if workers.wakers.is_empty() {
            self.namespaces.remove(&namespace);
        }
        let Some(namespace) = self.cluster.get(&namespace) else { return };
        match waker.is_some_and(|waker| waker.is_pending()) {
            true => self.wake(&namespace, &list, Waker::edit),
            false => self.forget(&namespace.name),
        }
    }

    /// Forgets a namespace if nothing of lists is left there, and nobody works there: what a worker sees must be what the watches see.
    fn forget(&mut self, namespace: &str) {
        if !self.namespaces.contains_key(namespace) {
            self.cluster.forget_if_empty(namespace);
        }
    }

    fn wake(&mut self, namespace: &Arc<WatchedNamespace>, list: &str, wake: fn(&Waker)) {
        let workers = self.namespaces.get(&namespace.name);
        if let Some(waker) = workers.and_then(|workers| workers.wakers.get(list)) {
            return wake(waker);
        }
        // The last pods of a list go after everything else of it, which needs no worker.
        if Snapshot::observed(&namespace.observed, list).is_empty() {
            return self.forget(&namespace.name);
        }
        if self.leadership.holds() && !self.cluster.seen_by_all().other_controllers.are_in(&namespace.name) {
            self.begin(namespace, list, wake);
        }
    }

    fn begin(&mut self, namespace: &Arc<WatchedNamespace>, list: &str, wake: fn(&Waker)) {
        let waker = Arc::new(Waker::default());
        wake(&waker);
        let name = Arc::clone(&namespace.name);
        let workers = self.namespaces.entry(Arc::clone(&name)).or_insert_with(|| WorkersOfNamespace {
            reconciler: Arc::new(self.reconcilers.of(namespace)),
            wakers: HashMap::new(),
        });
        let work = Work {
            part: self.cluster.part(&name, list),
            other_controllers: self.cluster.seen_by_all().other_controllers.clone(),
            is_home: Arc::ptr_eq(namespace, self.cluster.home()),
            namespace: name,
            list: list.to_owned(),
            reconciler: Arc::clone(&workers.reconciler),
            readiness: self.readiness.clone(),
            leadership: self.leadership.clone(),
            metrics: self.metrics.clone(),
            pace: Pace::new(Arc::clone(&waker)),
        };
        workers.wakers.insert(list.to_owned(), waker);
        self.tasks.spawn(work.go_on());
    }
}

/// The worker of one list.
struct Work {
    namespace: Arc<str>,
    list: String,
    /// What the readiness probe calls it.
    part: String,
    other_controllers: OtherControllers,
    /// Whether it is in the controller's namespace.
    is_home: bool,
    reconciler: Arc<Reconciler>,
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    pace: Pace,
}

impl Work {
    /// Works until the list is gone. Returns its namespace and its label.
    async fn go_on(mut self) -> (Arc<str>, String) {
        info!(namespace = &*self.namespace, list = self.list, "started worker for list");
        let (reconciler, mut memory) = (Arc::clone(&self.reconciler), Memory::default());
        loop {
            self.pace.next().await;
            let turn = reconciler.turn().await;
            if self.other_controllers.are_in(&self.namespace) {
                return self.end("its namespace has a controller of its own");
            }
            if !self.leadership.holds() {
                // Taking the lead wakes the workers of all lists.
                self.pace.done(None);
                continue;
            }
            let started = Instant::now();
            // On the heap, so that a worker that waits does without the 8 KiB that a reconcile needs.
            let reconcile = Box::pin(reconciler.reconcile(&self.list, &mut memory));
            let outcome = timeout(TIME_LIMIT, reconcile).await;
            let outcome = outcome.unwrap_or(Err(Error::TimedOut { seconds: TIME_LIMIT.as_secs() }));
            drop(turn);
            self.pace.cost(memory.take_cost());
            self.metrics.reconciled(started.elapsed(), outcome.as_ref().err().map(api_errors::category));
            match outcome {
                Ok(next) => {
                    self.readiness.ready(&self.part);
                    match next {
                        AfterReconcile::At(next) => self.pace.done(next.map(instant)),
                        AfterReconcile::Gone => return self.end("nothing is left of the list"),
                    }
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn end(self, why: &str) -> (Arc<str>, String) {
        self.readiness.ready(&self.part);
        info!(namespace = &*self.namespace, list = self.list, "{why}: ended worker");
        (self.namespace, self.list)
    }

    fn failed(&mut self, error: &Error) {
        let pause = self.pace.failed();
        let part = &self.part;
        match error {
            // The rights are those of the namespace, so all lists lack them. Those of other namespaces are the same, or a matter of these.
            Error::Forbidden { .. } if self.is_home => {
                self.readiness.not_ready(part, format!("list {part}: {}", api_errors::of_controller(error)));
            }
            // Admission comes after authorization. The refusal concerns this list alone, which has an Event about it.
            Error::Denied { .. } => self.readiness.ready(part),
            _ => {}
        }
        let (namespace, list, seconds) = (&*self.namespace, &self.list, pause.as_secs_f32());
        warn!(namespace, list, %error, seconds, "reconcile failed; retrying");
    }
}

/// The longest wait of a worker before it reads the clock again, which may be set forward in the meantime.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

fn instant(at: Timestamp) -> Instant {
    let ahead = Timestamp::now().duration_until(at);
    Instant::now() + Duration::try_from(ahead).unwrap_or_default().min(LONGEST_WAIT)
}
