//! Nodes that hold older content of a tag than others are brought up to date one by one.

use std::collections::BTreeSet;

use super::simulation::{Simulation, State, node};
use super::tag_check::digest;
use crate::plan::{Action, Finding};

/// Three nodes hold what the tags stand for, and a fourth one has joined with older content of one of them on its disk.
fn with_an_old_node() -> Simulation {
    let list = |more: &str| format!("{{images: [a:1, b:1{more}], refresh: {{every: 1h}}}}");
    let mut simulation = Simulation::new(&list(""), 3);
    simulation.tags = [("a:1".to_owned(), digest(1)), ("b:1".to_owned(), digest(2))].into();
    simulation.settle();
    // The tags are carried over from then on.
    simulation.edit(&list(", c:1"));
    simulation.settle();
    join_with_old_content(&mut simulation, 3);
    simulation
}

fn join_with_old_content(simulation: &mut Simulation, index: usize) {
    simulation.disks.insert((format!("n{index}"), "a:1".to_owned()), digest(9));
    simulation.nodes.push(node(index));
    simulation.settle();
    assert_eq!(contents_of_a(simulation), [digest(1), digest(9)].into());
    simulation.asked.clear();
}

fn contents_of_a(simulation: &Simulation) -> BTreeSet<String> {
    let containers = simulation.pods.iter().flat_map(|pod| &pod.containers).filter(|it| it.image == "a:1");
    containers.map(|it| it.image_id.clone()).collect()
}

fn held_on(simulation: &Simulation, node: &str) -> BTreeSet<String> {
    let of_checks = simulation.tag_checks.iter().filter(|check| check.node == node).filter_map(|it| it.pod.as_ref());
    let running = of_checks.flatten().filter(|it| it.state == State::Running).map(|it| it.image.clone());
    running.chain(simulation.held_on(node).into_iter().map(str::to_owned)).collect()
}

#[test]
fn a_refresh_brings_the_old_node_up_to_date_at_its_own_cost_and_without_a_gap() {
    let mut simulation = with_an_old_node();
    let before = held_on(&simulation, "n3");
    let created = simulation.created;
    simulation.request("now");
    let mut reported = 0;
    for _ in 0..60 {
        let plan = simulation.step();
        reported +=
            plan.actions.iter().filter(|it| matches!(it, Action::Report(Finding::NodesOutdated { .. }))).count();
        assert_eq!(held_on(&simulation, "n3"), before);
    }
    assert_eq!(contents_of_a(&simulation), [digest(1)].into());
    assert_eq!((simulation.created, reported), (created, 1), "no rollout");
    assert!(simulation.tag_checks.is_empty());
    // One node of each kind for the refresh, and the old node.
    assert!(simulation.asked["a:1"] <= 3 && simulation.asked["b:1"] <= 2, "{:?}", simulation.asked);
    assert!(simulation.plan().actions.is_empty());
}

#[test]
fn every_old_node_is_brought_up_to_date() {
    let mut simulation = with_an_old_node();
    for index in 4..10 {
        join_with_old_content(&mut simulation, index);
    }
    simulation.request("now");
    simulation.settle();
    assert_eq!(contents_of_a(&simulation), [digest(1)].into());
}

#[test]
fn a_node_that_does_not_get_anything_newer_is_left_until_the_next_refresh() {
    let mut simulation = with_an_old_node();
    simulation.request("now");
    while simulation
        .daemon_sets
        .iter()
        .all(|it| !format!("{:?}", it.metadata.annotations).contains("outdated\\\":{\\\"a"))
    {
        simulation.step();
    }
    simulation.unavailable.insert("a:1".to_owned());
    simulation.settle();
    assert_eq!(contents_of_a(&simulation), [digest(1), digest(9)].into());
    assert!(simulation.tag_checks.is_empty());
    simulation.unavailable.clear();
    simulation.request("again");
    simulation.settle();
    assert_eq!(contents_of_a(&simulation), [digest(1)].into());
}

#[test]
fn a_controller_that_is_killed_at_any_moment_goes_on() {
    let mut simulation = with_an_old_node();
    let before = held_on(&simulation, "n3");
    simulation.request("now");
    for _ in 0..60 {
        let plan = simulation.plan();
        plan.actions.iter().take(1).for_each(|action| simulation.apply(action));
        simulation.restart_controller();
        simulation.place_pods();
        simulation.pull();
        simulation.pass(jiff::SignedDuration::from_secs(1));
        assert_eq!(held_on(&simulation, "n3"), before);
    }
    simulation.settle();
    assert_eq!(contents_of_a(&simulation), [digest(1)].into());
}
