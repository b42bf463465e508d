//! Where the holder is mounted: no author of an image can know that beforehand.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::DaemonSet;

use super::simulation::{Simulation, alter, generation};
use super::tag_check::{arrived, checks};
use crate::naming::labels;
use crate::plan::Action;
use crate::plan::generation::holder_folder::Seed;

/// The folder that each container of the DaemonSet mounts, and that each command for the holder names.
fn folder(daemon_set: &DaemonSet) -> String {
    let pod = daemon_set.spec.clone().and_then(|spec| spec.template.spec).expect("a pod");
    let containers: Vec<_> = pod.init_containers.into_iter().flatten().chain(pod.containers).collect();
    let mounts = containers.iter().flat_map(|it| it.volume_mounts.iter().flatten());
    let mut folders: BTreeSet<String> = mounts.map(|mount| mount.mount_path.clone()).collect();
    let words = containers.iter().flat_map(|it| it.command.iter().chain(&it.args).flatten());
    let programs = words.filter_map(|word| word.strip_suffix("/holder")).filter(|folder| !folder.is_empty());
    let programs: Vec<_> = programs.map(str::to_owned).collect();
    assert_eq!(programs.len(), containers.len(), "the init container installs it, and each other one runs it");
    folders.extend(programs);
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.pop_first().expect("a folder")
}

fn settled(seed: u8) -> Simulation {
    let mut simulation = Simulation::new("[a:1, b:1]", 2);
    simulation.seed = Seed::new([seed; 32]);
    simulation.settle();
    simulation
}

#[test]
fn the_folder_cannot_be_computed_from_the_list() {
    let folders: BTreeSet<String> = (0..9).map(|seed| folder(&settled(seed).daemon_sets[0])).collect();
    assert_eq!(folders.len(), 9);
    assert!(folders.iter().all(|it| it.starts_with("/kube-prepull-") && it.len() >= 14 + 32), "{folders:?}");
}

#[test]
fn each_generation_has_a_folder_of_its_own() {
    let mut simulation = settled(1);
    let mut folders = BTreeSet::from([folder(&simulation.daemon_sets[0])]);
    for edit in ["[a:1, b:2]", "[a:1, b:1]", "[a:1]"] {
        simulation.edit(edit);
        simulation.settle();
        folders.insert(folder(simulation.daemon_sets.last().expect("a generation")));
    }
    assert_eq!(folders.len(), 4, "even with the same images as before");
}

#[test]
fn a_generation_keeps_its_folder_in_another_process() {
    let mut simulation = settled(1);
    let original = simulation.daemon_sets[0].clone();
    simulation.seed = Seed::new([2; 32]);
    assert!(simulation.plan().actions.is_empty());
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    assert!(simulation.act().actions.iter().any(|action| matches!(action, Action::Restore { .. })));
    assert_eq!(simulation.daemon_sets[0].spec, original.spec);
}

#[test]
fn a_generation_whose_folder_was_removed_from_its_annotations_is_replaced() {
    let mut simulation = settled(1);
    simulation.daemon_sets[0].metadata.annotations.get_or_insert_default().remove(labels::HOLDER_FOLDER);
    assert_eq!(generation(&simulation.daemon_sets[0]).and_then(|it| it.record), None);
    simulation.settle();
    assert_eq!(simulation.created, 2);
}

#[test]
fn a_tag_check_has_another_folder_than_its_generation() {
    let mut simulation = arrived("{images: [a:1], refresh: {every: 1h}}", &[("a:1", 1)]);
    simulation.pass(jiff::SignedDuration::from_hours(1));
    let plan = simulation.plan();
    let [check] = checks(&plan)[..] else { panic!("{plan:?}") };
    assert_ne!(folder(check), folder(&simulation.daemon_sets[0]));
    simulation.seed = Seed::new([3; 32]);
    let plan = simulation.plan();
    assert_ne!(folder(checks(&plan)[0]), folder(check), "and nobody can compute it");
}
