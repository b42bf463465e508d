//! What a rollout pulls from the registry, and what it takes from the nodes' disks.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::simulation::{Simulation, State, node};
use crate::coverage::{CoveringPod, ImageState, Node};
use crate::naming::labels;
use crate::plan::pull_policies::{Resolve, for_next_generation};
use crate::plan::{Context, Generation};

const PINNED: &str = "p@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn asked_since(simulation: &mut Simulation, happens: impl FnOnce(&mut Simulation)) -> Vec<(String, usize)> {
    simulation.asked.clear();
    happens(simulation);
    simulation.settle();
    simulation.asked.clone().into_iter().collect()
}

fn newest(simulation: &Simulation) -> Generation {
    let generations = simulation.daemon_sets.iter().filter_map(|it| Generation::from_metadata(&it.metadata));
    generations.max_by_key(Generation::revision).expect("a generation")
}

fn digest(of: char) -> String {
    format!("sha256:{}", of.to_string().repeat(64))
}

#[test]
fn a_first_generation_pulls_every_tag() {
    let simulation = Simulation::settled(&format!("[a:1, b:1, '{PINNED}']"), 2);
    assert_eq!(newest(&simulation).pulled_always.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn an_edit_that_adds_an_image_pulls_only_that_one() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 3);
    let asked = asked_since(&mut simulation, |it| it.edit("[a:1, c:1, b:1]"));
    assert_eq!(asked, [("c:1".to_owned(), 3)]);
}

#[test]
fn an_edit_takes_effect_while_the_registry_of_all_other_images_is_down() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 2);
    simulation.unavailable = ["a:1".to_owned(), "b:1".to_owned()].into();
    simulation.edit("[a:1, b:1, c:1]");
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1", "c:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn only_moved_tags_are_pulled_again() {
    let mut simulation = Simulation::new("{images: [a:1, b:1], refresh: {every: 1h}}", 2);
    simulation.tags = [("a:1".to_owned(), digest('a')), ("b:1".to_owned(), digest('b'))].into();
    simulation.settle();
    simulation.tags.insert("a:1".to_owned(), digest('c'));
    simulation.request("now");
    simulation.settle();
    assert_eq!(newest(&simulation).revision(), 2);
    assert_eq!(newest(&simulation).pulled_always.names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(simulation.asked["b:1"], 2 + 1, "two nodes in the first rollout, and one tag check");
}

#[test]
fn a_mode_or_a_request_can_pull_every_tag_again() {
    let mut simulation = Simulation::settled("{images: [a:1, b:1], refresh: {every: 1h, mode: Always}}", 2);
    let asked = asked_since(&mut simulation, |it| it.request("now"));
    assert_eq!(asked, [("a:1".to_owned(), 2), ("b:1".to_owned(), 2)]);
}

#[test]
fn the_pull_policy_of_the_list_is_respected() {
    let list = |more: &str| {
        format!("[{{image: a:1, imagePullPolicy: IfNotPresent}}, {{image: b:1, imagePullPolicy: Always}}{more}]")
    };
    let mut simulation = Simulation::settled(&list(""), 2);
    assert_eq!(newest(&simulation).pulled_always.names().collect::<Vec<_>>(), ["b"]);
    let asked = asked_since(&mut simulation, |it| it.edit(&list(", c:1")));
    assert_eq!(asked, [("b:1".to_owned(), 2), ("c:1".to_owned(), 2)]);
}

#[test]
fn an_image_that_exists_on_nodes_only_is_held_and_never_checked() {
    let mut simulation = Simulation::new("[{image: a:1, imagePullPolicy: IfNotPresent}]", 1);
    simulation.unavailable.insert("a:1".to_owned());
    simulation.disks.insert(("n0".to_owned(), "a:1".to_owned()), digest('a'));
    simulation.settle();
    simulation.request("now");
    simulation.settle();
    assert_eq!((simulation.held_on("n0"), simulation.tag_checks_made), (["a:1"].into(), 0));
}

#[test]
fn a_node_that_has_not_tried_an_image_prevents_carrying_it_over() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.nodes.push(node(2));
    simulation.edit("[a:1, b:1]");
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    assert_eq!(newest(&simulation).pulled_always.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn nodes_that_cannot_run_the_pod_do_not_prevent_carrying_images_over() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.nodes[1].ready = false;
    simulation.nodes.push(Node { unschedulable: true, ..node(3) });
    simulation.capacity.insert("n4".to_owned(), 0);
    simulation.nodes.push(node(4));
    simulation.place_pods();
    simulation.edit("[a:1, b:1]");
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    assert_eq!(newest(&simulation).pulled_always.names().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn an_edit_during_the_rollout_of_a_moved_tag_leaves_no_node_outdated() {
    for failing in [BTreeSet::new(), BTreeSet::from(["a:1".to_owned()])] {
        let mut simulation = Simulation::new("{images: [a:1], refresh: {every: 1h, mode: Always}}", 3);
        simulation.tags.insert("a:1".to_owned(), digest('a'));
        simulation.settle();
        simulation.tags.insert("a:1".to_owned(), digest('b'));
        simulation.request("now");
        simulation.act();
        simulation.place_pods();
        // One node has the new digest; the others do not have it yet, or could not get it.
        let (mut first, mut others) = (simulation.clone(), simulation.clone());
        first.pull();
        others.unavailable = failing.clone();
        if !failing.is_empty() {
            others.pull();
        }
        simulation.disks = others.disks;
        simulation.pods = first
            .pods
            .iter()
            .zip(&others.pods)
            .map(|(pulled, other)| if pulled.node == "n0" { pulled } else { other })
            .cloned()
            .collect();
        simulation.unavailable = failing;
        simulation.edit("{images: [a:1, c:1], refresh: {every: 1h, mode: Always}}");
        simulation.pass(SignedDuration::from_secs(1));
        simulation.act();
        simulation.place_pods();
        simulation.pull();
        simulation.unavailable.clear();
        simulation.settle();
        for pod in &simulation.pods {
            assert_eq!(pod.containers[0].image_id, digest('b'), "on {}", pod.node);
        }
        assert_eq!(simulation.daemon_sets.len(), 1);
    }
}

#[test]
fn a_rollout_that_carries_images_over_answers_no_request_and_postpones_no_refresh() {
    let mut simulation = Simulation::at("2026-03-01T12:00:00Z", "{images: [a:1], refresh: {every: 1h}}", 2);
    simulation.settle();
    simulation.pass(SignedDuration::from_mins(50));
    simulation.edit("{images: [a:1, b:1], refresh: {every: 1h}}");
    simulation.settle();
    assert_eq!(simulation.tag_checks_made, 0);
    simulation.pass(SignedDuration::from_mins(10));
    simulation.settle();
    assert_eq!(simulation.tag_checks_made, 1, "an hour after the tags were resolved");
    simulation.edit("{images: [a:1, b:1, c:1], refresh: {every: 1h}}");
    simulation.request("now");
    simulation.settle();
    assert_eq!(simulation.tag_checks_made, 2);
    assert_eq!(simulation.created, 3);
}

#[test]
fn a_generation_without_the_annotation_pulls_everything_always() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 1);
    let annotations = simulation.daemon_sets[0].metadata.annotations.as_mut().expect("annotations");
    annotations.remove(labels::PULLED_ALWAYS);
    let generation = newest(&simulation);
    assert_eq!(generation.pulled_always.names().collect::<Vec<_>>(), ["a", "b"]);
    assert!(generation.record.is_some() && simulation.plan().actions.is_empty());
}

/// Whether every node has tried an image, with a look at all pods for it: no try is one that failed where another generation has
/// the image on the disk.
fn is_tried_everywhere(context: &Context, newest: &Generation, image: &str) -> bool {
    let all = || context.coverage.pods_of(context.list.label);
    let older = |pod: &CoveringPod| {
        let mut others = all().filter(|it| it.node == pod.node && *it.generation != *newest.name);
        others.any(|it| it.images.iter().any(|it| *it.reference == *image && it.state.is_on_disk()))
    };
    let is_tried = |pod: &CoveringPod| {
        pod.images.iter().filter(|it| *it.reference == *image).all(|it| match it.state {
            ImageState::Waiting | ImageState::Pulling | ImageState::Interrupted { .. } => false,
            ImageState::Failed { .. } => !older(pod),
            ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. } => true,
        })
    };
    all().filter(|it| *it.generation == *newest.name).all(is_tried)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_every_node_has_tried_is_what_a_look_at_all_pods_for_each_image_finds(
        states in prop::collection::vec(
            prop::sample::select(vec![State::Waiting, State::Failed, State::Failed, State::Running, State::Running]), 12,
        ),
    ) {
        let mut simulation = Simulation::settled("{images: [a:1, b:1, c:1], refresh: {every: 1h, mode: Always}}", 2);
        simulation.request("now");
        simulation.act();
        simulation.place_pods();
        let containers = simulation.pods.iter_mut().flat_map(|pod| &mut pod.containers);
        containers.zip(states).for_each(|(container, state)| container.state = state);
        simulation.inspect(|context| {
            let newest = context.generations.iter().max_by_key(|it| it.revision()).expect("a generation");
            let group = &context.list.config.groups[0];
            let none = BTreeSet::new();
            let asked = for_next_generation(context, group, Some(newest), Resolve::Moved(&none));
            for image in &group.images {
                let tried = is_tried_everywhere(context, newest, image.reference.as_str());
                prop_assert_eq!(asked.contains(image.name.as_str()), !tried, "{}", image.reference);
            }
            Ok(())
        })?;
    }
}
