//! What starts a rollout, what does not, and what waits.

use jiff::SignedDuration;

use super::simulation::{Simulation, State, name};
use super::waits_for;
use crate::naming::labels;
use crate::plan::generation::FORMAT;
use crate::plan::{Action, Generation, Plan, Record, RolloutCause};

/// The causes of the generations that the plan creates.
fn causes(plan: &Plan) -> Vec<RolloutCause> {
    let cause = |action: &Action| match action {
        Action::Create { cause, .. } => Some(*cause),
        _ => None,
    };
    plan.actions.iter().filter_map(cause).collect()
}

fn milliseconds(milliseconds: i64) -> SignedDuration {
    SignedDuration::from_millis(milliseconds)
}

fn newest(simulation: &Simulation) -> Generation {
    let daemon_set = simulation.daemon_sets.last().expect("a DaemonSet");
    Generation::from_metadata(&daemon_set.metadata).expect("a generation")
}

fn record(simulation: &Simulation) -> Record {
    newest(simulation).record.expect("a record")
}

fn nothing_to_do(plan: &Plan) -> bool {
    plan.actions.is_empty() && plan.waiting.is_empty()
}

#[test]
fn a_new_list_immediately_gets_a_generation_for_each_group() {
    let mut simulation = Simulation::new("{images: [a:1], groups: [{name: more, images: [b:1]}]}", 2);
    let plan = simulation.act();
    assert_eq!(causes(&plan), [RolloutCause::Missing, RolloutCause::Missing]);
    assert!(nothing_to_do(&simulation.plan()));
    let record = record(&simulation);
    assert_eq!(record.epoch.to_string(), "2026-03-01T12:00:00Z", "holders count in whole seconds");
    assert_eq!(record.holder_image, "ghcr.io/acme/kube-prepull:1");
}

#[test]
fn an_edit_starts_a_rollout_after_one_second() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("[a:2]");
    let waiting = simulation.plan();
    assert!(nothing_to_do(&waiting));
    assert_eq!(waiting.wake_at, Some(simulation.now + milliseconds(1000)));
    simulation.pass(milliseconds(1000));
    assert_eq!(causes(&simulation.act()), [RolloutCause::Edited]);
}

#[test]
fn two_edits_within_a_second_start_one_rollout() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("[a:2]");
    simulation.pass(milliseconds(900));
    simulation.edit("{images: [a:3], groups: [{name: more, images: [b:1]}]}");
    simulation.pass(milliseconds(900));
    assert!(simulation.act().actions.is_empty());
    simulation.pass(milliseconds(100));
    assert_eq!(causes(&simulation.act()), [RolloutCause::Edited, RolloutCause::Missing]);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:3", "b:1"].into());
    assert_eq!(simulation.created, 3);
}

#[test]
fn an_edit_does_not_wait_for_a_clock_that_was_set_back() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("[a:2]");
    simulation.pass(SignedDuration::from_hours(-5));
    assert_eq!(causes(&simulation.act()), [RolloutCause::Edited]);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:2"].into());
    assert_eq!(simulation.created, 2, "the new generation is newer, whatever the clock shows");
}

#[test]
fn an_edit_without_effect_on_nodes_starts_nothing() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("{images: [a:1], pullRate: 7, refresh: {every: 9h}, daemonSetAnnotations: {a: b}}");
    simulation.pass(milliseconds(2000));
    assert!(nothing_to_do(&simulation.plan()));
}

#[test]
fn an_edit_of_one_group_starts_nothing_for_another() {
    let list = |image: &str| format!("{{images: [a:1], groups: [{{name: more, images: [\"{image}\"]}}]}}");
    let mut simulation = Simulation::settled(&list("b:1"), 2);
    simulation.edit(&list("b:2"));
    simulation.settle();
    assert_eq!(simulation.created, 3);
}

#[test]
fn a_new_request_starts_a_rollout_and_an_old_one_does_not() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.request_rollout("one");
    assert_eq!(causes(&simulation.act()), [RolloutCause::Requested]);
    assert_eq!(record(&simulation).refresh_request.as_deref(), Some("one"));
    simulation.settle();
    simulation.restart_controller();
    assert!(nothing_to_do(&simulation.plan()));
    simulation.request = None;
    assert!(nothing_to_do(&simulation.plan()));
    assert_eq!(simulation.created, 2);
}

#[test]
fn the_rollout_of_an_edit_answers_the_request_that_came_with_it() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("[a:2]");
    simulation.request_rollout("one");
    simulation.settle();
    assert_eq!(simulation.created, 2);
}

#[test]
fn requests_within_a_second_each_get_their_own_generation() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.request_rollout("one");
    simulation.act();
    simulation.request_rollout("two");
    assert_eq!(causes(&simulation.act()), [RolloutCause::Requested]);
    simulation.settle();
    assert_eq!(record(&simulation).refresh_request.as_deref(), Some("two"));
}

#[test]
fn a_daemon_set_that_was_or_is_being_deleted_is_recreated_at_once() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.daemon_sets[0].metadata.deletion_timestamp =
        simulation.daemon_sets[0].metadata.creation_timestamp.clone();
    assert_eq!(causes(&simulation.act()), [RolloutCause::Missing]);
    assert_eq!(simulation.daemon_sets.len(), 2, "its name is still taken, so the new one has another name");
    simulation.daemon_sets.clear();
    assert_eq!(causes(&simulation.act()), [RolloutCause::Missing]);
}

#[test]
fn the_controllers_own_write_is_not_undone() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let metadata = &mut simulation.daemon_sets[0].metadata;
    metadata.generation = Some(3);
    metadata.annotations.get_or_insert_default().insert(labels::SPEC_GENERATION.to_owned(), "3".to_owned());
    assert!(nothing_to_do(&simulation.plan()));
}

#[test]
fn a_generation_of_another_version_of_the_controller_is_left_as_it_is() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let annotations = simulation.daemon_sets[0].metadata.annotations.get_or_insert_default();
    annotations.insert(labels::FORMAT.to_owned(), (FORMAT + 1).to_string());
    assert!(nothing_to_do(&simulation.plan()));
}

#[test]
fn a_generation_whose_record_was_changed_is_replaced_once() {
    for key in [labels::REVISION, labels::CONTENT, labels::EPOCH] {
        let mut simulation = Simulation::settled("[a:1]", 2);
        let annotations = simulation.daemon_sets[0].metadata.annotations.get_or_insert_default();
        annotations.insert(key.to_owned(), "4000000000".to_owned());
        assert_eq!(causes(&simulation.plan()), [RolloutCause::Unknown], "{key}");
        simulation.settle();
        assert_eq!(simulation.created, 2, "{key}");
    }
}

/// A list whose two older generations each hold an image that the newest does not hold yet.
fn three_moving_generations() -> Simulation {
    let mut simulation = Simulation::settled("[a:1, b:1]", 2);
    simulation.edit("[a:2, b:1]");
    simulation.pass(milliseconds(1000));
    simulation.act();
    simulation.place_pods();
    simulation.pull();
    simulation.edit("[a:2, b:1, c:1]");
    simulation.pass(milliseconds(1000));
    simulation.act();
    assert_eq!(simulation.daemon_sets.len(), 3);
    simulation
}

#[test]
fn while_three_generations_move_a_further_change_waits_and_the_newest_wins() {
    let mut simulation = three_moving_generations();
    simulation.edit("[a:2, b:1, d:1]");
    simulation.pass(milliseconds(1000));
    let plan = simulation.act();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.waiting, [waits_for(3, false)]);
    simulation.edit("[a:2, b:1, e:1]");
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:2", "b:1", "e:1"].into());
    assert_eq!(simulation.created, 4, "the change in between got no generation");
}

#[test]
fn a_request_waits_like_an_edit() {
    let mut simulation = three_moving_generations();
    simulation.request_rollout("one");
    assert!(simulation.act().actions.is_empty());
    simulation.request_rollout("two");
    simulation.settle();
    assert_eq!(simulation.created, 4);
}

#[test]
fn a_deleted_tag_blocks_no_edit() {
    let mut simulation = Simulation::settled("[a:1, dead:1]", 2);
    simulation.unavailable.insert("dead:1".to_owned());
    for tag in 2..8 {
        simulation.edit(&format!("[\"a:{tag}\", dead:1]"));
        simulation.settle();
        let image = format!("a:{tag}");
        assert_eq!(simulation.held_on("n0"), [&image, "dead:1"].into());
        assert_eq!(simulation.daemon_sets.len(), 1, "tags that were resolved before are taken from the disk");
    }
}

#[test]
fn a_generation_that_stays_for_a_deleted_tag_does_not_count_as_moving() {
    let mut simulation = Simulation::settled("[dead:1, a:1, b:1]", 2);
    simulation.unavailable.insert("dead:1".to_owned());
    simulation.request_rollout("one");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 2);
    for list in ["[dead:1, a:2, b:1]", "[dead:1, a:2, b:1, c:1]"] {
        simulation.edit(list);
        simulation.pass(milliseconds(1000));
        simulation.act();
        simulation.place_pods();
        simulation.pull();
        simulation.pull();
    }
    assert_eq!(simulation.daemon_sets.len(), 4, "{:#?}", simulation.pods);
}

#[test]
fn at_most_one_generation_stays_for_each_deleted_tag() {
    let mut simulation = Simulation::settled("[a:1, flaky:1]", 4);
    // Each rollout pulls the image on one more node before the registry refuses it again.
    for rollout in 0..3 {
        simulation.request_rollout(&rollout.to_string());
        simulation.unavailable.insert("flaky:1".to_owned());
        simulation.settle();
        let name = name(simulation.daemon_sets.last().expect("a DaemonSet"));
        simulation.set(&name, Some(&format!("n{rollout}")), "flaky:1", State::Running);
    }
    let before = simulation.daemon_sets.len();
    assert_eq!(before, 4, "three generations stay for one image on different nodes");
    simulation.request_rollout("one more");
    let plan = simulation.act();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.waiting, [waits_for(3, true)]);
    simulation.unavailable.clear();
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_removed_group_is_deleted_and_a_new_group_starts() {
    let mut simulation = Simulation::settled("groups: [{name: old, images: [a:1, b:1]}]", 2);
    simulation.edit("groups: [{name: new, images: [a:1, c:1]}]");
    simulation.pass(milliseconds(1000));
    assert_eq!(causes(&simulation.act()), [RolloutCause::Missing]);
    assert_eq!(simulation.daemon_sets.len(), 2, "a:1 is still on the list, and only the old group holds it");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert_eq!(simulation.held_on("n1"), ["a:1", "c:1"].into());
}

#[test]
fn the_spread_depends_on_the_nodes_that_the_group_selects() {
    let list = "{pullRate: 1, groups: [{name: a, images: [a:1], nodeSelector: {zone: a}}]}";
    let mut simulation = Simulation::new(list, 4);
    simulation.act();
    assert_eq!(record(&simulation).spread_seconds, 120);
    let mut blind = Simulation::new(list, 4);
    blind.may_read_nodes = false;
    blind.act();
    assert_eq!(record(&blind).spread_seconds, 0);
}

#[test]
fn a_new_controller_image_is_used_from_the_next_rollout_on() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.holder_image = "ghcr.io/acme/kube-prepull:2".to_owned();
    assert!(nothing_to_do(&simulation.plan()));
    simulation.daemon_sets[0].metadata.generation = Some(2);
    let plan = simulation.plan();
    let [Action::Restore { daemon_set, .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
    assert_eq!(daemon_set.spec, simulation.daemon_sets[0].spec, "a restore does not change the image");
    simulation.request_rollout("one");
    simulation.act();
    assert_eq!(record(&simulation).holder_image, "ghcr.io/acme/kube-prepull:2");
}
