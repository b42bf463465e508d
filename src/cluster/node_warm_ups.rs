//! Measures how long nodes that join take to be warm.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::status_server::Overview;
use crate::coverage::Node;
use crate::metrics::Metrics;
use crate::naming::labels::list_value;
use crate::summary::node_state::NodeState;
use crate::summary::{Summary, SummaryInput};

/// How exactly warm-ups are measured.
const PAUSE: Duration = Duration::from_secs(1);

/// Measures forever. Only the leader reports its measurements, so that each node is counted once.
pub async fn measure(overview: Overview, metrics: Metrics) {
    loop {
        sleep(PAUSE).await;
        let took = overview.node_warm_ups(Timestamp::now());
        if overview.leads() {
            took.into_iter().for_each(|took| metrics.node_is_warm(took.unsigned_abs()));
        }
    }
}

impl Overview {
    /// How long the warm-up took, for each node that became warm since the last call.
    fn node_warm_ups(&self, now: Timestamp) -> Vec<SignedDuration> {
        let Some(nodes) = self.observed.nodes.as_ref().filter(|_| self.readiness.all_listed()) else {
            return Vec::new();
        };
        let warming_up = nodes.warming_up();
        if warming_up.is_empty() {
            return Vec::new();
        }
        let states = self.states(&warming_up, now);
        nodes.settle(states.iter().map(|(node, state)| (node.as_str(), *state)), now)
    }

    /// The state of every image that belongs on these nodes, of all lists.
    fn states(&self, nodes: &[Arc<Node>], now: Timestamp) -> Vec<(String, NodeState)> {
        let lists = self.lists();
        let coverage = self.observed.coverage.snapshot();
        let mut states = Vec::new();
        for list in &lists {
            let (label, Some(config)) = (list_value(&list.name), &list.config) else { continue };
            let summary = Summary::new(SummaryInput {
                list: &label,
                config,
                generations: &list.generations,
                coverage: &coverage,
                nodes: Some(nodes),
                now,
            });
            for group in summary.groups() {
                let images = group.images().flat_map(|image| image.nodes);
                states.extend(images.map(|node| (node.node.to_owned(), node.state)));
            }
        }
        states
    }
}
