//! Reconciles one list, once: decides on what was observed; if there is something to do, reads the cluster again and does that.
//!
//! ```text
//! observed ─► decide ─► nothing to do
//!                └────► read ─► decide ─► carry out: keep the list ─► validation result ─► DaemonSets ─► forget
//! ```
//! Because of the second read, a watch that is behind does no harm: nothing is created twice, and nothing is deleted because of
//! outdated observations.
//!
//! - [`decide`], [`image_caches`], [`discovered`]: what to do
//! - [`carry_out`]: does it
//! - [`report`]: Events about it
//! - [`services`]: which Services there are
//! - [`parsed_list`]: a list as it is written, and what it means
//! - [`memory`], [`unsettled`]: what a worker remembers between two reconciles

mod carry_out;
mod decide;
mod discovered;
mod image_caches;
mod memory;
mod parsed_list;
mod report;
mod services;
mod unsettled;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use super::Installation;
use super::apply::Applier;
use super::events::EventRecorder;
use super::image_caches::ImageCacheApplier;
use super::leadership::Leadership;
use super::observed::Observed;
use super::observed_cluster::WatchedNamespace;
use super::snapshot::{Reader, Snapshot};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::plan::Settings;
use carry_out::Executor;
use decide::{Decider, Decision};
pub use memory::Memory;
use report::Reporter;
use services::Services;

/// How many lists are read and written at a time. Each keeps what it read and planned in memory meanwhile. If requests hang, so many lists
/// may wait for them before others do too.
const ACTING: usize = 32;
/// How many of them may be of one namespace, if lists may be in any: those of others need not wait for thousands that one team edits.
const OF_ONE_NAMESPACE: usize = 8;

/// What comes after a reconcile of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterReconcile {
    /// Reconcile it again at this time, if nothing changes before.
    At(Option<Timestamp>),
    /// Nothing: the list, its history and everything created from it are gone.
    Gone,
}

/// Reconciles the lists of one namespace.
pub struct Reconciler {
    decider: Decider,
    reader: Reader,
    executor: Executor,
    leadership: Leadership,
    /// Held while a list is accepted, so that two lists do not take one name at the same time. In it: the term of leadership in which
    /// all that earlier leaders accepted is known.
    accepting: Mutex<Option<u64>>,
    turns: Turns,
    /// How many more lists of the namespace may be reconciled now.
    of_namespace: Semaphore,
}

/// Which lists may work at the same time, whatever their namespaces. Clones share it.
#[derive(Clone)]
pub struct Turns {
    /// Held while something is computed: parsing and planning need memory and a processor of their own, so one list at a time does it.
    computing: Arc<Mutex<()>>,
    /// How many more lists may be read and written now.
    acting: Arc<Semaphore>,
}

impl Turns {
    /// All lists may work.
    pub fn new() -> Self {
        Self { computing: Arc::default(), acting: Arc::new(Semaphore::new(ACTING)) }
    }

    /// Waits until nothing else is computed. Nothing else is as long as the result is kept.
    pub async fn to_compute(&self) -> MutexGuard<'_, ()> {
        self.computing.lock().await
    }
}

/// Makes the reconcilers of namespaces.
pub struct Reconcilers {
    client: Client,
    installation: Installation,
    settings: Settings,
    leadership: Leadership,
    metrics: Metrics,
    turns: Turns,
}

impl Reconcilers {
    /// `settings` are those of the controller's namespace.
    pub fn new(
        client: &Client,
        installation: Installation,
        settings: Settings,
        leadership: Leadership,
        metrics: Metrics,
        turns: Turns,
    ) -> Self {
        Self { client: client.clone(), installation, settings, leadership, metrics, turns }
    }

    /// One that works with what the watches observe in a namespace.
    pub fn of(&self, namespace: &WatchedNamespace) -> Reconciler {
        let is_home = *namespace.name == *self.installation.namespace;
        let (installation, settings) = match is_home {
            true => (self.installation.clone(), self.settings.clone()),
            false => (self.installation.elsewhere(&namespace.name), self.settings.elsewhere(&namespace.name)),
        };
        let Self { client, leadership, metrics, turns, .. } = self;
        let observed = namespace.observed.clone();
        Reconciler::new(client, &installation, observed, settings, leadership.clone(), metrics.clone(), turns.clone())
    }
}

impl Reconciler {
    fn new(
        client: &Client,
        installation: &Installation,
        observed: Observed,
        settings: Settings,
        leadership: Leadership,
        metrics: Metrics,
        turns: Turns,
    ) -> Self {
        let namespace = installation.namespace.as_str();
        let all_namespaces = installation.all_namespaces;
        let recorder = EventRecorder::new(client, namespace);
        Self {
            reader: Reader::new(client, namespace, &installation.config_maps),
            executor: Executor {
                applier: Applier::new(client, namespace),
                image_caches: ImageCacheApplier::new(client, namespace),
                reporter: Reporter { recorder, namespace: namespace.to_owned() },
                metrics,
                owner: settings.owner.clone(),
                policy: installation.policy.clone(),
                services: Services::new(client, namespace),
                accepted: observed.accepted.clone(),
            },
            decider: Decider {
                observed,
                namespace: namespace.to_owned(),
                is_home: !installation.is_elsewhere,
                settings,
                policy: installation.policy.clone(),
            },
            leadership,
            accepting: Mutex::new(None),
            turns,
            of_namespace: Semaphore::new(if all_namespaces { OF_ONE_NAMESPACE } else { Semaphore::MAX_PERMITS }),
        }
    }

    /// Waits until another list of the namespace may be reconciled. It counts as long as the result is kept.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.of_namespace.acquire().await.ok()
    }

    /// Does what there is to do for a list.
    ///
    /// # Errors
    /// The first failure: what the API server answered, or why it could not be reached. What was done before stays done.
    pub async fn reconcile(&self, label: &str, memory: &mut Memory) -> Result<AfterReconcile, Error> {
        let seen = Snapshot::observed(&self.decider.observed, label);
        memory.forget_all_but(&seen);
        if seen.is_empty() {
            self.decider.observed.accepted.waits_no_longer(label);
            return Ok(AfterReconcile::Gone);
        }
        let decision = self.decide(label, &seen, memory).await;
        let report_at = self.executor.reporter.report_waiting(&seen, &decision, memory).await;
        if decision.is_idle() {
            return Ok(AfterReconcile::At(decision.wake_at().into_iter().chain(report_at).min()));
        }
        let accepts = decision.history_plan.accepts();
        // It may be large, and is decided again before something is done.
        drop(decision);
        let _turn = self.turns.acting.acquire().await;
        let accepting = match accepts {
            true => Some(self.begin_to_accept().await?),
            false => None,
        };
        let seen = self.reader.read(label, &seen).await?;
        let decision = self.decide(label, &seen, memory).await;
        self.executor.write_first(label, &seen, &decision).await?;
        drop(accepting);
        let again = self.executor.carry_out(label, &seen, &decision, memory).await?;
        let check_at = memory.refusals_again_at(Timestamp::now());
        let next = decision.wake_at().into_iter().chain(again).chain(report_at).chain(check_at).min();
        Ok(AfterReconcile::At(next))
    }

    /// Waits until no other list is being accepted. What this process accepted is known then, even if the watch is behind. What the
    /// leader before it accepted last may not have been seen yet, so it is read once.
    async fn begin_to_accept(&self) -> Result<MutexGuard<'_, Option<u64>>, Error> {
        let mut known_in = self.accepting.lock().await;
        let term = self.leadership.term();
        if *known_in != Some(term) {
            let accepted = &self.decider.observed.accepted;
            self.reader.read_accepted(|revision| accepted.record_ahead(revision, None)).await?;
            *known_in = Some(term);
        }
        Ok(known_in)
    }

    /// Decides where probes, watches and other lists do not wait for it: whatever else this thread had to do, another one does meanwhile.
    async fn decide<'p>(&self, label: &str, seen: &'p Snapshot, memory: &mut Memory) -> Decision<'p> {
        let _one_at_a_time = self.turns.to_compute().await;
        tokio::task::block_in_place(|| {
            let started = Instant::now();
            let decision = self.decider.decide(label, seen, memory);
            memory.cost += started.elapsed();
            decision
        })
    }
}
