//! Nodes that a group no longer selects while the controller may not read nodes.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Taint;
use serde_json::json;

use super::retiring::deleted;
use super::simulation::{Simulation, State, as_live, node};
use crate::naming::labels;
use crate::plan::patch::recount_patch;
use crate::plan::scoping_down::GRACE;
use crate::plan::{Action, Plan};

const EVERYWHERE: &str = "";
const ZONE_A: &str = ", nodeSelector: {zone: a}";
const ZONE_B: &str = ", nodeSelector: {zone: b}";
/// Half of zone a.
const RACK: &str = ", nodeSelector: {zone: a, rack: r}";

/// A list with one group, with these images on these nodes.
fn group(images: &str, place: &str) -> String {
    format!("groups: [{{name: p, images: [{images}]{place}}}]")
}

/// Eight nodes that the controller may not read, with all images of a settled list.
fn settled(images_yaml: &str) -> Simulation {
    let mut simulation = Simulation::new(images_yaml, 8);
    simulation.may_read_nodes = false;
    for index in [0, 4] {
        simulation.nodes[index].labels.insert("rack".to_owned(), "r".to_owned());
    }
    simulation.settle();
    simulation
}

/// The same after an edit whose generation has all of its pods, none of which has pulled anything. All recounts are
/// done.
fn edited(from: &str, to: &str) -> Simulation {
    let mut simulation = settled(from);
    simulation.edit(to);
    simulation.pass(SignedDuration::from_secs(1));
    for _ in 0..2 {
        simulation.act();
        simulation.place_pods();
    }
    simulation
}

fn taint(simulation: &mut Simulation, index: usize) {
    let taint = Taint { key: "gpu".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    simulation.nodes[index].taints.push(taint);
    simulation.place_pods();
}

/// The nodes that run any pod of the list.
fn held(simulation: &Simulation) -> Vec<&str> {
    let nodes = simulation.nodes.iter().map(|node| node.name.as_str());
    nodes.filter(|node| !simulation.held_on(node).is_empty()).collect()
}

#[test]
fn repeated_edits_that_shrink_a_group_release_nodes_without_waiting() {
    let mut simulation = settled(&group("a:1", EVERYWHERE));
    for (images, place, nodes) in [
        ("a:1, b:1", ZONE_A, vec!["n0", "n2", "n4", "n6"]),
        ("a:1, b:2", RACK, vec!["n0", "n4"]),
        ("a:1, b:3", ", nodeSelector: {rack: none}", vec![]),
        ("a:1, b:4", ZONE_B, vec!["n1", "n3", "n5", "n7"]),
    ] {
        simulation.edit(&group(images, place));
        simulation.settle();
        assert_eq!(held(&simulation), nodes, "{place}");
        assert_eq!(simulation.daemon_sets.len(), 1, "{place}");
    }
    assert_eq!(simulation.held_on("n1"), ["a:1", "b:4"].into());
}

#[test]
fn a_fourth_edit_in_a_row_starts_a_rollout() {
    let mut simulation = settled(&group("a:1", EVERYWHERE));
    simulation.unavailable.extend(["b:1", "b:2"].map(str::to_owned));
    for (images, place) in [("a:1, b:1", ZONE_A), ("a:1, b:2", RACK), ("a:1, b:3", RACK)] {
        simulation.edit(&group(images, place));
        simulation.settle();
        assert_eq!(simulation.plan().waiting, []);
    }
    assert_eq!(held(&simulation), ["n0", "n4"]);
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:3"].into());
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_node_that_was_tainted_before_the_group_moved_keeps_what_it_holds() {
    let mut simulation = settled(&group("a:1", EVERYWHERE));
    taint(&mut simulation, 0);
    simulation.edit(&group("a:1, b:1", EVERYWHERE));
    simulation.settle();
    simulation.pass(GRACE);
    simulation.settle();
    for (images, place) in [("a:1, b:2", ZONE_A), ("a:1, b:3", RACK), ("a:1, b:4", RACK), ("a:1, b:5", RACK)] {
        simulation.edit(&group(images, place));
        simulation.settle();
        assert_eq!(simulation.plan().waiting, []);
    }
    assert_eq!(held(&simulation), ["n0", "n4"]);
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
    assert_eq!(simulation.held_on("n4"), ["a:1", "b:5"].into());
    assert_eq!(simulation.daemon_sets.len(), 2, "the generation scoped down to n0, and the newest");
}

#[test]
fn a_node_that_is_tainted_when_the_group_moves_keeps_what_it_holds() {
    let mut simulation = settled(&group("a:1", EVERYWHERE));
    taint(&mut simulation, 0);
    for (images, place) in [("a:1, b:1", ZONE_A), ("a:1, b:2", RACK), ("a:1, b:3", RACK), ("a:1, b:4", RACK)] {
        simulation.edit(&group(images, place));
        simulation.settle();
        assert_eq!(simulation.held_on("n0"), ["a:1"].into());
        assert_eq!(simulation.plan().waiting, []);
    }
    assert_eq!(simulation.held_on("n4"), ["a:1", "b:4"].into());
    assert!(simulation.held_on("n2").contains("a:1"), "n2, which the group left, cannot be distinguished from n0");
    assert!(!simulation.held_on("n2").contains("b:1"), "generations created after the taint are not on n0");
    simulation.nodes[0].taints.clear();
    simulation.settle();
    assert_eq!(held(&simulation), ["n0", "n4"]);
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_group_that_no_longer_tolerates_a_taint_is_removed_from_its_nodes() {
    let mut simulation = Simulation::new(&group("a:1", ", tolerations: [{key: gpu, operator: Exists}]"), 4);
    simulation.may_read_nodes = false;
    taint(&mut simulation, 1);
    simulation.settle();
    assert_eq!(held(&simulation), ["n0", "n1", "n2", "n3"]);
    simulation.edit(&group("a:1", EVERYWHERE));
    simulation.settle();
    assert_eq!(held(&simulation), ["n0", "n2", "n3"]);
}

#[test]
fn an_adopted_daemon_set_is_removed_from_nodes_that_the_list_does_not_select() {
    let mut simulation = Simulation::new(&group("a:1", ZONE_A), 4);
    simulation.may_read_nodes = false;
    simulation.adopt_kip_daemon_set(&["a:1"]);
    assert_eq!(held(&simulation).len(), 4);
    simulation.settle();
    assert_eq!(held(&simulation), ["n0", "n2"]);
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_taint_on_a_node_of_the_newest_generation_does_not_hide_a_missing_pod() {
    let mut simulation = edited(&group("a:1", EVERYWHERE), &group("a:1, b:1", ZONE_A));
    let new = simulation.names()[1].clone();
    simulation.pull();
    taint(&mut simulation, 0);
    // The number of pods is right, but one is on n0, where there should be none, and none is on n2.
    simulation.pods.retain(|pod| pod.daemon_set != new || pod.node != "n2");
    simulation.nodes[0].taints.clear();
    assert!(deleted(&simulation).is_empty());
}

#[test]
fn nothing_is_released_before_the_newest_generation_has_all_of_its_pods() {
    let mut simulation = settled(&group("a:1", EVERYWHERE));
    simulation.pods_refused = true;
    simulation.edit(&group("a:1, b:1", ", nodeSelector: {rack: r}"));
    simulation.settle();
    simulation.pass(GRACE);
    simulation.settle();
    assert_eq!(held(&simulation).len(), 8);
    simulation.pods_refused = false;
    simulation.settle();
    assert_eq!(held(&simulation), ["n0", "n4"]);
}

#[test]
fn an_outdated_status_is_ignored() {
    let mut simulation = edited(&group("a:1", EVERYWHERE), &group("a:1", ZONE_A));
    simulation.pull();
    assert_eq!(deleted(&simulation), [simulation.names()[0].as_str()]);
    for index in [0, 1] {
        let mut later = simulation.clone();
        let status = later.daemon_sets[index].status.as_mut().expect("a status");
        status.observed_generation = None;
        assert!(deleted(&later).is_empty(), "{index}");
    }
}

#[test]
fn an_older_generation_is_recounted_only_when_the_newest_is_on_other_nodes() {
    let mut simulation = edited(&group("a:1, b:1", EVERYWHERE), &group("a:1", ZONE_A));
    let counts = |plan: &Plan| plan.actions.iter().filter(|it| matches!(it, Action::Recount { .. })).count();
    simulation.edit(&group("a:1, b:1", ZONE_A));
    assert_eq!(counts(&simulation.plan()), 0);
    let mut joined = node(8);
    joined.labels.insert("rack".to_owned(), "r".to_owned());
    simulation.nodes.push(joined);
    simulation.place_pods();
    let old = simulation.names()[0].clone();
    simulation.set(&old, Some("n8"), "a:1", State::Running);
    assert_eq!(counts(&simulation.act()), 1);
    assert_eq!(counts(&simulation.act()), 0, "before the recount");
    simulation.place_pods();
    assert_eq!(counts(&simulation.act()), 0);
}

#[test]
fn a_recount_does_not_hide_somebody_elses_change() {
    let mut simulation = settled(&group("a:1", EVERYWHERE));
    let live = &mut simulation.daemon_sets[0];
    let patch = recount_patch(&as_live(live), &["x".to_owned(), "y".to_owned()].into());
    assert_eq!(patch["metadata"]["annotations"], json!({labels::COUNTED_FOR: "x y", labels::SPEC_GENERATION: "2"}));
    live.metadata.generation = Some(2);
    let altered = recount_patch(&as_live(live), &["x".to_owned()].into());
    assert_eq!(altered["metadata"]["annotations"][labels::SPEC_GENERATION], "2", "the patch increments it to 3");
    let limits = [None, Some(9), Some(10)].map(|limit| {
        live.spec.as_mut().expect("a spec").revision_history_limit = limit;
        recount_patch(&as_live(live), &["x".to_owned()].into())["spec"]["revisionHistoryLimit"].as_i64()
    });
    assert_eq!(limits, [Some(9), Some(10), Some(9)], "it changes every time");
}

#[test]
fn somebody_elses_change_of_the_newest_generation_releases_nothing() {
    let mut simulation = edited(&group("a:1", EVERYWHERE), &group("a:1", ZONE_A));
    let altered = &mut simulation.daemon_sets[1];
    altered.metadata.generation = Some(2);
    let template = &mut altered.spec.as_mut().expect("a spec").template;
    template.spec.as_mut().expect("a pod").node_selector = Some([("none".to_owned(), "such".to_owned())].into());
    simulation.place_pods();
    assert!(simulation.pods.iter().all(|pod| pod.daemon_set != simulation.names()[1] || pod.deleting));
    assert!(deleted(&simulation).is_empty());
}

#[test]
fn a_generation_with_unknown_placement_is_kept() {
    let mut simulation = edited(&group("a:1", EVERYWHERE), &group("a:1", ZONE_A));
    simulation.pull();
    let annotations = simulation.daemon_sets[0].metadata.annotations.as_mut().expect("annotations");
    annotations.remove(labels::PLACEMENT);
    assert!(deleted(&simulation).is_empty());
}

#[test]
fn an_edit_that_selects_a_node_again_keeps_what_it_holds() {
    let mut simulation = edited(&group("a:1", EVERYWHERE), &group("a:1", ZONE_A));
    simulation.pull();
    simulation.edit(&group("a:1, b:1", EVERYWHERE));
    assert!(deleted(&simulation).is_empty(), "the newest generation precedes the edit");
}

#[test]
fn a_node_that_another_group_selects_keeps_its_images() {
    let q = |images: &str, place: &str| format!("{{name: q, images: [{images}]{place}}}");
    let both = |place: &str| format!("groups: [{{name: p, images: [a:1]{ZONE_A}}}, {}]", q("b:1, a:1", place));
    let mut simulation = edited(&group("a:1", EVERYWHERE), &both(ZONE_B));
    let (old, new) = (simulation.names()[0].clone(), simulation.names()[2].clone());
    simulation.pull();
    assert!(deleted(&simulation).is_empty(), "q has only pulled b:1 so far");
    simulation.pull();
    assert_eq!(deleted(&simulation), [old.as_str()]);
    simulation.set(&new, Some("n3"), "a:1", State::Failed);
    assert!(deleted(&simulation).is_empty(), "q wants it on n3 but has not pulled it");
    // n3 is not in the half of zone a.
    let mut simulation = edited(&group("a:1", EVERYWHERE), &both(RACK));
    let old = simulation.names()[0].clone();
    simulation.pull();
    assert_eq!(deleted(&simulation), [old.as_str()]);
}
