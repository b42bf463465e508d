//! Nodes without capacity for two pods.

use jiff::SignedDuration;

use super::simulation::{Simulation, State};
use crate::coverage::Shortage;
use crate::plan::capacity::GRACE;
use crate::plan::decision::ScopeDownReason;
use crate::plan::{Action, Waiting};

/// A rollout that has settled on all nodes but these, which have capacity for one pod.
fn rollout_with_full(full: &[usize], nodes: usize) -> Simulation {
    let mut simulation = Simulation::settled("[a:1]", nodes);
    simulation.capacity.extend(full.iter().map(|index| (format!("n{index}"), 1)));
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    simulation
}

/// The nodes that the old generation is removed from for lack of capacity, after all scoping down.
fn left(simulation: &Simulation) -> Vec<String> {
    let nodes = |action: Action| match action {
        Action::ScopeDown { reason: ScopeDownReason::NoCapacity { nodes }, .. } => Some(nodes.into_keys()),
        _ => None,
    };
    let mut later = simulation.clone();
    let plans = [later.act(), later.act()];
    plans.into_iter().flat_map(|plan| plan.actions).filter_map(nodes).flatten().collect()
}

fn pass_in_steps(simulation: &mut Simulation, seconds: i64) {
    for _ in 0..seconds {
        simulation.step();
    }
}

#[test]
fn on_a_full_node_the_old_generation_is_removed_first_after_the_grace_period() {
    let mut simulation = rollout_with_full(&[1], 4);
    assert_eq!(simulation.held_on("n1"), ["a:1"].into());
    assert!(left(&simulation).is_empty());
    let created = simulation.now;
    while left(&simulation).is_empty() {
        simulation.now = simulation.plan().wake_at.expect("a time");
    }
    assert!(simulation.now <= created + GRACE);
    assert_eq!(left(&simulation), ["n1"]);
    simulation.settle();
    assert_eq!(simulation.held_on("n1"), ["a:1", "b:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn the_old_generation_stays_until_another_node_has_pulled_the_images() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.capacity = (0..3).map(|index| (format!("n{index}"), 1)).collect();
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    simulation.pass(GRACE);
    assert!(left(&simulation).is_empty(), "all are full");
    let waiting = simulation.plan().waiting;
    let [Waiting::Capacity { node, shortage: Shortage::Pods, .. }] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!(node, "n0");

    let mut failing = rollout_with_full(&[1], 4);
    let new = failing.names()[1].clone();
    failing.set(&new, Some("n3"), "a:1", State::Failed);
    failing.pass(GRACE);
    assert!(left(&failing).is_empty(), "the registry refuses it somewhere");
    failing.set(&new, None, "a:1", State::Waiting);
    assert!(left(&failing).is_empty(), "no node has it");
}

#[test]
fn full_nodes_are_handled_one_at_a_time() {
    let mut simulation = rollout_with_full(&[0, 1, 2, 3, 4], 12);
    simulation.pass(GRACE + SignedDuration::from_mins(1));
    assert_eq!(left(&simulation), ["n0"]);
    // First the generation is scoped down to the full nodes, then it is removed from the first of them.
    simulation.act();
    simulation.act();
    assert!(left(&simulation).is_empty(), "n0 is not finished yet");
    // Another workload's pod takes the capacity that was freed on n0.
    simulation.capacity.insert("n0".to_owned(), 0);
    pass_in_steps(&mut simulation, 300);
    assert!(simulation.held_on("n0").is_empty());
    for node in ["n1", "n2", "n3", "n4"] {
        assert_eq!(simulation.held_on(node), ["a:1"].into(), "{node}");
    }
    simulation.capacity.insert("n0".to_owned(), 1);
    pass_in_steps(&mut simulation, 60);
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")) == ["a:1", "b:1"].into()));
}

/// A group of four images in two shards, and an edit of it, on twelve nodes of which five have capacity for two pods. The grace period
/// is over.
fn edit_of_two_shards(images: &str) -> Simulation {
    let mut simulation = Simulation::settled(&two_shards("a:1, b:1, c:1, d:1"), 12);
    assert_eq!(simulation.daemon_sets.len(), 2);
    simulation.capacity.extend((0..5).map(|index| (format!("n{index}"), 2)));
    simulation.edit(&two_shards(images));
    simulation.settle();
    simulation.pass(GRACE + SignedDuration::from_mins(1));
    simulation
}

fn two_shards(images: &str) -> String {
    format!("groups: [{{name: p, images: [{images}], imagesPerPod: 2}}]")
}

#[test]
fn full_nodes_are_handled_one_at_a_time_although_they_hold_the_images_of_other_shards() {
    let mut simulation = edit_of_two_shards("a:1, e:1, c:1, d:1");
    assert_eq!(left(&simulation), ["n0"]);
    simulation.act();
    simulation.act();
    simulation.capacity.insert("n0".to_owned(), 1);
    pass_in_steps(&mut simulation, 60);
    assert_eq!(simulation.held_on("n0"), ["c:1", "d:1"].into());
    for node in ["n1", "n2", "n3", "n4"] {
        assert_eq!(simulation.held_on(node), ["a:1", "b:1", "c:1", "d:1"].into(), "{node}");
    }
    simulation.capacity.insert("n0".to_owned(), 2);
    pass_in_steps(&mut simulation, 60);
    assert_eq!(simulation.daemon_sets.len(), 2);
    assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")) == ["a:1", "c:1", "d:1", "e:1"].into()));
}

#[test]
fn shards_that_change_together_leave_the_same_node_first() {
    let mut simulation = edit_of_two_shards("a:1, e:1, c:1, f:1");
    let nodes = left(&simulation);
    assert!(!nodes.is_empty() && nodes.iter().all(|node| node == "n0"), "{nodes:?}");
    pass_in_steps(&mut simulation, 300);
    assert_eq!(simulation.daemon_sets.len(), 2);
    assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")) == ["a:1", "c:1", "e:1", "f:1"].into()));
}

/// A group of four images in one pod, on twelve nodes of which five are full by what `fill` sets for them, and an edit of it. The grace
/// period is over.
fn split(fill: impl Fn(&mut Simulation, String), edit: &str) -> Simulation {
    let mut simulation = Simulation::settled("groups: [{name: p, images: [a:1, b:1, c:1, d:1]}]", 12);
    (0..5).for_each(|index| fill(&mut simulation, format!("n{index}")));
    simulation.edit(edit);
    simulation.settle();
    simulation.pass(GRACE + SignedDuration::from_mins(1));
    simulation
}

fn with_cpu_for_four(simulation: &mut Simulation, node: String) {
    simulation.cpu.insert(node, 4);
}

const ALL: [&str; 4] = ["a:1", "b:1", "c:1", "d:1"];

#[test]
fn full_nodes_are_handled_one_at_a_time_when_a_group_is_split() {
    let mut simulation = split(with_cpu_for_four, &two_shards("a:1, b:1, c:1, d:1"));
    assert_eq!(left(&simulation), ["n0"]);
    simulation.act();
    simulation.act();
    // Another workload's pod takes a part of what was freed on n0.
    simulation.cpu.insert("n0".to_owned(), 3);
    pass_in_steps(&mut simulation, 300);
    assert_eq!(simulation.held_on("n0").len(), 2, "one of the new pods fits");
    for node in ["n1", "n2", "n3", "n4"] {
        assert_eq!(simulation.held_on(node), ALL.into(), "{node}");
    }
    simulation.cpu.insert("n0".to_owned(), 4);
    pass_in_steps(&mut simulation, 300);
    assert_eq!(simulation.daemon_sets.len(), 2);
    assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")) == ALL.into()));
}

#[test]
fn nodes_with_capacity_for_one_of_the_new_pods_are_handled_one_at_a_time_too() {
    let edit = two_shards("a:1, b:1, c:1, d:1");
    let mut simulation = split(|it, node| _ = it.capacity.insert(node, 2), &edit);
    assert_eq!(left(&simulation), ["n0"]);
    simulation.act();
    simulation.act();
    simulation.capacity.insert("n0".to_owned(), 1);
    pass_in_steps(&mut simulation, 300);
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
    assert!((1..5).all(|index| simulation.held_on(&format!("n{index}")) == ALL.into()));
    simulation.capacity.insert("n0".to_owned(), 2);
    pass_in_steps(&mut simulation, 300);
    assert_eq!(simulation.daemon_sets.len(), 2);
}

/// The message about what waits.
fn waits_because(simulation: &Simulation) -> String {
    let waiting = simulation.plan().waiting;
    let [waiting @ Waiting::Capacity { .. }] = &waiting[..] else { panic!("{waiting:?}") };
    crate::messages::waiting::waiting(waiting).note.into()
}

#[test]
fn an_old_pod_stays_where_the_new_ones_would_not_fit_in_its_place() {
    let in_slots = split(|it, node| _ = it.capacity.insert(node, 1), &two_shards("a:1, b:1, c:1, d:1"));
    let with_another_image = split(with_cpu_for_four, &two_shards("a:1, b:1, c:1, d:1, e:1"));
    for mut simulation in [in_slots, with_another_image] {
        let why = waits_because(&simulation);
        assert!(why.contains("need more than it would free"), "{why}");
        pass_in_steps(&mut simulation, 300);
        assert!((0..5).all(|index| simulation.held_on(&format!("n{index}")) == ALL.into()));
        assert!(left(&simulation).is_empty());
        simulation.capacity.clear();
        simulation.cpu.clear();
        pass_in_steps(&mut simulation, 300);
        assert!(simulation.daemon_sets.len() <= 3, "{:?}", simulation.names());
        assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")).is_superset(&ALL.into())));
    }
    let waits = split(|it, node| _ = it.capacity.insert(node, 2), &two_shards("a:1, b:1, c:1, d:1"));
    let why = waits_because(&waits);
    assert!(why.contains("a few at a time"), "{why}");
}

#[test]
fn shards_whose_images_are_dealt_again_leave_a_full_node_together() {
    let list = |parallel: usize| {
        let images = "a:1, b:1, c:1, d:1, e:1, f:1, g:1, h:1";
        format!("groups: [{{name: p, images: [{images}], parallelPulls: {parallel}}}]")
    };
    let mut simulation = Simulation::settled(&list(2), 12);
    simulation.cpu.extend((0..5).map(|index| (format!("n{index}"), 8)));
    simulation.edit(&list(4));
    simulation.settle();
    simulation.pass(GRACE + SignedDuration::from_mins(1));
    assert_eq!(left(&simulation), ["n0", "n0"], "both leave it in one plan");
    for _ in 0..300 {
        simulation.step();
        let incomplete = (0..12).filter(|index| simulation.held_on(&format!("n{index}")).len() < 8).count();
        assert!(incomplete <= 2, "{incomplete} nodes lack images at a time");
    }
    assert_eq!(simulation.daemon_sets.len(), 4);
    assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")).len() == 8));
}

/// A list with a group `p` in zone a with these images, and a group `q` in zone b whose only image cannot be pulled.
fn with_a_group_that_cannot_be_pulled(images: &str) -> String {
    let q = "{name: q, images: [dead:1], nodeSelector: {zone: b}}";
    format!("groups: [{{name: p, images: [{images}], nodeSelector: {{zone: a}}}}, {q}]")
}

#[test]
fn a_group_that_cannot_be_pulled_does_not_keep_others_from_freeing_capacity() {
    let mut simulation = Simulation::new(&with_a_group_that_cannot_be_pulled("a:1"), 8);
    simulation.unavailable.insert("dead:1".to_owned());
    simulation.settle();
    simulation.capacity.insert("n2".to_owned(), 1);
    simulation.edit(&with_a_group_that_cannot_be_pulled("a:1, b:1"));
    simulation.settle();
    simulation.pass(GRACE);
    assert_eq!(left(&simulation), ["n2"]);
    simulation.settle();
    assert_eq!(simulation.held_on("n2"), ["a:1", "b:1"].into());
}

#[test]
fn a_renamed_group_handles_full_nodes_one_at_a_time_too() {
    let group = |name: &str, images: &str| format!("groups: [{{name: {name}, images: [{images}]}}]");
    let mut simulation = Simulation::settled(&group("p", "a:1"), 12);
    simulation.capacity.extend((0..4).map(|index| (format!("n{index}"), 1)));
    simulation.edit(&group("renamed", "a:1, b:1"));
    simulation.settle();
    simulation.pass(GRACE + SignedDuration::from_mins(1));
    assert_eq!(left(&simulation), ["n0"]);
    simulation.act();
    simulation.capacity.insert("n0".to_owned(), 0);
    pass_in_steps(&mut simulation, 60);
    assert!(left(&simulation).is_empty(), "the new pod on n0 is not ready yet");
}

#[test]
fn a_node_that_is_not_ready_keeps_the_old_generation() {
    let mut simulation = rollout_with_full(&[1], 4);
    simulation.nodes[1].ready = false;
    simulation.pass(GRACE);
    assert!(left(&simulation).is_empty());
}

#[test]
fn an_image_that_new_pods_do_not_have_is_not_released_for_capacity() {
    let mut simulation = Simulation::settled("groups: [{name: p, images: [a:1, c:1]}]", 4);
    simulation.capacity.insert("n1".to_owned(), 1);
    simulation.edit("groups: [{name: p, images: [a:1]}, {name: q, images: [c:1], nodeSelector: {zone: b}}]");
    simulation.settle();
    simulation.pass(GRACE);
    // Neither of the two new pods that wait on n1 has both images.
    assert!(left(&simulation).is_empty());
}

#[test]
fn a_scoped_down_generation_is_removed_from_full_nodes_too() {
    let mut simulation = rollout_with_full(&[1], 8);
    simulation.pass(GRACE + SignedDuration::from_mins(1));
    let plan = simulation.plan();
    assert_eq!(plan.actions.len(), 1, "not scoped down twice at once: {plan:?}");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn an_unneeded_pod_on_a_full_node_is_removed_unconditionally() {
    let mut simulation = rollout_with_full(&[1], 6);
    let names = simulation.names();
    // Another workload's pod ends and the new generation starts, but then the next generation lacks capacity.
    simulation.capacity.insert("n1".to_owned(), 2);
    for index in [0, 2, 3, 4] {
        simulation.nodes[index].ready = false;
        simulation.set(&names[1], Some(&format!("n{index}")), "a:1", State::Waiting);
    }
    simulation.place_pods();
    simulation.pull();
    simulation.pull();
    assert_eq!(simulation.daemon_sets.len(), 2);
    simulation.request_rollout("one");
    simulation.act();
    simulation.place_pods();
    simulation.pass(GRACE);
    assert_eq!(left(&simulation), ["n1"]);
    let Some(Action::ScopeDown { name, reason, .. }) = simulation.plan().actions.into_iter().next() else { panic!() };
    assert_eq!(
        (name, reason),
        (names[0].clone(), ScopeDownReason::NoCapacity { nodes: [("n1".to_owned(), Shortage::Pods)].into() })
    );
}
