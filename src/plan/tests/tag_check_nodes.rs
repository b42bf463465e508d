//! The nodes that tag checks run on.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::note;
use super::simulation::{Simulation, node};
use super::tag_check::{HOURLY, arrived, causes, checked, checks, findings, hours, moved, newest, of_architecture};
use crate::plan::{Finding, RolloutCause, Waiting};

#[test]
fn a_tag_check_that_no_node_can_run_is_reported_and_retried() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.nodes.iter_mut().for_each(|node| node.unschedulable = true);
    let plan = simulation.plan();
    assert!(matches!(plan.waiting[..], [Waiting::TagCheck { .. }]), "{plan:?}");
    assert_eq!(plan.wake_at.map(|at| at.duration_since(simulation.now)), Some(SignedDuration::from_mins(1)));
    simulation.nodes[1].unschedulable = false;
    assert_eq!(checks(&simulation.plan()).len(), 1);
}

/// The node of the only tag check that is not being deleted.
fn checked_node(simulation: &Simulation) -> String {
    let mut live = simulation.tag_checks.iter().filter(|check| !check.deleting);
    let (Some(check), None) = (live.next(), live.next()) else { panic!("{:?}", simulation.tag_checks) };
    check.node.clone()
}

#[test]
fn a_tag_check_whose_node_is_deleted_moves_to_another_node() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.act();
    let deleted = checked_node(&simulation);
    simulation.nodes.retain(|node| node.name != deleted);
    simulation.act();
    assert_ne!(checked_node(&simulation), deleted);
}

#[test]
fn a_tag_check_that_is_stuck_on_a_lost_node_blocks_no_refresh() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
    simulation.act();
    let lost = checked_node(&simulation);
    simulation.nodes.iter_mut().filter(|node| node.name == lost).for_each(|node| node.ready = false);
    simulation.act();
    assert_ne!(checked_node(&simulation), lost);
    let tag_check_record = newest(&simulation).tag_check_record;
    assert_eq!(causes(&checked(&mut simulation)), []);
    assert!(
        newest(&simulation).tag_check_record.last_success > tag_check_record.last_success,
        "the other node has answered"
    );
    let stuck: Vec<_> = simulation.tag_checks.iter().map(|check| (check.node.clone(), check.deleting)).collect();
    assert_eq!(stuck, [(lost, true)], "the pod there cannot be deleted");
    moved(&mut simulation, &[("a:1", 11)]);
    assert_eq!(
        causes(&hours(&mut simulation, 2)),
        [RolloutCause::Moved { images: 1 }],
        "nor does it block a later one"
    );
}

#[test]
fn a_cordoned_node_runs_no_tag_check() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.act();
    let cordoned = checked_node(&simulation);
    simulation.nodes.iter_mut().filter(|node| node.name == cordoned).for_each(|node| node.unschedulable = true);
    simulation.act();
    assert_ne!(checked_node(&simulation), cordoned);
}

#[test]
fn a_tag_check_stays_on_its_node_while_nodes_join() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.act();
    let first = checked_node(&simulation);
    for index in 2..10 {
        simulation.nodes.push(node(index));
        simulation.place_pods();
        assert_eq!(simulation.act().actions, []);
        assert_eq!(checked_node(&simulation), first);
    }
}

#[test]
fn a_node_without_an_answer_is_a_failure_after_the_deadline() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.pods_refused = true;
    let plan = simulation.act();
    assert_eq!(checks(&plan).len(), 1);
    simulation.pass(SignedDuration::from_secs(599));
    assert_eq!(simulation.act().actions, []);
    simulation.pass(SignedDuration::from_secs(1));
    let actions = simulation.act().actions;
    let [deferred @ Finding::RefreshDeferred { .. }] = findings(&actions)[..] else { panic!("{actions:?}") };
    let note = note(deferred);
    assert!(note.contains("no pod within 10m"), "{note}");
}

#[test]
fn tag_checks_rotate_among_the_nodes() {
    let mut simulation = Simulation::new(HOURLY, 4);
    simulation.settle();
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        simulation.pass(SignedDuration::from_hours(1));
        simulation.act();
        seen.extend(simulation.tag_checks.iter().map(|check| check.node.clone()));
        checked(&mut simulation);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn without_the_right_to_read_nodes_a_node_that_holds_the_images_is_checked() {
    let mut simulation = Simulation::new(HOURLY, 0);
    simulation.nodes = vec![of_architecture(0, "amd64"), of_architecture(1, "arm64")];
    simulation.may_read_nodes = false;
    moved(&mut simulation, &[("a:1", 1)]);
    simulation.settle();
    simulation.nodes.push(node(2));
    simulation.place_pods();
    simulation.pass(SignedDuration::from_hours(1));
    simulation.act();
    assert_ne!(checked_node(&simulation), "n2", "it holds nothing yet");
    assert_eq!(causes(&checked(&mut simulation)), []);
    moved(&mut simulation, &[("a:1", 2)]);
    assert_eq!(causes(&hours(&mut simulation, 2)), [RolloutCause::Moved { images: 1 }]);
}

#[test]
fn without_the_right_to_read_nodes_no_tag_check_waits_for_a_node() {
    let mut simulation = Simulation::new(HOURLY, 0);
    simulation.may_read_nodes = false;
    simulation.settle();
    simulation.pass(SignedDuration::from_hours(5));
    let plan = simulation.plan();
    assert_eq!((plan.actions, plan.waiting), (Vec::new(), Vec::new()), "there is nothing to check");
    simulation.nodes.push(node(0));
    simulation.capacity.insert("n0".to_owned(), 0);
    simulation.place_pods();
    let plan = simulation.plan();
    assert_eq!(checks(&plan).len(), 0);
    assert!(matches!(plan.waiting[..], [Waiting::TagCheck { .. }]), "{plan:?}");
    simulation.capacity.clear();
    simulation.place_pods();
    assert_eq!(checks(&simulation.plan()).len(), 1);
}
