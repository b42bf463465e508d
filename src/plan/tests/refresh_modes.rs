//! What a refresh does in the modes that start rollouts.

use jiff::SignedDuration;

use super::at;
use super::refresh::{hours, nothing_to_do};
use super::simulation::Simulation;
use crate::plan::{Action, DeletionReason, Plan, RolloutCause};

const RECREATE: &str = "{images: [a:1, b:1], refresh: {every: 1h, mode: Recreate}}";

fn deletion_reasons(plan: &Plan) -> Vec<DeletionReason> {
    let reason = |action: &Action| match action {
        Action::Delete { reason, .. } => *reason,
        other => panic!("{other:?}"),
    };
    plan.actions.iter().map(reason).collect()
}

#[test]
fn recreate_deletes_all_generations_before_creating_one() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", RECREATE, 2);
    simulation.settle();
    simulation.pass(hours(1));
    assert_eq!(deletion_reasons(&simulation.act()), [DeletionReason::Recreated(RolloutCause::Due)]);
    assert!(simulation.daemon_sets.is_empty());
    let plan = simulation.act();
    assert!(matches!(plan.actions.as_slice(), [Action::Create { cause: RolloutCause::Missing, .. }]), "{plan:?}");
    simulation.settle();
    assert_eq!(simulation.created, 2);
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
}

#[test]
fn what_a_policy_no_longer_allows_is_neither_recreated_nor_released() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", RECREATE, 2);
    assert_eq!(simulation.plan().without_new_content().actions, [], "nothing is created");
    simulation.settle();
    simulation.pass(hours(1));
    assert_eq!(simulation.plan().without_new_content().actions, [], "nothing is deleted only to be created again");
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
}

#[test]
fn recreate_survives_a_crash_between_deleting_and_recreating() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", RECREATE, 2);
    simulation.settle();
    simulation.pass(hours(1));
    simulation.act();
    simulation.pass(hours(7));
    simulation.restart_controller();
    simulation.place_pods();
    simulation.settle();
    assert_eq!(simulation.created, 2, "the new generation counts as the refresh");
    assert!(nothing_to_do(&simulation));
}

#[test]
fn recreate_deletes_all_generations_of_its_group_and_no_others() {
    let list = |tag: u8| {
        format!(
            "{{images: [a:1], groups: [{{name: more, images: [\"b:{tag}\", {{image: \"c:1\", imagePullPolicy: Always}}]}}], refresh: {{every: 1h, mode: Recreate}}}}"
        )
    };
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", &list(1), 2);
    simulation.settle();
    simulation.now = at("2026-03-01T12:59:00Z");
    simulation.edit(&list(2));
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    assert_eq!(simulation.daemon_sets.len(), 3, "an edit never causes a gap");
    simulation.now = at("2026-03-01T13:30:00Z");
    assert_eq!(
        deletion_reasons(&simulation.act()),
        [DeletionReason::Recreated(RolloutCause::Due)],
        "only the default group is due"
    );
    simulation.act();
    simulation.now = at("2026-03-01T14:00:00Z");
    assert_eq!(
        deletion_reasons(&simulation.act()),
        [DeletionReason::Recreated(RolloutCause::Due); 2],
        "the old and the new generation"
    );
}

#[test]
fn a_request_follows_the_mode_and_is_answered_once() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", RECREATE, 2);
    simulation.settle();
    simulation.request("one");
    assert_eq!(deletion_reasons(&simulation.act()), [DeletionReason::Recreated(RolloutCause::Requested)]);
    simulation.restart_controller();
    simulation.settle();
    assert_eq!(simulation.created, 2);
}
