//! When nodes start a generation's pulls, from the list to the holder's arguments.

use holder::start_delay::StartDelay;
use jiff::Timestamp;

use super::simulation::{Simulation, node};
use crate::plan::{Generation, Record};

const LIST: &str = "{images: [a:1], pullRate: 120}";

fn record(simulation: &Simulation) -> Record {
    let daemon_set = simulation.daemon_sets.last().expect("a DaemonSet");
    Generation::from_metadata(&daemon_set.metadata).and_then(|generation| generation.record).expect("a record")
}

/// How long the holder on this node waits at `now`, in seconds.
fn wait(record: &Record, node: &str, now: Timestamp) -> u64 {
    let seconds = |time: Timestamp| u64::try_from(time.as_second()).expect("after 1970");
    let start_delay =
        StartDelay { epoch: seconds(record.epoch), spread: record.spread_seconds, node_name: node.as_bytes() };
    start_delay.wait(seconds(now))
}

#[test]
fn a_rollout_hardly_exceeds_the_pull_rate_in_any_minute() {
    let mut simulation = Simulation::new(LIST, 1200);
    simulation.act();
    let record = record(&simulation);
    assert_eq!(record.spread_seconds, 600, "1,200 nodes at 120 a minute");
    let mut minutes = [0; 10];
    for node in &simulation.nodes {
        minutes[usize::try_from(wait(&record, &node.name, record.epoch) / 60).expect("a minute")] += 1;
    }
    assert!(minutes.iter().all(|nodes| (90..=150).contains(nodes)), "{minutes:?}");
}

#[test]
fn a_node_that_joins_after_the_rollout_does_not_wait() {
    let mut simulation = Simulation::new(LIST, 1200);
    simulation.act();
    let record = record(&simulation);
    let later = record.epoch + jiff::SignedDuration::from_secs(600);
    assert_eq!(wait(&record, "joined-later", later), 0);
}

#[test]
fn a_change_of_the_number_of_nodes_alone_changes_nothing() {
    let mut simulation = Simulation::settled(LIST, 4);
    simulation.nodes.extend((4..400).map(node));
    assert!(simulation.plan().actions.is_empty());
    simulation.nodes.truncate(2);
    assert!(simulation.plan().actions.is_empty());
}
