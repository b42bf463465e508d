//! Frees nodes that wait for images, and keeps their condition up to date. Only the leader does.
//!
//! ```text
//! any change ─► observed lists and nodes ─► decide (gate) ─► patches of nodes, Events, metrics
//! ```
//! - [`decide`]: what is due
//! - [`write`]: the patches
//! - [`report`]: Events about nodes that were freed although images are missing, and about missing rights
//! - [`written`]: what was written and is not observed yet, and what could not be written
//!
//! Nothing is remembered that the cluster does not hold: what a node waits for follows from its taints, its age and its pods. What fails
//! for one node is retried later, and delays no other node.

mod decide;
mod report;
mod write;
mod written;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use self::decide::{Decided, DueCondition, FreedNode, GateSources};
use self::report::Reports;
use self::write::{NodeWriter, Removal};
use self::written::Written;
use super::accepted_lists::AcceptedVersion;
use super::environment::Installation;
use super::observed::{GateFactsByName, ObservedNodes};
use super::status_server::Overview;
use crate::coverage::NodeSet;
use crate::error::Error;
use crate::gate::NodeWrite;
use crate::gate::lists_on_nodes::{GatedList, any_condition, gated};
use crate::list::config::TaintKey;
use crate::metrics::Metrics;

/// Changes of a moment are taken together.
const GATHER: Duration = Duration::from_millis(300);
/// The longest wait before everything is compared again, whatever has changed: the clock may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The same while nodes wait, some of which only time frees.
const WHILE_NODES_WAIT: Duration = Duration::from_secs(5);
/// How often the conditions of all nodes are compared with what is there while something changes. Those of gated nodes always are.
const CONDITIONS_EVERY: Duration = Duration::from_secs(10);
/// How many nodes are written at a time.
const AT_A_TIME: usize = 8;

/// Frees nodes and keeps their conditions.
pub struct NodeGates {
    overview: Overview,
    namespace: String,
    taints: BTreeSet<TaintKey>,
    writer: NodeWriter,
    reports: Reports,
    metrics: Metrics,
    changes: Arc<Notify>,
    written: Written,
    /// When the conditions of all nodes were compared last.
    conditions_at: Option<Instant>,
    /// Whether something has changed since.
    changed: bool,
}

impl NodeGates {
    /// Prepares to free the nodes that the installation may free; `None` if it may free none.
    pub fn new(
        client: &Client,
        installation: &Installation,
        overview: Overview,
        metrics: Metrics,
        changes: Arc<Notify>,
    ) -> Option<Self> {
        let taints: BTreeSet<TaintKey> = installation.policy.gate_taints().keys().cloned().collect();
        (!taints.is_empty()).then(|| Self {
            overview,
            namespace: installation.namespace.clone(),
            taints,
            writer: NodeWriter::new(client),
            reports: Reports::new(client, &installation.namespace),
            metrics,
            changes,
            written: Written::default(),
            conditions_at: None,
            changed: true,
        })
    }

    /// Works forever.
    pub async fn keep(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            self.changed |= timeout(wait, self.changes.notified()).await.is_ok();
            sleep(GATHER).await;
            wait = self.pass().await;
        }
    }

    /// Does what is due. Returns how long to wait if nothing changes before.
    async fn pass(&mut self) -> Duration {
        let ready = self.overview.leads() && self.overview.readiness.all_listed();
        let observed = self.overview.cluster.seen_by_all().nodes.clone().filter(|_| ready);
        let Some((observed, nodes)) = observed.and_then(|observed| Some((observed.clone(), observed.all()?))) else {
            self.metrics.nodes_gated(0);
            return LONGEST_WAIT;
        };
        let lists = self.lists();
        let decided = block_in_place(|| self.decide(&lists, &observed, &nodes));
        self.metrics.nodes_gated(decided.gated);
        let wait = if decided.gated > 0 { WHILE_NODES_WAIT } else { LONGEST_WAIT };
        let wait = decided.wake_at.map_or(wait, |at| wait.min(until(at)));
        self.changed |= decided.more;
        let wait = self.conditions_due_in(&lists, &observed).map_or(wait, |rest| wait.min(rest));
        self.free(&lists, decided.freed).await;
        self.set_conditions(&lists, decided.conditions).await;
        wait
    }

    fn lists(&self) -> Vec<GatedList> {
        // A gate is a matter of whoever installs the controller: one of a list elsewhere would keep nodes from everybody.
        let observed = &self.overview.cluster.home().observed;
        let newest = observed.accepted.newest();
        let list = |(label, version): &(String, Arc<AcceptedVersion>)| {
            let name = &version.revision.list.name;
            GatedList::new(label, name, version.config()?, || observed.generations(label))
        };
        newest.iter().filter_map(list).collect()
    }

    fn decide(&mut self, lists: &[GatedList], observed: &ObservedNodes, nodes: &NodeSet) -> Decided {
        let gated = gated(nodes.iter(), &self.taints);
        let all = self.are_conditions_due(lists, observed);
        if gated.is_empty() && !all {
            self.written.forget_observed(&GateFactsByName::new());
            return Decided::default();
        }
        let facts = match all {
            true => observed.gate_facts(|_| true),
            false => {
                let names: BTreeSet<&str> = gated.iter().map(|(node, _)| node.name.as_str()).collect();
                observed.gate_facts(|name| names.contains(name))
            }
        };
        self.written.forget_observed(&facts);
        let coverage = self.overview.cluster.home().observed.coverage.snapshot();
        let sources = GateSources {
            lists,
            gated: &gated,
            all: all.then_some(nodes),
            facts: &facts,
            coverage: &coverage,
            written: &self.written,
            namespace: &self.namespace,
            now: Timestamp::now(),
        };
        sources.decide()
    }

    /// Whether the conditions of all nodes are to be compared: some list has one, or some node has one that no list asks for.
    fn are_conditions_due(&mut self, lists: &[GatedList], observed: &ObservedNodes) -> bool {
        let age = self.conditions_at.map_or(LONGEST_WAIT, |at| at.elapsed());
        let is_time = age >= LONGEST_WAIT || (self.changed && age >= CONDITIONS_EVERY);
        let due = is_time && (any_condition(lists) || observed.any_condition());
        if due {
            (self.conditions_at, self.changed) = (Some(Instant::now()), false);
        }
        due
    }

    /// When changes are compared that came too early after the last comparison: nothing else may wake it up then.
    fn conditions_due_in(&self, lists: &[GatedList], observed: &ObservedNodes) -> Option<Duration> {
        let age = self.conditions_at?.elapsed();
        let any = self.changed && (any_condition(lists) || observed.any_condition());
        any.then(|| CONDITIONS_EVERY.saturating_sub(age))
    }

    async fn free(&mut self, lists: &[GatedList], freed: Vec<FreedNode>) {
        let writer = &self.writer;
        let removals = stream::iter(freed).map(|it| async move {
            let outcome = writer.remove_taint(&it.node, &it.uid, &it.taint).await;
            (it, outcome)
        });
        // In order, so that the same failure is reported each time.
        let outcomes: Vec<_> = removals.buffered(AT_A_TIME).collect().await;
        let (mut timed_out, mut failure) = (Vec::new(), None);
        for (it, outcome) in outcomes {
            match outcome {
                Ok(Removal::Done) => {
                    self.written.removed(&it.uid, &it.taint);
                    self.count(&it);
                    timed_out.extend(it.timed_out.is_some().then_some(it));
                }
                // Another client has removed it, or the node is gone: then there is nothing to say.
                Ok(Removal::NothingToDo) => self.written.removed(&it.uid, &it.taint),
                Err(error) => {
                    self.written.failed(NodeWrite::Taint, &it.uid);
                    failure.get_or_insert(error);
                }
            }
        }
        self.reports.freed_by_timeout(&self.overview.cluster.home().observed, lists, &timed_out).await;
        self.report_failure(lists, NodeWrite::Taint, failure).await;
    }

    fn count(&self, it: &FreedNode) {
        let took = it.node.created.map(|created| Timestamp::now().duration_since(created).unsigned_abs());
        self.metrics.node_is_freed(took.unwrap_or_default());
        match &it.timed_out {
            None => info!(node = it.node.name, taint = %it.taint, "removed the taint of a gate: no image is missing"),
            Some(lists) => {
                let behind = lists.iter().find_map(|(_, warmth)| warmth.behind.as_ref());
                self.metrics.node_gate_timed_out(behind.map(|behind| behind.state));
            }
        }
    }

    async fn set_conditions(&mut self, lists: &[GatedList], conditions: Vec<DueCondition>) {
        let (writer, now) = (&self.writer, Timestamp::now());
        let writes = stream::iter(conditions).map(|it| async move {
            let outcome = writer.set_condition(&it, now).await;
            (it, outcome)
        });
        let outcomes: Vec<_> = writes.buffered(AT_A_TIME).collect().await;
        let mut failure = None;
        for (it, outcome) in outcomes {
            match outcome {
                Ok(()) => self.written.set_condition(it.uid, it.wanted, now),
                Err(error) => {
                    self.written.failed(NodeWrite::Condition, &it.uid);
                    failure.get_or_insert(error);
                }
            }
        }
        self.report_failure(lists, NodeWrite::Condition, failure).await;
    }

    /// Reports on the lists with a gate what could not be written. A missing right is missing for all nodes, so that is not tried again for
    /// a while.
    async fn report_failure(&mut self, lists: &[GatedList], kind: NodeWrite, failure: Option<Error>) {
        let Some(error) = failure.filter(|error| !matches!(error, Error::NotLeading)) else { return };
        warn!(%error, "cannot write a node; retrying");
        if matches!(error, Error::Forbidden { .. }) {
            self.written.forbidden(kind);
        }
        self.reports.failure(&self.overview.cluster.home().observed, lists, kind, &error).await;
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_until(at)).unwrap_or_default()
}
