//! Nodes that hold an older image of a tag than others are updated one by one.

use std::collections::BTreeSet;

use super::simulation::{Simulation, State, node};
use super::tag_check::digest;
use crate::plan::{Action, Finding};

/// Three nodes hold the current images, and a fourth has joined with an older image of one tag on its disk.
fn with_an_outdated_node() -> Simulation {
    let list = |more: &str| format!("{{images: [a:1, b:1{more}], refresh: {{every: 1h}}}}");
    let mut simulation = Simulation::new(&list(""), 3);
    simulation.tags = [("a:1".to_owned(), digest(1)), ("b:1".to_owned(), digest(2))].into();
    simulation.settle();
    // From now on, the tags are carried over.
    simulation.edit(&list(", c:1"));
    simulation.settle();
    join_with_outdated_image(&mut simulation, 3);
    simulation
}

fn join_with_outdated_image(simulation: &mut Simulation, index: usize) {
    simulation.disks.insert((format!("n{index}"), "a:1".to_owned()), digest(9));
    simulation.nodes.push(node(index));
    simulation.settle();
    assert_eq!(image_ids_of_a(simulation), [digest(1), digest(9)].into());
    simulation.asked.clear();
}

fn image_ids_of_a(simulation: &Simulation) -> BTreeSet<String> {
    let containers = simulation.pods.iter().flat_map(|pod| &pod.containers).filter(|it| it.image == "a:1");
    containers.map(|it| it.image_id.clone()).collect()
}

fn held_on(simulation: &Simulation, node: &str) -> BTreeSet<String> {
    let of_checks = simulation.tag_checks.iter().filter(|check| check.node == node).filter_map(|it| it.pod.as_ref());
    let running = of_checks.flatten().filter(|it| it.state == State::Running).map(|it| it.image.clone());
    running.chain(simulation.held_on(node).into_iter().map(str::to_owned)).collect()
}

#[test]
fn a_refresh_updates_the_outdated_node_alone_and_without_a_gap() {
    let mut simulation = with_an_outdated_node();
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
    assert_eq!(image_ids_of_a(&simulation), [digest(1)].into());
    assert_eq!((simulation.created, reported), (created, 1), "no rollout");
    assert!(simulation.tag_checks.is_empty());
    // One node of each kind for the refresh, and the outdated node.
    assert!(simulation.asked["a:1"] <= 3 && simulation.asked["b:1"] <= 2, "{:?}", simulation.asked);
    assert!(simulation.plan().actions.is_empty());
}

#[test]
fn every_outdated_node_is_updated() {
    let mut simulation = with_an_outdated_node();
    for index in 4..10 {
        join_with_outdated_image(&mut simulation, index);
    }
    simulation.request("now");
    simulation.settle();
    assert_eq!(image_ids_of_a(&simulation), [digest(1)].into());
}

#[test]
fn a_node_that_cannot_get_a_newer_image_waits_for_the_next_refresh() {
    let mut simulation = with_an_outdated_node();
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
    assert_eq!(image_ids_of_a(&simulation), [digest(1), digest(9)].into());
    assert!(simulation.tag_checks.is_empty());
    simulation.unavailable.clear();
    simulation.request("again");
    simulation.settle();
    assert_eq!(image_ids_of_a(&simulation), [digest(1)].into());
}

#[test]
fn a_killed_controller_continues_the_renewal() {
    let mut simulation = with_an_outdated_node();
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
    assert_eq!(image_ids_of_a(&simulation), [digest(1)].into());
}
