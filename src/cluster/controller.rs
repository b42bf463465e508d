//! A worker per list, each with its own backoff, so that one cannot starve another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backoff::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info, warn};

use super::observed::Observed;
use super::reconcile::{Memory, Reconciler};
use super::watch::{Changed, Outstanding};
use super::{Error, Installation, surroundings, watch};

/// How long one reconcile may take. Beyond that the cluster is taken to be out of reach.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The least time between two reconciles of a list: a round makes thousands of pods report themselves.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// Whether the controller is ready, for its probe.
#[derive(Clone, Debug)]
pub struct Readiness(Outstanding);

impl Readiness {
    /// Whether every watch has seen the cluster as a whole.
    pub fn is_ready(&self) -> bool {
        self.0.none()
    }
}

/// The running controller. It ends when this is dropped, and that changes nothing in the cluster.
pub struct Controller {
    /// Whether it is ready.
    pub readiness: Readiness,
    tasks: JoinSet<()>,
}

impl Controller {
    /// Starts watching and working.
    pub fn start(client: &Client, installation: Installation, may_read_nodes: bool) -> Self {
        let (changed, changes) = unbounded_channel();
        let mut tasks = JoinSet::new();
        let (observed, outstanding) = watch::start(client, &installation, may_read_nodes, &changed, &mut tasks);
        let readiness = Readiness(outstanding.clone());
        tasks.spawn(work(client.clone(), installation, observed, outstanding, changes));
        Self { readiness, tasks }
    }

    /// Waits for a task to end, which none ever should.
    pub async fn ended(&mut self) {
        if let Some(Err(panic)) = self.tasks.join_next().await {
            error!(%panic, "a part of the controller ended");
        }
    }
}

async fn work(
    client: Client,
    installation: Installation,
    observed: Observed,
    outstanding: Outstanding,
    mut changes: UnboundedReceiver<Changed>,
) {
    let settings = surroundings_for_sure(&client, &installation).await;
    let reconciler = Arc::new(Reconciler::new(client, &installation.namespace, observed.clone(), settings));
    let mut workers = Workers { reconciler, wakers: HashMap::new(), tasks: JoinSet::new() };
    while let Some(changed) = changes.recv().await {
        // With half a picture, pods that are not seen yet would look as if they held nothing.
        if !outstanding.none() {
            continue;
        }
        match changed {
            Changed::List(list) => workers.wake(&list),
            Changed::Everything => every_list(&observed).iter().for_each(|list| workers.wake(list)),
        }
    }
}

/// Every list that there is or was: those that are only known by their DaemonSets too.
fn every_list(observed: &Observed) -> Vec<String> {
    let named = observed
        .lists
        .iter()
        .flat_map(|store| store.state())
        .map(|list| crate::plan::labels::list_value(&list.name_any()));
    let labelled = observed.daemon_sets.state();
    let labelled = labelled.iter().filter_map(|daemon_set| daemon_set.labels().get(crate::plan::labels::LIST).cloned());
    let mut lists: Vec<String> = named.chain(labelled).collect();
    lists.sort_unstable();
    lists.dedup();
    lists
}

/// What kind of cluster this is must be known before the first write; until it can be asked, nothing is written.
async fn surroundings_for_sure(client: &Client, installation: &Installation) -> crate::plan::Settings {
    let mut pauses = pauses();
    loop {
        match surroundings::settings(client, installation).await {
            Ok(settings) => return settings,
            Err(error) => warn!(%error, "cannot find out about the cluster yet"),
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

struct Workers {
    reconciler: Arc<Reconciler>,
    wakers: HashMap<String, Arc<Notify>>,
    tasks: JoinSet<()>,
}

impl Workers {
    fn wake(&mut self, list: &str) {
        if let Some(waker) = self.wakers.get(list) {
            return waker.notify_one();
        }
        let waker = Arc::new(Notify::new());
        waker.notify_one();
        self.tasks.spawn(work_on(list.to_owned(), Arc::clone(&self.reconciler), Arc::clone(&waker)));
        self.wakers.insert(list.to_owned(), waker);
    }
}

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

async fn work_on(list: String, reconciler: Arc<Reconciler>, waker: Arc<Notify>) {
    info!(list, "looking after this list");
    let mut memory = Memory::default();
    let mut retries = pauses();
    let mut wake_at: Option<Instant> = None;
    loop {
        match wake_at {
            None => waker.notified().await,
            Some(at) => tokio::select! {
                () = waker.notified() => {}
                () = sleep_until(at) => {}
            },
        }
        let started = Instant::now();
        let outcome = timeout(TIME_LIMIT, reconciler.reconcile(&list, &mut memory)).await;
        wake_at = match outcome.unwrap_or(Err(Error::TimedOut { seconds: TIME_LIMIT.as_secs() })) {
            Ok(next) => {
                retries = pauses();
                next.map(instant)
            }
            Err(error) => {
                let pause = retries.next().unwrap_or(LONGEST_PAUSE);
                warn!(list, %error, seconds = pause.as_secs_f32(), "trying again");
                // Waking up for every event meanwhile would defeat the backoff.
                sleep_until(Instant::now() + pause).await;
                Some(Instant::now())
            }
        };
        sleep_until(started + LEAST_PAUSE).await;
    }
}

fn instant(at: Timestamp) -> Instant {
    let ahead = Timestamp::now().duration_until(at);
    Instant::now() + Duration::try_from(ahead).unwrap_or_default()
}
