//! Measures how long nodes that join take to be warm.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::observed::Observed;
use super::status_server::Overview;
use crate::coverage::Node;
use crate::list::Config;
use crate::metrics::Metrics;
use crate::summary::node_state::NodeState;
use crate::summary::{Summary, SummaryInput};

/// How exactly warm-ups are measured.
const PAUSES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

/// Measures forever. Only the leader reports its measurements, so that each node is counted once.
pub async fn measure(overview: Overview, metrics: Metrics) {
    let mut pause = *PAUSES.start();
    loop {
        sleep(pause).await;
        let (took, next) = block_in_place(|| overview.node_warm_ups(Timestamp::now()));
        pause = next;
        if overview.leads() {
            took.into_iter().for_each(|took| metrics.node_is_warm(took.unsigned_abs()));
        }
    }
}

impl Overview {
    /// How long the warm-up took, for each node that became warm since the last call, and when to check again.
    fn node_warm_ups(&self, now: Timestamp) -> (Vec<SignedDuration>, Duration) {
        let nodes = self.cluster.seen_by_all().nodes.as_ref();
        let Some(nodes) = nodes.filter(|_| self.readiness.all_listed()) else {
            return (Vec::new(), *PAUSES.start());
        };
        let warming_up = nodes.warming_up();
        if warming_up.is_empty() {
            return (Vec::new(), *PAUSES.start());
        }
        let namespaces = self.cluster.all();
        let states: Vec<_> = namespaces.iter().flat_map(|it| states(&it.observed, &warming_up, now)).collect();
        let took = nodes.settle(states.iter().map(|(node, state)| (node.as_str(), *state)), now);
        (took, pause(&warming_up, now))
    }
}

/// The state of every image that belongs on these nodes, of all lists of a namespace.
fn states(observed: &Observed, nodes: &[Arc<Node>], now: Timestamp) -> Vec<(String, NodeState)> {
    let lists = observed.accepted.newest();
    let wanted = lists.iter().filter_map(|(label, version)| Some((label, version.config()?)));
    let coverage = observed.coverage.snapshot();
    let mut states = Vec::new();
    for (label, config) in wanted.filter(|(_, config)| are_for(config, nodes)) {
        let generations = observed.generations(label);
        let summary = Summary::new(SummaryInput {
            list: label,
            config,
            generations: &generations,
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

/// Whether one of these nodes may get images of a list.
fn are_for(config: &Config, nodes: &[Arc<Node>]) -> bool {
    config.groups.iter().any(|group| nodes.iter().any(|node| node.is_selected(&group.placement)))
}

/// How long to wait before these nodes are checked again: a twentieth of the time that the youngest has been ready, so that all
/// warm-ups are measured equally well, and a node that never becomes warm costs little.
fn pause(warming_up: &[Arc<Node>], now: Timestamp) -> Duration {
    let ages =
        warming_up.iter().map(|node| node.ready_since.map_or(SignedDuration::ZERO, |since| now.duration_since(since)));
    let youngest = ages.min().and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
    (youngest / 20).clamp(*PAUSES.start(), *PAUSES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_stay_cold_are_checked_less_and_less_often() {
        let now = Timestamp::from_second(1_700_000_000).expect("a time");
        let since = |seconds| {
            let ready_since = Some(now - SignedDuration::from_secs(seconds));
            Arc::new(Node { ready_since, ..Node::default() })
        };
        let seconds = |nodes: &[Arc<Node>]| pause(nodes, now).as_secs();
        assert_eq!(seconds(&[]), 1);
        assert_eq!(seconds(&[Arc::default()]), 1);
        assert_eq!(seconds(&[since(-5)]), 1, "the clock of the node is ahead");
        assert_eq!(seconds(&[since(200)]), 10);
        assert_eq!(seconds(&[since(3600)]), 30);
        assert_eq!(seconds(&[since(3600), since(2)]), 1);
    }
}
