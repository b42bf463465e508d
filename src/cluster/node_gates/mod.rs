//! Frees nodes that wait for images, and keeps their condition up to date. Only the leader does.
//!
//! ```text
//! any change ─► observed lists and nodes ─► gate (pure) ─► patches of nodes, Events, metrics
//! ```
//! - [`freed_node`]: a node that is to be freed
//! - [`write`]: the patches
//! - [`report`]: Events about nodes that were freed although images are missing
//! - [`written`]: what was written and is not observed yet
//!
//! Nothing is remembered that the cluster does not hold: what a node waits for follows from its taints, its age and its pods.

mod freed_node;
mod report;
mod write;
mod written;

use std::collections::{BTreeSet, HashMap};
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

use self::freed_node::FreedNode;
use self::report::Reports;
use self::write::{NodeWriter, Removal};
use self::written::Written;
use super::environment::Installation;
use super::observed::GateFacts;
use super::status_server::Overview;
use crate::coverage::{ImagesReady, Node, NodeSet};
use crate::error::Error;
use crate::gate::condition::{ConditionWrite, WantedCondition, due};
use crate::gate::decision::{Freed, NodeDecision};
use crate::gate::lists_on_nodes::{GatedList, ListsOnNodes, any_condition, gated};
use crate::list::config::TaintKey;
use crate::messages::api_errors;
use crate::messages::node_gates;
use crate::metrics::Metrics;

/// Changes of a moment are taken together.
const GATHER: Duration = Duration::from_millis(300);
/// The longest wait before the clock is read again, which may be set in the meantime.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often the conditions of all nodes are compared with what is there. Those of gated nodes always are.
const CONDITIONS_EVERY: Duration = Duration::from_secs(10);
/// How many nodes are written at a time.
const AT_A_TIME: usize = 8;
/// The most conditions of nodes that are not gated that are written at once, so that a change of all nodes is spread over some minutes.
const CONDITIONS_AT_ONCE: usize = 100;
/// After a right was missing.
const PAUSE_WITHOUT_RIGHT: Duration = Duration::from_secs(60);

/// Frees nodes and keeps their conditions.
pub struct NodeGates {
    overview: Overview,
    taints: BTreeSet<TaintKey>,
    writer: NodeWriter,
    reports: Reports,
    metrics: Metrics,
    changes: Arc<Notify>,
    written: Written,
    conditions_at: Option<Instant>,
}

/// What is due.
#[derive(Default)]
struct Decided {
    freed: Vec<FreedNode>,
    /// How many nodes wait on.
    waiting: usize,
    conditions: Vec<(String, Option<ImagesReady>, Option<WantedCondition>)>,
    /// When something is due if nothing changes before.
    wake_at: Option<Timestamp>,
}

impl Decided {
    fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
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
            taints,
            writer: NodeWriter::new(client),
            reports: Reports::new(client, &installation.namespace),
            metrics,
            changes,
            written: Written::default(),
            conditions_at: None,
        })
    }

    /// Works forever.
    pub async fn keep(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            // The time may be over, or something has changed.
            drop(timeout(wait, self.changes.notified()).await);
            sleep(GATHER).await;
            wait = match self.pass().await {
                Ok(wake_at) => wake_at.map_or(LONGEST_WAIT, wait_until),
                Err(Error::NotLeading) => LONGEST_WAIT,
                Err(error) => {
                    warn!(%error, "cannot write a node; retrying");
                    match error {
                        Error::Forbidden { .. } => PAUSE_WITHOUT_RIGHT,
                        _ => Duration::from_secs(5),
                    }
                }
            };
            if wait == PAUSE_WITHOUT_RIGHT {
                sleep(wait).await;
            }
        }
    }

    /// Does what is due. Returns when to do so again if nothing changes before.
    async fn pass(&mut self) -> Result<Option<Timestamp>, Error> {
        let observed = &self.overview.observed;
        let ready = self.overview.leads() && self.overview.readiness.all_listed();
        let Some(nodes) = observed.nodes().filter(|_| ready) else {
            self.metrics.nodes_gated(0);
            return Ok(None);
        };
        let lists = self.lists();
        let decided = block_in_place(|| self.decide(&lists, &nodes, Timestamp::now()));
        self.metrics.nodes_gated(decided.waiting);
        let wake_at = decided.wake_at;
        self.free(&lists, decided.freed).await?;
        self.set_conditions(&lists, decided.conditions).await?;
        Ok(wake_at)
    }

    fn lists(&self) -> Vec<GatedList> {
        let observed = &self.overview.observed;
        let newest = observed.accepted.newest();
        let list = |(label, version): &(String, Arc<super::accepted_lists::AcceptedVersion>)| {
            let name = &version.revision.list.name;
            GatedList::new(label, name, version.config()?, || observed.generations(label))
        };
        newest.iter().filter_map(list).collect()
    }

    fn decide(&mut self, lists: &[GatedList], nodes: &NodeSet, now: Timestamp) -> Decided {
        let gated = gated(nodes.iter(), &self.taints);
        let facts = self.overview.observed.nodes.as_ref().map(|nodes| nodes.gate_facts()).unwrap_or_default();
        self.written.forget_observed(&facts);
        let all = self.are_conditions_due(lists, &facts);
        if gated.is_empty() && !all {
            return Decided::default();
        }
        let subset: Vec<Arc<Node>> = match all {
            true => nodes.iter().cloned().collect(),
            false => gated.iter().map(|(node, _)| Arc::clone(node)).collect(),
        };
        let coverage = self.overview.observed.coverage.snapshot();
        let on_nodes = ListsOnNodes::new(lists, &subset, &coverage, now);
        let mut decided = Decided::default();
        let mut closed = BTreeSet::new();
        for (node, taint) in gated {
            let Some(uid) = facts.get(&node.name).map(|facts| facts.uid.clone()) else { continue };
            if self.written.has_removed(&uid, &taint) {
                continue;
            }
            closed.insert(node.name.clone());
            let timed_out = match on_nodes.decision(&node, &taint) {
                NodeDecision::Waits { until, .. } => {
                    decided.waiting += 1;
                    decided.wake_up_at(until);
                    continue;
                }
                NodeDecision::Free(Freed::TimedOut { lists }) => {
                    Some(lists.into_iter().map(|(list, warmth)| (list.to_owned(), warmth)).collect())
                }
                NodeDecision::Free(Freed::Warm | Freed::NotNeeded) => None,
            };
            decided.freed.push(FreedNode { node, uid, taint, timed_out });
        }
        self.decide_conditions(&on_nodes, &subset, &closed, &facts, &mut decided, now);
        decided
    }

    /// Whether the conditions of all nodes are to be compared: some list has one, or some node has one that no list asks for.
    fn are_conditions_due(&mut self, lists: &[GatedList], facts: &HashMap<String, GateFacts>) -> bool {
        let any = any_condition(lists) || facts.values().any(|facts| facts.condition.is_some());
        let due = any && self.conditions_at.is_none_or(|at| at.elapsed() >= CONDITIONS_EVERY);
        if due {
            self.conditions_at = Some(Instant::now());
        }
        due
    }

    fn decide_conditions(
        &self,
        on_nodes: &ListsOnNodes,
        nodes: &[Arc<Node>],
        closed: &BTreeSet<String>,
        facts: &HashMap<String, GateFacts>,
        decided: &mut Decided,
        now: Timestamp,
    ) {
        let mut others = 0;
        for node in nodes {
            let observed = facts.get(&node.name).and_then(|facts| facts.condition.as_ref());
            let current = self.written.condition(&node.name, observed);
            let wanted = on_nodes.for_condition(node).as_ref().map(node_gates::condition);
            let write = match &wanted {
                // What was true before the node was lost stays until it is back.
                Some(_) if !node.ready && current.is_some() => ConditionWrite::Nothing,
                Some(wanted) => due(current, wanted, now),
                None if current.is_some() => ConditionWrite::Now,
                None => ConditionWrite::Nothing,
            };
            match write {
                ConditionWrite::Nothing => continue,
                ConditionWrite::At(at) => {
                    decided.wake_up_at(at);
                    continue;
                }
                ConditionWrite::Now => {}
            }
            let is_closed = closed.contains(&node.name);
            if !is_closed && others == CONDITIONS_AT_ONCE {
                continue;
            }
            others += usize::from(!is_closed);
            decided.conditions.push((node.name.clone(), current.cloned(), wanted));
        }
        // There may be more than were written.
        if others == CONDITIONS_AT_ONCE {
            decided.wake_up_at(now + CONDITIONS_EVERY);
        }
    }

    async fn free(&mut self, lists: &[GatedList], freed: Vec<FreedNode>) -> Result<(), Error> {
        let writer = &self.writer;
        let removals = stream::iter(freed).map(|it| async move {
            let outcome = writer.remove_taint(&it.node, &it.uid, &it.taint).await;
            (it, outcome)
        });
        let outcomes: Vec<_> = removals.buffer_unordered(AT_A_TIME).collect().await;
        let (mut timed_out, mut failure) = (Vec::new(), None);
        for (it, outcome) in outcomes {
            match outcome {
                Ok(Removal::Done) => {
                    self.written.removed(&it.uid, &it.taint);
                    self.freed(&it);
                    timed_out.push(it);
                }
                // Another client has removed it, or the node is gone: then there is nothing to say.
                Ok(Removal::NothingToDo) => self.written.removed(&it.uid, &it.taint),
                Err(error) => failure = Some(error),
            }
        }
        timed_out.retain(|it| it.timed_out.is_some());
        self.reports.freed_by_timeout(&self.overview.observed, lists, &timed_out).await;
        self.conclude(lists, failure).await
    }

    fn freed(&self, it: &FreedNode) {
        let took = it.node.created.map(|created| Timestamp::now().duration_since(created).unsigned_abs());
        self.metrics.node_is_freed(took.unwrap_or_default());
        match &it.timed_out {
            None => info!(node = it.node.name, taint = %it.taint, "freed a node: its images are there"),
            Some(lists) => {
                let behind = lists.iter().find_map(|(_, warmth)| warmth.behind.as_ref());
                self.metrics.node_gate_timed_out(behind.map(|behind| behind.state));
            }
        }
    }

    async fn set_conditions(
        &mut self,
        lists: &[GatedList],
        conditions: Vec<(String, Option<ImagesReady>, Option<WantedCondition>)>,
    ) -> Result<(), Error> {
        let (writer, now) = (&self.writer, Timestamp::now());
        let writes = stream::iter(conditions).map(|(node, current, wanted)| async move {
            let outcome = writer.set_condition(&node, current.as_ref(), wanted.as_ref(), now).await;
            (node, wanted, outcome)
        });
        let outcomes: Vec<_> = writes.buffer_unordered(AT_A_TIME).collect().await;
        let mut failure = None;
        for (node, wanted, outcome) in outcomes {
            match outcome {
                Ok(()) => self.written.set_condition(node, wanted, now),
                Err(error) => failure = Some(error),
            }
        }
        self.conclude(lists, failure).await
    }

    /// Reports a missing right on the lists that need it.
    async fn conclude(&self, lists: &[GatedList], failure: Option<Error>) -> Result<(), Error> {
        let Some(error) = failure else { return Ok(()) };
        if let Some(message) = api_errors::failure(&error) {
            self.reports.on_all(&self.overview.observed, lists, &message).await;
        }
        Err(error)
    }
}

fn wait_until(at: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_until(at)).unwrap_or_default().min(LONGEST_WAIT)
}
