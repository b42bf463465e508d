//! The plan of a group with several shards: users see one group.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::super::simulation::{Simulation, State, alter, generation, name};
use super::super::tag_check::{causes, checked, checks, findings, moved};
use super::super::waits_for;
use crate::naming::labels;
use crate::plan::{Action, Finding, Generation, RolloutCause, Waiting};

/// A list of 10 images, 3 in a pod, beside a short group.
fn list(images: &[&str], rest: &str) -> String {
    format!("{{images: [{}], imagesPerPod: 3{rest}}}", images.join(", "))
}

const TEN: [&str; 10] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1", "i:1", "j:1"];

fn generations(simulation: &Simulation) -> Vec<Generation> {
    simulation.daemon_sets.iter().filter_map(generation).collect()
}

/// The DaemonSet that has the image.
fn with(simulation: &Simulation, image: &str) -> String {
    let mut all = generations(simulation).into_iter().filter(|it| it.images.values().any(|it| it == image));
    all.next().expect("a generation").name
}

/// What is reported until nothing changes any more.
fn reported_while_settling(simulation: &mut Simulation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for _ in 0..30 {
        let plan = simulation.step();
        findings.extend(plan.condition_reports.into_iter().flat_map(|report| report.findings));
    }
    findings
}

fn names(simulation: &Simulation) -> BTreeSet<String> {
    simulation.names().into_iter().collect()
}

#[test]
fn each_shard_has_a_daemon_set_of_its_own_and_an_edit_replaces_one() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 3);
    assert_eq!(simulation.held_on("n0").len(), 10);
    let shards: Vec<String> = simulation
        .daemon_sets
        .iter()
        .map(|it| it.metadata.labels.as_ref().expect("labels")[labels::SHARD].clone())
        .collect();
    assert_eq!(shards, ["0", "1", "2", "3"]);
    let mut edited = TEN;
    edited[4] = "e:2";
    let before = names(&simulation);
    simulation.edit(&list(&edited, ""));
    simulation.settle();
    let after = names(&simulation);
    assert_eq!((after.len(), before.intersection(&after).count()), (4, 3));
    assert!(simulation.held_on("n0").contains("e:2") && !simulation.held_on("n0").contains("e:1"));
}

#[test]
fn a_group_that_is_split_keeps_its_images_until_the_shards_hold_them() {
    let mut simulation = Simulation::settled(&format!("[{}]", TEN.join(", ")), 2);
    assert_eq!(simulation.names().len(), 1);
    simulation.edit(&list(&TEN, ""));
    simulation.unavailable.insert("j:1".to_owned());
    simulation.disks.clear();
    for _ in 0..20 {
        simulation.step();
        assert_eq!(simulation.held_on("n0").len(), 10);
    }
    simulation.unavailable.clear();
    simulation.settle();
    assert_eq!((simulation.held_on("n0").len(), simulation.names().len()), (10, 4));
}

#[test]
fn the_rollout_of_a_group_is_reported_once_when_its_last_shard_is_complete() {
    let mut simulation = Simulation::new(&list(&TEN, ""), 3);
    let ends = |findings: Vec<Finding>| {
        let mut ends = Vec::new();
        for finding in findings {
            if let Finding::RolloutComplete { group, images, nodes, .. } = finding {
                ends.push((group, images, nodes));
            }
        }
        ends
    };
    assert_eq!(ends(reported_while_settling(&mut simulation)), [("default".to_owned(), 10, 3)]);
    let mut edited = TEN;
    (edited[0], edited[9]) = ("a:2", "j:2");
    simulation.edit(&list(&edited, ""));
    simulation.unavailable.insert("j:2".to_owned());
    assert_eq!(ends(reported_while_settling(&mut simulation)), []);
    simulation.unavailable.clear();
    assert_eq!(ends(reported_while_settling(&mut simulation)), [("default".to_owned(), 10, 3)]);
}

#[test]
fn what_all_shards_have_in_common_is_reported_once() {
    let mut simulation = Simulation::new(&list(&TEN, ", nodeSelector: {zone: nowhere}"), 3);
    let findings = reported_while_settling(&mut simulation);
    assert_eq!(findings, [Finding::NoNodes { group: "default".to_owned() }]);
    let mut simulation = Simulation::new(&list(&TEN, ""), 3);
    simulation.pods_refused = true;
    simulation.settle();
    simulation.pass(SignedDuration::from_mins(30));
    let findings = reported_while_settling(&mut simulation);
    assert!(matches!(&findings[..], [Finding::PodsRefused { nodes, .. }] if nodes.len() == 3), "{findings:?}");
}

#[test]
fn a_failing_image_is_one_of_those_of_the_group() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 2);
    let daemon_set = with(&simulation, "e:1");
    simulation.set(&daemon_set, None, "e:1", State::Failed);
    let mut findings = Vec::new();
    for _ in 0..10 {
        findings.extend(simulation.act().condition_reports.into_iter().flat_map(|report| report.findings));
        simulation.pass(SignedDuration::from_mins(1));
    }
    let failing = findings.iter().find_map(|finding| match finding {
        Finding::ImagesFailing { count, of, images, .. } => Some((*count, *of, images[0].reference.as_str())),
        _ => None,
    });
    assert_eq!(failing, Some((1, 10, "e:1")));
}

#[test]
fn a_shard_that_has_to_wait_keeps_no_other_from_rolling_out() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 2);
    simulation.nodes[1].ready = false;
    let mut images = TEN;
    for image in ["a:2", "a:3", "a:4", "a:5"] {
        images[0] = image;
        simulation.edit(&list(&images, ""));
        (0..5).for_each(|_| drop(simulation.step()));
    }
    images[9] = "j:2";
    simulation.edit(&list(&images, ""));
    (0..5).for_each(|_| drop(simulation.step()));
    assert!(simulation.held_on("n0").contains("j:2"));
}

#[test]
fn tag_checks_are_as_small_as_pods_and_those_of_all_shards_come_together() {
    const TWELVE: [&str; 12] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1", "i:1", "j:1", "k:1", "l:1"];
    let mut simulation = Simulation::new(&list(&TWELVE, ", refresh: {every: 1h}"), 2);
    moved(&mut simulation, &TWELVE.map(|image| (image, 1)));
    simulation.settle();
    simulation.pass(SignedDuration::from_mins(30));
    // A new shard begins half an hour later than the others.
    let longer = [&TWELVE[..], &["m:1"]].concat();
    moved(&mut simulation, &[("m:1", 1)]);
    simulation.edit(&list(&longer, ", refresh: {every: 1h}"));
    simulation.settle();
    simulation.pass(SignedDuration::from_mins(25));
    assert!(checks(&simulation.plan()).is_empty());
    simulation.pass(SignedDuration::from_mins(6));
    let plan = simulation.act();
    let sizes: Vec<usize> = checks(&plan)
        .iter()
        .map(|check| check.spec.as_ref().and_then(|it| it.template.spec.as_ref()).expect("a pod").containers.len())
        .collect();
    assert_eq!(sizes, [3, 3, 3, 3, 1]);
    let actions: Vec<Action> = checked(&mut simulation);
    assert_eq!(causes(&actions), []);
    simulation.pass(SignedDuration::from_mins(58));
    assert!(checks(&simulation.plan()).is_empty(), "each has been checked");
}

#[test]
fn a_tag_that_moves_replaces_the_daemon_set_of_its_shard() {
    let mut simulation = Simulation::new(&list(&TEN, ", refresh: {every: 1h}"), 2);
    moved(&mut simulation, &TEN.map(|image| (image, 1)));
    simulation.settle();
    simulation.pass(SignedDuration::from_mins(61));
    moved(&mut simulation, &[("f:1", 2)]);
    let actions = checked(&mut simulation);
    assert_eq!(causes(&actions), [RolloutCause::Moved { images: 1 }]);
    assert!(matches!(findings(&actions)[..], [Finding::TagsMoved { .. }]));
}

#[test]
fn shards_that_another_client_changed_are_restored() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 2);
    // The current version of the list, and one that is no longer in effect but whose images are needed.
    simulation.unavailable.insert("d:1".to_owned());
    simulation.disks.clear();
    let mut edited = TEN;
    edited[4] = "e:2";
    simulation.edit(&list(&edited, ""));
    (0..5).for_each(|_| drop(simulation.step()));
    assert_eq!(simulation.names().len(), 5);
    let originals: Vec<_> = simulation.daemon_sets.iter().map(|it| it.spec.clone()).collect();
    simulation.daemon_sets.iter_mut().for_each(|it| alter(it, "kubectl-patch"));
    simulation.act();
    assert_eq!(simulation.daemon_sets.iter().map(|it| it.spec.clone()).collect::<Vec<_>>(), originals);
    assert_eq!(simulation.restored, 5);
}

/// Eight images, pulled by so many pods.
fn pulled_by(pods: usize, last: &str) -> String {
    format!("{{images: [a:1, b:1, c:1, d:1, e:1, f:1, g:1, {last}], parallelPulls: {pods}}}")
}

/// What waits when the controller acts on an edit.
fn edited(simulation: &mut Simulation, list: &str) -> Vec<Waiting> {
    simulation.edit(list);
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act().waiting
}

#[test]
fn shards_that_are_joined_count_as_one_generation_that_moves() {
    let mut simulation = Simulation::settled(&pulled_by(4, "h:1"), 2);
    for last in ["h:1", "h:2"] {
        assert_eq!(edited(&mut simulation, &pulled_by(1, last)), [], "{last} does not wait for the slowest node");
        simulation.place_pods();
        simulation.pull();
    }
    assert_eq!(simulation.names().len(), 6);
    assert_eq!(edited(&mut simulation, &pulled_by(1, "h:3")), [waits_for(3, false)]);
    simulation.settle();
    assert_eq!((simulation.names().len(), simulation.held_on("n0").len()), (1, 8));
    assert!(simulation.held_on("n0").contains("h:3"));
}

#[test]
fn each_former_name_of_a_group_with_shards_counts_as_a_generation_that_moves() {
    let named = |name: &str, rest: &str| {
        format!("groups: [{{name: {name}, images: [a:1, b:1, c:1, d:1{rest}], parallelPulls: 2}}]")
    };
    let mut simulation = Simulation::settled(&named("p", ""), 2);
    assert_eq!(edited(&mut simulation, &named("q", "")), []);
    simulation.place_pods();
    simulation.pull();
    assert_eq!(edited(&mut simulation, &named("r", "")), []);
    let waiting = edited(&mut simulation, &named("r", ", e:1"));
    assert!(matches!(&waiting[..], [Waiting::Generations { moving: 3, .. }]), "{waiting:?}");
}

/// A list of these many images, of which two are in a pod, pulled by so many pods.
fn two_in_a_pod(images: std::ops::Range<usize>, parallel: usize) -> String {
    format!("{{images: [{}], imagesPerPod: 2, parallelPulls: {parallel}}}", TEN[images].join(", "))
}

#[test]
fn an_edit_of_images_after_a_change_of_the_parallel_pulls_that_changed_nothing_leaves_other_shards_alone() {
    let mut simulation = Simulation::settled(&two_in_a_pod(0..10, 1), 2);
    let created = simulation.created;
    simulation.edit(&two_in_a_pod(0..10, 4));
    simulation.settle();
    assert_eq!(simulation.created, created, "five pods are enough for four");
    assert!(generations(&simulation).iter().all(|it| it.parallel_pulls == 4));
    simulation.edit(&two_in_a_pod(0..4, 4));
    simulation.settle();
    assert_eq!((simulation.created, simulation.names().len()), (created, 2));

    let mut simulation = Simulation::settled(&two_in_a_pod(0..7, 4), 2);
    let created = simulation.created;
    simulation.edit(&two_in_a_pod(0..7, 1));
    simulation.settle();
    assert_eq!(simulation.created, created, "as many are needed for their number");
    assert!(generations(&simulation).iter().all(|it| it.parallel_pulls == 1));
    simulation.edit(&two_in_a_pod(1..7, 1));
    simulation.settle();
    assert_eq!((simulation.created, simulation.names().len()), (created + 1, 4), "shards are not joined");
}

#[test]
fn a_first_shard_is_restored_although_one_pod_could_hold_the_whole_group_by_now() {
    let list = |e: &str, per_pod: usize| format!("{{images: [a:1, b:1, c:1, d:1, {e}, f:1], imagesPerPod: {per_pod}}}");
    let mut simulation = Simulation::settled(&list("e:1", 3), 2);
    simulation.edit(&list("e:1", 100));
    simulation.settle();
    assert_eq!(simulation.names().len(), 2, "shards are not joined");
    // The image of the first shard moves on in the list, and its node is lost meanwhile.
    simulation.nodes[0].ready = false;
    let edited = list("e:1", 100).replace("a:1", "a:2");
    simulation.edit(&edited);
    simulation.settle();
    // The version that the first shard was created from is no longer stored.
    simulation.kept.truncate(1);
    let old = simulation.names()[0].clone();
    let original = simulation.stored(&old).spec.clone();
    alter(simulation.stored(&old), "kubectl-patch");
    simulation.act();
    assert_eq!(simulation.stored(&old).spec, original);
}

#[test]
fn a_refresh_in_the_mode_recreate_replaces_all_shards() {
    let mut simulation = Simulation::settled(&list(&TEN, ", refresh: {every: 1h, mode: Recreate}"), 2);
    let before = names(&simulation);
    simulation.pass(SignedDuration::from_mins(61));
    simulation.settle();
    assert!(names(&simulation).is_disjoint(&before));
    assert_eq!(simulation.daemon_sets.iter().map(name).count(), 4);
}
