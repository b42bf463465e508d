//! When refreshes are due, and what they do.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::at;
use super::simulation::Simulation;
use super::waits_for;
use crate::plan::Waiting;
use crate::plan::generation::Generation;
use crate::plan::{Action, Plan, RolloutCause};

const HOURLY: &str = "{images: [a:1], refresh: {every: 1h, mode: Always}}";

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn cron(pattern: &str) -> String {
    format!("{{images: [a:1], refresh: {{schedule: \"{pattern}\", timeZone: Europe/Berlin, mode: Always}}}}")
}

/// Whether the plan starts one rollout because a refresh is due.
fn starts_a_refresh(plan: &Plan) -> bool {
    matches!(plan.actions.as_slice(), [Action::Create { cause: RolloutCause::Due, .. }])
}

pub fn nothing_to_do(simulation: &Simulation) -> bool {
    let plan = simulation.plan();
    plan.actions.is_empty() && plan.waiting.is_empty()
}

/// Lets time pass in steps, and returns when refreshes started.
fn refreshes_until(simulation: &mut Simulation, end: &str, step: SignedDuration) -> Vec<Timestamp> {
    let mut started = Vec::new();
    while simulation.now < at(end) {
        simulation.pass(step);
        if starts_a_refresh(&simulation.act()) {
            started.push(simulation.now);
        }
        simulation.place_pods();
        simulation.pull();
    }
    started
}

fn times(times: &[&str]) -> Vec<Timestamp> {
    times.iter().map(|time| at(time)).collect()
}

#[test]
fn an_interval_counts_from_the_last_rollout_and_wakes_up_the_plan() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.act();
    simulation.place_pods();
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T13:00:00Z")));
    simulation.settle();
    simulation.now = at("2026-03-01T12:59:59Z");
    assert!(nothing_to_do(&simulation));
    simulation.now = at("2026-03-01T13:00:00Z");
    assert!(starts_a_refresh(&simulation.act()));
    simulation.place_pods();
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T14:00:00Z")));
}

#[test]
fn the_next_refresh_counts_from_edits_and_requests_too() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.now = at("2026-03-01T12:40:00Z");
    simulation.request("one");
    simulation.act();
    simulation.place_pods();
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T13:40:00Z")));
    simulation.settle();
    simulation.now = at("2026-03-01T13:20:00Z");
    simulation.edit("{images: [a:2], refresh: {every: 1h, mode: Always}}");
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    simulation.place_pods();
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T14:20:01Z")));
}

#[test]
fn a_restart_of_the_controller_starts_nothing_and_delays_nothing() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.now = at("2026-03-01T12:50:00Z");
    simulation.restart_controller();
    assert!(nothing_to_do(&simulation));
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T13:00:01Z")));
}

#[test]
fn missed_times_are_made_up_for_once() {
    for list in [HOURLY, &cron("0 * * * *")] {
        let mut simulation = Simulation::at("2026-03-01T12:00:00Z", list, 2);
        simulation.settle();
        simulation.pass(hours(100));
        simulation.restart_controller();
        assert!(starts_a_refresh(&simulation.act()), "{list}");
        simulation.settle();
        assert_eq!(simulation.created, 2, "{list}");
    }
}

#[test]
fn a_schedule_is_read_in_its_time_zone() {
    let mut simulation = Simulation::at("2026-03-06T12:00:00Z", &cron("0 3 * * 1-5"), 1);
    let found = refreshes_until(&mut simulation, "2026-03-11T12:00:00Z", minutes(10));
    assert_eq!(found, times(&["2026-03-09T02:00:00Z", "2026-03-10T02:00:00Z", "2026-03-11T02:00:00Z"]));
}

#[test]
fn a_time_skipped_by_daylight_saving_is_made_up_for_once_that_night() {
    for step in [1, 7, 10, 45] {
        let mut simulation = Simulation::at("2026-03-27T12:00:00Z", &cron("30 2 * * *"), 1);
        let found = refreshes_until(&mut simulation, "2026-03-30T12:00:00Z", minutes(step));
        let nights: Vec<i64> =
            found.iter().map(|time| time.duration_since(at("2026-03-27T00:00:00Z")).as_hours() / 24).collect();
        assert_eq!(nights, [1, 2, 3], "seen every {step} minutes: {found:?}");
    }
}

#[test]
fn a_time_that_occurs_twice_is_due_once_that_night() {
    for step in [1, 7, 10, 45] {
        let mut simulation = Simulation::at("2026-10-23T12:00:00Z", &cron("30 2 * * *"), 1);
        let found = refreshes_until(&mut simulation, "2026-10-26T12:00:00Z", minutes(step));
        let nights: Vec<i64> =
            found.iter().map(|time| time.duration_since(at("2026-10-23T00:00:00Z")).as_hours() / 24).collect();
        assert_eq!(nights, [1, 2, 3], "seen every {step} minutes: {found:?}");
    }
}

#[test]
fn an_hourly_refresh_stays_hourly_when_the_clocks_change() {
    let mut simulation = Simulation::at("2026-10-24T22:00:00Z", &cron("0 * * * *"), 1);
    let found = refreshes_until(&mut simulation, "2026-10-25T04:00:00Z", minutes(10));
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn a_changed_schedule_counts_from_the_last_rollout_too() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.now = at("2026-03-01T12:30:00Z");
    simulation.edit("{images: [a:1], refresh: {every: 45m, mode: Always}}");
    assert!(nothing_to_do(&simulation), "it is less than 45 minutes ago");
    simulation.edit("{images: [a:1], refresh: {every: 10m, mode: Always}}");
    assert!(nothing_to_do(&simulation), "another edit may follow within the second");
    simulation.pass(SignedDuration::from_secs(1));
    assert!(starts_a_refresh(&simulation.act()), "it is more than 10 minutes ago");
    simulation.settle();
    assert_eq!(simulation.created, 2, "once, not three times");
    simulation.edit("{images: [a:1], refresh: {every: 5h, mode: Always}}");
    assert!(nothing_to_do(&simulation));
}

#[test]
fn no_refresh_is_due_before_the_last_nodes_start_delay_is_over() {
    let list = "{images: [a:1], pullRate: 1, refresh: {every: 1m, mode: Always}}";
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", list, 10);
    simulation.act();
    simulation.place_pods();
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T12:10:00Z")));
}

#[test]
fn each_group_has_its_own_last_rollout() {
    let list = |tag: u8| {
        format!(
            "{{images: [a:1], groups: [{{name: more, images: [\"b:{tag}\"]}}], refresh: {{every: 1h, mode: Always}}}}"
        )
    };
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", &list(1), 2);
    simulation.settle();
    simulation.now = at("2026-03-01T12:30:00Z");
    simulation.edit(&list(2));
    simulation.settle();
    simulation.now = at("2026-03-01T13:01:00Z");
    assert!(starts_a_refresh(&simulation.act()));
    simulation.settle();
    assert!(nothing_to_do(&simulation));
}

#[test]
fn refreshes_do_not_pile_up_while_the_registry_is_slow() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    let before = simulation.names();
    for _ in 0..20 {
        simulation.pass(hours(1));
        simulation.act();
        simulation.place_pods();
        assert!(simulation.daemon_sets.len() <= 3);
    }
    assert_eq!(simulation.names()[0], before[0], "the first generation still holds an image that no newer one does");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_due_refresh_waits_while_three_generations_move_and_restores_go_on() {
    let list = |images: &str| format!("{{images: [{images}], refresh: {{every: 1h, mode: Always}}}}");
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", &list("a:1, b:1"), 2);
    simulation.settle();
    for images in ["a:2, b:1", "a:2, b:1, c:1"] {
        // Only a:2 of the second generation has been pulled when the third starts.
        simulation.place_pods();
        simulation.pull();
        simulation.edit(&list(images));
        simulation.pass(SignedDuration::from_secs(1));
        simulation.act();
    }
    simulation.place_pods();
    simulation.pass(hours(5));
    simulation.daemon_sets[2].metadata.generation = Some(2);
    let plan = simulation.plan();
    assert!(matches!(plan.actions.as_slice(), [Action::Restore { .. }]), "{:?}", plan.actions);
    assert_eq!(plan.waiting, [waits_for(3, true)]);
    simulation.act();
    simulation.settle();
    assert_eq!(simulation.created, 4, "five missed hours cause one refresh");
}

#[test]
fn a_clock_that_was_far_ahead_for_a_while_costs_one_rollout() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.jump(hours(40_000));
    assert!(starts_a_refresh(&simulation.act()), "the last rollout seems to be years ago");
    simulation.settle();
    simulation.jump(hours(-40_000));
    assert!(nothing_to_do(&simulation), "by the API server's clock, the rollout has just started");
    simulation.pass(minutes(61));
    assert!(starts_a_refresh(&simulation.act()), "so the next refresh is on time");
    simulation.settle();
    assert_eq!(simulation.created, 3);
}

#[test]
fn a_clock_that_was_behind_for_a_while_costs_no_rollout() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.jump(hours(-40_000));
    assert!(simulation.plan().actions.is_empty());
    simulation.request("one");
    simulation.settle();
    simulation.jump(hours(40_000));
    assert!(nothing_to_do(&simulation), "its epoch is years old, but it has just been created");
    assert_eq!(simulation.created, 2);
}

#[test]
fn clocks_that_differ_by_seconds_cause_no_second_rollout() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", &cron("0 3 * * *"), 1);
    simulation.settle();
    // The controller's clock is half a minute ahead at the scheduled time, and then another controller takes over.
    simulation.now = at("2026-03-02T02:00:05Z");
    simulation.server_ahead = SignedDuration::from_secs(-30);
    assert!(starts_a_refresh(&simulation.act()));
    simulation.settle();
    simulation.now = at("2026-03-02T02:00:01Z");
    simulation.server_ahead = SignedDuration::ZERO;
    assert!(nothing_to_do(&simulation));
    simulation.pass(minutes(1));
    assert!(nothing_to_do(&simulation));
}

#[test]
fn a_rollout_that_both_clocks_date_in_the_future_is_reported_with_the_remedy() {
    let mut simulation = Simulation::at("2030-01-01T00:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.now = at("2026-01-01T00:00:00Z");
    let plan = simulation.plan();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.waiting, [Waiting::Clock { group: "default".to_owned(), until: at("2030-01-01T00:00:01Z") }]);
    simulation.request("one");
    simulation.settle();
    assert_eq!(simulation.plan().wake_at, Some(at("2026-01-01T01:00:01Z")), "a request fixes it");
}

#[test]
fn a_generation_without_a_creation_time_counts_from_its_epoch() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 2);
    simulation.settle();
    simulation.daemon_sets[0].metadata.creation_timestamp = None;
    assert_eq!(simulation.plan().wake_at, Some(at("2026-03-01T13:00:01Z")));
    assert!(Generation::from_metadata(&simulation.daemon_sets[0].metadata).is_some_and(|it| it.created.is_none()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The controller's clock jumps arbitrarily; the API server's clock is right.
    #[test]
    fn each_jump_of_the_clock_costs_at_most_one_rollout_and_refreshes_continue(
        jumps in prop::collection::vec((-50_000i64..50_000, 0i64..130), 0..10),
    ) {
        let mut simulation = Simulation::at("2026-03-01T12:00:00Z", HOURLY, 1);
        simulation.settle();
        let mut real = 0;
        for (jump, later) in &jumps {
            simulation.jump(minutes(*jump));
            for _ in 0..*later {
                simulation.pass(minutes(1));
                real += 1;
                let plan = simulation.act();
                prop_assert!(!starts_a_refresh(&plan) || !starts_a_refresh(&simulation.plan()), "two refreshes at the same time");
                simulation.place_pods();
                simulation.pull();
            }
        }
        let rollouts = simulation.created - 1;
        prop_assert!(rollouts <= real / 60 + jumps.len(), "{rollouts} rollouts in {real} minutes with {} jumps", jumps.len());

        simulation.jump(simulation.server_ahead);
        let before = simulation.created;
        refreshes_until(&mut simulation, "2036-01-01T00:00:00Z", hours(20_000));
        prop_assert!(simulation.created > before, "refreshes go on");
    }
}
