//! Runs a worker for each list, each with its own backoff, so that no list delays another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Client, ResourceExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use super::affected_lists::Changed;
use super::backoff::{LONGEST_PAUSE, Pace, Waker, pauses};
use super::leadership::Leadership;
use super::lease::{Election, Resignation};
use super::observed::Observed;
use super::readiness::Readiness;
use super::reconcile::{Memory, Reconciler};
use super::status_server::Overview;
use super::watch::Listeners;
use super::{Installation, environment, node_warm_ups, watch};
use crate::error::Error;
use crate::messages::api_errors;
use crate::metrics::Metrics;
use crate::naming::labels::{LIST, list_value};
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
        let metrics = metrics.clone();
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

async fn work(
    client: Client,
    installation: Installation,
    observed: Observed,
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    mut changes: UnboundedReceiver<Changed>,
) {
    let mut lead = leadership.changes();
    let settings = settings_of_cluster(&client, &installation, &readiness).await;
    let reconciler = Reconciler::new(&client, &installation, observed.clone(), settings, metrics.clone());
    let mut workers = Workers {
        reconciler: Arc::new(reconciler),
        readiness: readiness.clone(),
        leadership,
        metrics,
        wakers: HashMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        let changed = tokio::select! {
            changed = changes.recv() => changed,
            changed = lead.changed() => changed.ok().map(|()| Changed::Everything),
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
        match changed {
            Changed::List(list) => workers.wake(&list, Waker::change),
            Changed::Edited(list) => workers.wake(&list, Waker::edit),
            Changed::Everything => every_list(&observed).iter().for_each(|list| workers.wake(list, Waker::change)),
        }
    }
}

/// Every list that exists, has a history, or has something created from it.
fn every_list(observed: &Observed) -> Vec<String> {
    let named = observed.lists.iter().flat_map(|store| store.state()).map(|list| list_value(&list.name_any()));
    let (daemon_sets, revisions) = (observed.daemon_sets.state(), observed.revisions.state());
    let labelled = daemon_sets.iter().map(|it| it.labels()).chain(revisions.iter().map(|it| it.labels()));
    let named = named.chain(observed.image_caches.lists());
    let mut lists: Vec<String> = named.chain(labelled.filter_map(|labels| labels.get(LIST).cloned())).collect();
    lists.sort_unstable();
    lists.dedup();
    lists
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
    readiness: Readiness,
    leadership: Leadership,
    metrics: Metrics,
    wakers: HashMap<String, Arc<Waker>>,
    tasks: JoinSet<()>,
}

impl Workers {
    fn wake(&mut self, list: &str, wake: fn(&Waker)) {
        if let Some(waker) = self.wakers.get(list) {
            return wake(waker);
        }
        if !self.leadership.holds() {
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
    async fn go_on(mut self) {
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
            let outcome = timeout(TIME_LIMIT, self.reconciler.reconcile(&self.list, &mut memory)).await;
            let outcome = outcome.unwrap_or(Err(Error::TimedOut { seconds: TIME_LIMIT.as_secs() }));
            self.pace.cost(memory.take_cost());
            self.metrics.reconciled(started.elapsed(), outcome.as_ref().err().map(api_errors::category));
            match outcome {
                Ok(next) => {
                    self.readiness.ready(&self.list);
                    self.pace.done(next.map(instant));
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
