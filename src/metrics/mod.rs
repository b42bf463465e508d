//! The metrics for Prometheus: counters of what has happened since the start, and the status report as gauges.
//!
//! - [`lists`]: the series of each list, which end with the list
//! - [`counters`]: what is counted for each list
//! - [`exposition`]: the formats, and which one a scraper wants
//!
//! `docs/metrics.md` documents all names and the limit of the number of series. Nothing here is global: code that counts
//! something takes the [`Metrics`] as an argument.

mod counters;
pub mod exposition;
mod lists;

use std::sync::Arc;
use std::time::Duration;

use counters::Counted;
use exposition::Format;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::plan::validation_result::ResultState;
use crate::plan::{Action, ActionOutcome};
use crate::status::Report;
use crate::summary::node_state::NodeState;
use crate::summary::node_warm_ups::LONGEST;

/// The prefix of all names.
const PREFIX: &str = "kube_prepull";
/// Buckets for the duration of a reconcile in seconds: from one without anything to do to the time limit.
const RECONCILE_BUCKETS: [f64; 11] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// Buckets for the time until a node is warm, in seconds; the last is [`LONGEST`], after which it is no longer measured.
const NODE_WARM_BUCKETS: [f64; 10] =
    [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, LONGEST.as_secs() as f64];

/// The reason of nodes that were freed although no list names their taint.
const NO_LIST: &str = "noList";

/// All metrics. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    leader: Gauge,
    reconcile_duration: Histogram,
    reconcile_errors: Family<ReconcileError, Counter>,
    api_requests: Family<ApiRequest, Counter>,
    node_warm_duration: Histogram,
    nodes_gated: Gauge,
    node_gate: Histogram,
    node_gate_timeouts: Family<NodeGateTimeout, Counter>,
    lists: lists::ListCounters,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReconcileError {
    category: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApiRequest {
    verb: &'static str,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NodeGateTimeout {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Info::new(Build { version: env!("CARGO_PKG_VERSION") });
        registry.register("build", "The running version", build);
        let leader = Gauge::default();
        registry.register("leader", "1 while this process is the leader and may write, otherwise 0", leader.clone());
        let reconcile_duration = Histogram::new(RECONCILE_BUCKETS);
        registry.register_with_unit(
            "reconcile_duration",
            "Duration of a reconcile of a list, successful or not",
            Unit::Seconds,
            reconcile_duration.clone(),
        );
        let reconcile_errors = Family::default();
        registry.register("reconcile_errors", "Reconciles that failed, by kind of error", reconcile_errors.clone());
        let api_requests = Family::default();
        registry.register(
            "api_requests",
            "Requests to the API server, by verb and by status code, or by error if there was no answer",
            api_requests.clone(),
        );
        let node_warm_duration = Histogram::new(NODE_WARM_BUCKETS);
        registry.register_with_unit(
            "node_warm_duration",
            "How long new nodes took from being ready to holding all of their images",
            Unit::Seconds,
            node_warm_duration.clone(),
        );
        let nodes_gated = Gauge::default();
        registry.register(
            "nodes_gated",
            "Nodes with a startup taint that is removed once their images are there",
            nodes_gated.clone(),
        );
        let node_gate = Histogram::new(NODE_WARM_BUCKETS);
        registry.register_with_unit(
            "node_gate",
            "How long nodes took from their creation until they were freed by removing the startup taint",
            Unit::Seconds,
            node_gate.clone(),
        );
        let node_gate_timeouts = Family::default();
        // Prometheus misses the first increase of a series that appears with it.
        for reason in NodeState::ALL.map(|(_, name)| name).into_iter().chain([NO_LIST]) {
            drop(node_gate_timeouts.get_or_create(&NodeGateTimeout { reason }));
        }
        registry.register(
            "node_gate_timeouts",
            "Nodes that were freed because the time of a gate was over, by the state of an image that was missing",
            node_gate_timeouts.clone(),
        );
        Self {
            registry: Arc::new(registry),
            leader,
            reconcile_duration,
            reconcile_errors,
            api_requests,
            node_warm_duration,
            nodes_gated,
            node_gate,
            node_gate_timeouts,
            lists: lists::ListCounters::default(),
        }
    }
}

impl Metrics {
    /// Counts a validated edit of the list with that label.
    pub fn validated(&self, namespace: &str, list: &str, state: ResultState) {
        if state == ResultState::Rejected {
            self.lists.add(namespace, list, Counted::Rejected);
        }
    }

    /// Counts an action of the plan for the list with that label.
    pub fn carried_out(&self, namespace: &str, list: &str, action: &Action, outcome: &ActionOutcome) {
        Counted::of(action, outcome).into_iter().for_each(|counted| self.lists.add(namespace, list, counted));
    }

    /// Counts a reconcile and the kind of error it ended with, if any.
    pub fn reconciled(&self, took: Duration, error: Option<&'static str>) {
        self.reconcile_duration.observe(took.as_secs_f64());
        if let Some(category) = error {
            self.reconcile_errors.get_or_create(&ReconcileError { category }).inc();
        }
    }

    /// Counts a request to the API server; `code` is the status of the answer, if there was one.
    pub fn requested(&self, verb: &'static str, code: Option<u16>) {
        let code = code.map_or_else(|| "error".to_owned(), |code| code.to_string());
        self.api_requests.get_or_create(&ApiRequest { verb, code }).inc();
    }

    /// Counts that an image of the list with that label cannot be pulled on a node, by the kubelet's reason.
    pub fn pull_failed(&self, namespace: &str, list: &str, reason: &'static str) {
        self.lists.add(namespace, list, Counted::PullFailed(reason));
    }

    /// Forgets what was counted for a list that is gone.
    pub fn forget(&self, namespace: &str, list: &str) {
        self.lists.forget(namespace, list);
    }

    /// Measures how long a new node took to become warm.
    pub fn node_is_warm(&self, took: Duration) {
        self.node_warm_duration.observe(took.as_secs_f64());
    }

    /// How many nodes wait for their images now.
    pub fn nodes_gated(&self, nodes: usize) {
        self.nodes_gated.set(i64::try_from(nodes).unwrap_or(i64::MAX));
    }

    /// Measures how long after its creation a node was freed.
    pub fn node_is_freed(&self, took: Duration) {
        self.node_gate.observe(took.as_secs_f64());
    }

    /// Counts a node that was freed although an image was missing, by the state of that image; `None`: no list names its taint.
    pub fn node_gate_timed_out(&self, state: Option<NodeState>) {
        let named = |state| NodeState::ALL.iter().find(|(it, _)| *it == state).map(|(_, name)| *name);
        let reason = state.and_then(named).unwrap_or(NO_LIST);
        self.node_gate_timeouts.get_or_create(&NodeGateTimeout { reason }).inc();
    }

    /// All metrics in a format. Without a report there are no series of lists, because unknown must not look like 0.
    pub fn exposition(&self, format: Format, leads: bool, report: Option<Arc<Report>>) -> String {
        self.leader.set(i64::from(leads));
        let mut of_lists = Registry::with_prefix(PREFIX);
        if let Some(report) = report {
            of_lists.register_collector(Box::new(self.lists.collector(report)));
        }
        let mut text = String::new();
        let encoded = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &of_lists))
            .and_then(|()| encode_eof(&mut text));
        encoded.unwrap_or_else(|error| unreachable!("a String takes everything: {error}"));
        match format {
            Format::OpenMetrics => text,
            Format::Prometheus => exposition::prometheus(&text),
        }
    }
}

#[cfg(test)]
mod tests;
