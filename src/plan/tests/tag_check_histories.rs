//! Tag checks in arbitrary histories of moved tags, faults and nodes, including nodes that report arbitrary digests.

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;

use super::simulation::{Simulation, node};
use super::tag_check::{HOURLY, arrived, causes, checked, digest, hours, moved, newest};
use crate::naming::hash;
use crate::plan::RolloutCause;

/// The number of rollouts in 200 tag checks, if the tag does not move but nodes report a random one of this many
/// digests with each pull.
fn rollouts_of_a_tag_with_random_digests(names: u64) -> usize {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    let mut rollouts = 0;
    for second in 0..2000 {
        for node in ["n0", "n1"] {
            let name = hash::number(format!("{second} {node}").as_bytes()) % names;
            let name = digest(u8::try_from(name).expect("a small number"));
            simulation.tags_on.insert((node.to_owned(), "a:1".to_owned()), name);
        }
        if second % 10 == 0 {
            simulation.request(&second.to_string());
        }
        rollouts += causes(&simulation.step().actions).len();
    }
    rollouts
}

#[test]
fn nodes_that_report_a_different_digest_each_time_start_few_rollouts() {
    for names in [2, 3, 200] {
        let rollouts = rollouts_of_a_tag_with_random_digests(names);
        assert!((1..=20).contains(&rollouts), "{rollouts} rollouts in 200 tag checks with {names} digests");
    }
}

/// An event between tag checks.
#[derive(Clone, Debug)]
enum Event {
    TagMoves(bool, u8),
    RegistryFails(bool),
    NodeJoins,
    NodeGoes,
    NodeIsLost(usize),
    NodesAreBack,
    NodeIsCordoned(usize, bool),
    CheckPodGoes,
    Request(u8),
    ControllerCrashes(usize),
    TimePasses(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (any::<bool>(), any::<u8>()).prop_map(|(tag, number)| Event::TagMoves(tag, number)),
        2 => any::<bool>().prop_map(Event::RegistryFails),
        1 => Just(Event::NodeJoins),
        1 => Just(Event::NodeGoes),
        2 => any::<usize>().prop_map(Event::NodeIsLost),
        1 => Just(Event::NodesAreBack),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(node, cordoned)| Event::NodeIsCordoned(node, cordoned)),
        1 => Just(Event::CheckPodGoes),
        1 => any::<u8>().prop_map(Event::Request),
        3 => (0usize..4).prop_map(Event::ControllerCrashes),
        6 => (0i64..5000).prop_map(Event::TimePasses),
    ]
}

fn apply(simulation: &mut Simulation, event: &Event) -> usize {
    let tag = |first: bool| if first { "a:1" } else { "b:1" };
    match event {
        Event::TagMoves(first, number) => {
            moved(simulation, &[(tag(*first), *number)]);
            return 1;
        }
        Event::RegistryFails(both) => {
            simulation.unavailable = [tag(true).to_owned()].into();
            simulation.unavailable.extend(both.then(|| tag(false).to_owned()));
        }
        Event::NodeJoins => simulation.join(),
        Event::NodeGoes if simulation.nodes.len() > 1 => drop(simulation.nodes.remove(0)),
        Event::NodeGoes => {}
        Event::NodeIsLost(index) => {
            let index = index % simulation.nodes.len();
            simulation.nodes[index].ready = false;
        }
        Event::NodesAreBack => simulation.nodes.iter_mut().for_each(|node| node.ready = true),
        Event::NodeIsCordoned(index, cordoned) => {
            let index = index % simulation.nodes.len();
            simulation.nodes[index].unschedulable = *cordoned;
        }
        Event::CheckPodGoes => simulation.tag_checks.iter_mut().for_each(|check| check.pod = None),
        Event::Request(value) => simulation.request(&value.to_string()),
        Event::ControllerCrashes(after) => {
            let plan = simulation.plan();
            plan.actions.iter().take(*after).for_each(|action| simulation.apply(action));
            simulation.restart_controller();
        }
        Event::TimePasses(seconds) => simulation.pass(SignedDuration::from_secs(*seconds)),
    }
    0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_move_starts_at_most_one_rollout_and_nothing_else_does(events in vec(event(), 0..40)) {
        let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
        let mut moves = 0;
        for event in &events {
            let failing = !simulation.unavailable.is_empty();
            moves += apply(&mut simulation, event);
            let created = causes(&checked(&mut simulation));
            prop_assert!(created.iter().all(|cause| matches!(cause, RolloutCause::Moved { .. })), "{created:?}");
            // The registry fails for a single event.
            if failing {
                simulation.unavailable.clear();
            }
        }
        let rollouts = simulation.created - 1;
        prop_assert!(rollouts <= moves, "{} rollouts for {} moves", rollouts, moves);
        simulation.unavailable.clear();
        simulation.nodes.iter_mut().for_each(|node| (node.ready, node.unschedulable) = (true, false));
        // Hours pass in leaps here, while pods that change within seconds would delay refreshes.
        checked(&mut simulation);
        hours(&mut simulation, 2);
        let last = simulation.created;
        hours(&mut simulation, 3);
        prop_assert_eq!(simulation.created, last, "no rollout without a move");
        for pod in &simulation.pods {
            for container in &pod.containers {
                prop_assert_eq!(Some(&container.image_id), simulation.tags.get(&container.image), "an outdated image");
            }
        }
        // A tag check may have started in the last second.
        let ended = (0..20).any(|_| simulation.step().actions.is_empty() && simulation.tag_checks.is_empty());
        prop_assert!(ended, "a tag check is left");
    }

    #[test]
    fn a_refresh_finishes_while_any_node_works_whatever_happens_to_the_others(events in vec(event(), 0..15)) {
        let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
        for event in &events {
            apply(&mut simulation, event);
            checked(&mut simulation);
        }
        simulation.unavailable.clear();
        simulation.nodes.push(node(99));
        checked(&mut simulation);
        let since = simulation.now;
        hours(&mut simulation, 2);
        let last = newest(&simulation).tag_check_record.last_success;
        prop_assert!(last > Some(since), "the last tag check was at {last:?}, and it is {}", simulation.now);
    }

    #[test]
    fn a_failing_registry_never_starts_a_rollout(seconds in vec(1i64..4000, 1..30), one in any::<bool>()) {
        let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
        simulation.unavailable.insert("a:1".to_owned());
        if !one {
            simulation.unavailable.insert("b:1".to_owned());
        }
        for seconds in seconds {
            simulation.pass(SignedDuration::from_secs(seconds));
            prop_assert_eq!(causes(&checked(&mut simulation)), []);
        }
        prop_assert_eq!(simulation.daemon_sets.len(), 1);
    }
}
