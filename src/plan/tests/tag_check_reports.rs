//! The reports about refreshes match what the plan does.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::simulation::Simulation;
use super::tag_check::{arrived, checked, moved};
use crate::plan::generation::Generation;
use crate::plan::refresh::{LastTagCheck, NextRefresh, RefreshOutcome, last_tag_check, next_tag_check};

const ON_CHANGE: &str = "{images: [a:1, b:1], refresh: {every: 1h}}";
const ALWAYS: &str = "{images: [a:1, b:1], refresh: {every: 1h, mode: Always}}";
const NIGHTLY: &str = "{images: [a:1, b:1], refresh: {schedule: \"0 3 * * *\", timeZone: Europe/Berlin}}";

fn newest(simulation: &Simulation) -> Generation {
    let metadata = simulation.daemon_sets.iter().map(|daemon_set| &daemon_set.metadata);
    let mut generations: Vec<Generation> = metadata.filter_map(Generation::from_metadata).collect();
    generations.sort_by_cached_key(Generation::newest_first);
    generations.remove(0)
}

fn next(simulation: &Simulation) -> Option<NextRefresh> {
    let config = &simulation.config;
    let request = simulation.request.as_deref();
    next_tag_check(&config.refresh, &config.groups[0], &[&newest(simulation)], request, simulation.now)
}

fn last(simulation: &Simulation) -> LastTagCheck {
    last_tag_check(&[&newest(simulation)]).expect("a record")
}

/// Whether the plan checks tags or starts a rollout at this time.
fn acts_at(simulation: &mut Simulation, time: Timestamp) -> bool {
    let now = std::mem::replace(&mut simulation.now, time);
    let acts = !simulation.plan().actions.is_empty();
    simulation.now = now;
    acts
}

proptest! {
    #[test]
    fn the_reported_next_tag_check_is_when_the_plan_acts(
        list in prop_oneof![Just(ON_CHANGE), Just(ALWAYS), Just(NIGHTLY)],
        pauses in proptest::collection::vec((0i64..8000, any::<bool>()), 0..6),
        asks in any::<bool>(),
    ) {
        let mut simulation = arrived(list, &[("a:1", 1), ("b:1", 2)]);
        for (seconds, fails) in pauses {
            simulation.unavailable = fails.then(|| "a:1".to_owned()).into_iter().collect();
            simulation.pass(SignedDuration::from_secs(seconds));
            checked(&mut simulation);
            simulation.settle();
        }
        if asks {
            simulation.request("now");
        }
        let now = simulation.now;
        match next(&simulation) {
            Some(NextRefresh::Due { since }) => {
                prop_assert!(acts_at(&mut simulation, now));
                prop_assert!(since.is_none_or(|since| since <= now), "since {since:?}");
            }
            Some(NextRefresh::At(at)) => {
                prop_assert!(!acts_at(&mut simulation, at - SignedDuration::from_secs(1)), "before {at}");
                prop_assert!(acts_at(&mut simulation, at), "not at {at}");
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn pinned_images_are_never_checked_unless_the_mode_starts_rollouts() {
    let pinned = format!("a@sha256:{}", "0".repeat(64));
    for (mode, never) in [("OnChange", true), ("Always", false)] {
        let list = format!("{{images: [\"{pinned}\"], refresh: {{every: 1h, mode: {mode}}}}}");
        let simulation = Simulation::settled(&list, 2);
        assert_eq!(next(&simulation) == Some(NextRefresh::Never), never, "{mode}");
    }
}

#[test]
fn the_outcome_of_a_tag_check_is_reported() {
    let mut simulation = Simulation::new(ON_CHANGE, 2);
    moved(&mut simulation, &[("a:1", 1), ("b:1", 2)]);
    simulation.settle();
    let first = last(&simulation);
    assert_eq!((first.outcome, first.at), (RefreshOutcome::Rollout, first.success));
    let hour = |simulation: &mut Simulation| {
        simulation.pass(SignedDuration::from_hours(1));
        checked(simulation);
        last(simulation)
    };
    let unchanged = hour(&mut simulation);
    assert_eq!((unchanged.outcome, unchanged.at > first.at), (RefreshOutcome::Unchanged, true));
    moved(&mut simulation, &[("a:1", 3)]);
    assert_eq!(hour(&mut simulation).outcome, RefreshOutcome::Moved);
    simulation.settle();
    let before = hour(&mut simulation);
    simulation.unavailable = ["a:1".to_owned(), "b:1".to_owned()].into();
    let deferred = hour(&mut simulation);
    assert_eq!(
        (deferred.outcome, deferred.success),
        (RefreshOutcome::Deferred, before.success),
        "no tag check succeeded"
    );
    let tag_check_record = newest(&simulation).tag_check_record;
    assert_eq!(tag_check_record.failed.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert!(tag_check_record.failed.values().all(Option::is_some), "{:?}", tag_check_record.failed);
}
