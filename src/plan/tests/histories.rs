//! Invariants that hold in every history of a cluster, whatever is edited, fails, disappears and comes back.

mod events;
mod invariants;
mod lists;

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::simulation::Simulation;
use crate::coverage::Node;
use events::{Event, apply, disturbance, event};
use invariants::{generations_are_bounded, settles, wanted_on};
use lists::{IMAGES, MOST_SHARDS, list, normal};

/// While nothing can be pulled, a node holds what it held before again, from its disk, however often pods are replaced
/// and nodes reboot.
fn held_images_are_recovered(first: &str, edit: &str, events: &[Event]) -> Result<(), TestCaseError> {
    let mut simulation = Simulation::settled(first, 4);
    let held: Vec<BTreeSet<String>> = held_by_node(&simulation);
    simulation.unavailable.extend(IMAGES.map(str::to_owned));
    simulation.edit(edit);
    for event in events {
        apply(&mut simulation, event)?;
    }
    simulation.pass(SignedDuration::from_mins(3));
    simulation.settle();
    for ((node, before), now) in simulation.nodes.iter().zip(held).zip(held_by_node(&simulation)) {
        let wanted = wanted_on(&simulation, node);
        let lost: Vec<&String> =
            before.iter().filter(|image| wanted.contains(*image) && !now.contains(*image)).collect();
        prop_assert!(lost.is_empty(), "{lost:?} on {}", node.name);
    }
    Ok(())
}

fn held_by_node(simulation: &Simulation) -> Vec<BTreeSet<String>> {
    let held = |node: &Node| simulation.held_on(&node.name).into_iter().map(normal).collect();
    simulation.nodes.iter().map(held).collect()
}

/// An edit that adds nodes to a group must not wait for older generations on these nodes.
#[test]
fn an_edit_that_adds_nodes_does_not_wait_for_generations_on_them() {
    let mut simulation = Simulation::new(
        "groups:
- {name: p, images: [a:2], tolerations: [{key: gpu, operator: Exists}]}
- {name: q, images: [a:2], nodeSelector: {zone: a}}
",
        4,
    );
    simulation.adopt_kip_daemon_set(&["a:2"]);
    let edit = Event::Edit("groups: [{name: q, images: [a:2]}]".to_owned());
    let before = [Event::ControllerActs, Event::PodsArePlaced, Event::NodeIsLost(3), Event::KubeletsPull];
    for event in before.into_iter().chain([Event::TimePasses(118_500), edit]) {
        apply(&mut simulation, &event).expect("no image is released");
    }
    settles(&mut simulation).expect("the edit takes effect");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_image_is_released_and_every_history_settles(first in list(), adoption in btree_set(0..IMAGES.len(), 0..3), events in vec(event(), 0..60)) {
        let mut simulation = Simulation::new(&first, 4);
        if !adoption.is_empty() {
            simulation.adopt_kip_daemon_set(&adoption.iter().map(|image| IMAGES[*image]).collect::<Vec<_>>());
        }
        let mut causes = simulation.config.groups.len();
        let mut seconds = 0;
        for event in &events {
            causes += apply(&mut simulation, event)?;
            generations_are_bounded(&simulation)?;
            if let Event::TimePasses(milliseconds) = event {
                seconds += (*milliseconds).max(0) / 1000 + 1;
            }
        }
        let since = simulation.now;
        settles(&mut simulation)?;
        seconds += simulation.now.duration_since(since).as_secs();
        // A refresh is due at most every minute, in each of three groups.
        causes += 3 * (usize::try_from(seconds).unwrap_or_default() / 60 + 1);
        causes *= MOST_SHARDS;
        prop_assert!(simulation.created <= causes, "{} generations for {} causes", simulation.created, causes);
    }

    #[test]
    fn held_images_are_recovered_from_disk_while_nothing_can_be_pulled(
        first in list(), edit in list(), events in vec(disturbance(), 0..40),
    ) {
        // With `Recreate`, the user accepts a gap. With `Always`, a rollout starts every minute here: if a generation
        // retires before its rollout was complete, pods that are replaced shortly after its creation count as its first
        // pods.
        let [first, edit] =
            [first, edit].map(|list| list.replace(", mode: Recreate", "").replace(", mode: Always", ""));
        held_images_are_recovered(&first, &edit, &events)?;
    }

    #[test]
    fn sleeping_until_the_plan_wakes_up_misses_nothing(
        first in list(), events in vec(event(), 0..40), later in 0i64..10_000_000,
    ) {
        let mut simulation = Simulation::new(&first, 4);
        for event in &events {
            apply(&mut simulation, event)?;
        }
        (0..5).for_each(|_| drop(simulation.act()));
        let plan = simulation.plan();
        prop_assert!(plan.actions.is_empty());
        let later = simulation.now + SignedDuration::from_millis(later);
        simulation.now = plan.wake_at.map_or(later, |wake_at| later.min(wake_at - SignedDuration::from_millis(1)));
        prop_assert_eq!(simulation.plan().actions, plan.actions, "before {:?}", plan.wake_at);
    }

    #[test]
    fn a_restart_of_the_controller_changes_no_plan_once_the_list_has_settled(
        first in list(), events in vec(event(), 0..40),
    ) {
        let mut simulation = Simulation::new(&first, 4);
        for event in &events {
            apply(&mut simulation, event)?;
        }
        simulation.pass(SignedDuration::from_mins(5));
        let before = simulation.plan();
        simulation.restart_controller();
        prop_assert_eq!(before, simulation.plan());
    }
}
