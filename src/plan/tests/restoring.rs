//! Undoing changes that another client made.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::PodSpec;
use kube::core::DynamicObject;
use serde_json::{from_value, json, to_value};

use super::owner;
use super::simulation::{Simulation, alter, as_live, name};
use crate::naming::labels;
use crate::plan::generation::FORMAT;
use crate::plan::generation::node_scope::NodeScope;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::restores::{LONGEST_PAUSE, Restores};
use crate::plan::patch::scope_patch;
use crate::plan::patch::strategy_patch;
use crate::plan::restoring::{POD_RETURN_GRACE, restored};
use crate::plan::scoping_down::GRACE;
use crate::plan::{Action, Finding, Generation, Plan};

fn second() -> SignedDuration {
    SignedDuration::from_secs(1)
}

fn restores(plan: &Plan) -> Vec<&DaemonSet> {
    let mut restored = Vec::new();
    for action in &plan.actions {
        if let Action::Restore { daemon_set, .. } = action {
            restored.push(&**daemon_set);
        }
    }
    restored
}

fn read(daemon_set: &DaemonSet) -> Generation {
    Generation::from_metadata(&daemon_set.metadata).expect("a generation")
}

/// A rollout while the first node is not ready, and the generation before it.
fn with_a_retiring_generation() -> (Simulation, DaemonSet) {
    let mut simulation = Simulation::settled("[a:1]", 4);
    simulation.nodes[0].ready = false;
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    let old = simulation.daemon_sets[0].clone();
    (simulation, old)
}

#[test]
fn a_changed_generation_is_restored_to_its_original() {
    let mut simulation = Simulation::settled("{images: [a:1], pullRate: 1}", 2);
    let original = simulation.daemon_sets[0].clone();
    simulation.nodes.clear();
    simulation.pass(SignedDuration::from_mins(5));
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    assert_eq!(read(&simulation.daemon_sets[0]).altered.expect("an alteration").by, ["kubectl-patch"]);
    let plan = simulation.act();
    assert_eq!(restores(&plan).len(), 1, "{plan:?}");
    assert_eq!(simulation.daemon_sets[0].spec, original.spec);
    assert_eq!(read(&simulation.daemon_sets[0]).altered, None);
    assert!(simulation.plan().actions.is_empty(), "once");
}

#[test]
fn a_restore_brings_back_the_pods() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    simulation.place_pods();
    assert!(simulation.held_on("n0").is_empty());
    simulation.settle();
    assert_eq!((simulation.held_on("n0"), simulation.created), (["a:1"].into(), 1), "and no rollout starts");
}

#[test]
fn repeated_changes_are_undone_with_longer_and_longer_pauses() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        simulation.act();
        assert_eq!(simulation.names().len(), 1);
        alter(&mut simulation.daemon_sets[0], "operator");
        let plan = simulation.plan();
        let Some(wake_at) = plan.wake_at.filter(|_| restores(&plan).is_empty()) else {
            pauses.push(0);
            continue;
        };
        pauses.push(wake_at.duration_since(simulation.now).as_secs());
        simulation.restart_controller();
        simulation.now = wake_at - SignedDuration::from_millis(1);
        assert!(simulation.plan().actions.is_empty(), "it is not restored earlier");
        simulation.now = wake_at;
        assert_eq!(restores(&simulation.plan()).len(), 1);
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    simulation.act();
    simulation.pass(3 * LONGEST_PAUSE);
    alter(&mut simulation.daemon_sets[0], "kubectl-edit");
    assert_eq!(restores(&simulation.plan()).len(), 1, "after a quiet period it is restored immediately");
}

#[test]
fn a_clock_that_was_set_back_delays_no_restore() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    for _ in 0..2 {
        alter(&mut simulation.daemon_sets[0], "kubectl-patch");
        assert_eq!(restores(&simulation.act()).len(), 1);
        simulation.jump(-SignedDuration::from_hours(1));
    }
}

#[test]
fn a_change_is_undone_while_a_rollout_waits() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let original = simulation.daemon_sets[0].clone();
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    simulation.edit("[a:1, b:1]");
    let plan = simulation.act();
    assert_eq!(restores(&plan).len(), 1, "the edit has not stood for long enough: {plan:?}");
    assert_eq!(simulation.daemon_sets[0].spec, original.spec);
}

#[test]
fn a_retiring_generation_is_restored_from_a_stored_version_of_the_list() {
    let (mut simulation, old) = with_a_retiring_generation();
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    simulation.act();
    assert_eq!(simulation.daemon_sets[0].spec, old.spec);
    assert_eq!(simulation.names()[0], name(&old));
}

#[test]
fn a_restored_retiring_generation_is_kept_until_its_pods_can_come_back() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.unavailable.insert("b:1".to_owned());
    simulation.edit("[b:1, a:1]");
    simulation.pass(second());
    simulation.act();
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    simulation.place_pods();
    assert!(simulation.held_on("n0").is_empty());
    let plan = simulation.act();
    assert_eq!((restores(&plan).len(), simulation.daemon_sets.len()), (1, 2), "{plan:?}");
    assert!(simulation.plan().actions.is_empty(), "its pods are not there yet: {:?}", simulation.plan());
    simulation.pass(POD_RETURN_GRACE);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
}

#[test]
fn a_restored_generation_without_listed_images_is_deleted_at_once() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("[b:1]");
    simulation.pass(second());
    simulation.act();
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    simulation.act();
    simulation.act();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_changed_generation_does_not_replace_others() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.edit("[a:1, b:1]");
    simulation.pass(second());
    simulation.act();
    for _ in 0..3 {
        simulation.place_pods();
        simulation.pull();
    }
    assert!(matches!(simulation.plan().actions.as_slice(), [Action::Delete { .. }]), "{:?}", simulation.plan());
    alter(&mut simulation.daemon_sets[1], "kubectl-patch");
    assert!(matches!(simulation.act().actions.as_slice(), [Action::Restore { .. }]), "its pods are being deleted");
}

#[test]
fn a_scoped_down_generation_is_restored_with_its_scope() {
    let (mut simulation, _) = with_a_retiring_generation();
    simulation.pass(GRACE);
    simulation.settle();
    let scoped_down = simulation.daemon_sets[0].clone();
    assert_eq!(read(&scoped_down).node_scope, NodeScope::Only(["n0".to_owned()].into()));
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    assert_eq!(restores(&simulation.act()).len(), 1);
    assert_eq!(simulation.daemon_sets[0].spec, scoped_down.spec);
    assert_eq!(read(&simulation.daemon_sets[0]).node_scope, read(&scoped_down).node_scope);
}

#[test]
fn scoping_down_waits_for_the_restore_and_does_not_hide_the_change() {
    let (mut simulation, _) = with_a_retiring_generation();
    simulation.pass(GRACE);
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    let plan = simulation.act();
    assert!(matches!(plan.actions.as_slice(), [Action::Restore { .. }]), "{plan:?}");
    assert!(matches!(simulation.act().actions.as_slice(), [Action::ScopeDown { .. }]));
    assert_eq!(read(&simulation.daemon_sets[0]).altered, None);
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    let again = Action::ScopeDown {
        name: simulation.names()[0].clone(),
        uid: String::new(),
        node_scope: NodeScope::Only(BTreeSet::new()),
        reason: crate::plan::decision::ScopeDownReason::NeededOnFew,
    };
    simulation.apply(&again);
    assert!(read(&simulation.daemon_sets[0]).altered.is_some());
}

#[test]
fn a_sealed_generation_is_restored_as_sealed() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 2);
    let seal = |simulation: &mut Simulation| {
        simulation.apply(&Action::Seal {
            name: simulation.names()[0].clone(),
            uid: String::new(),
            images: ["a".to_owned()].into(),
            pulled_always: PulledAlways::of(["b"]),
        });
    };
    seal(&mut simulation);
    let sealed = simulation.daemon_sets[0].clone();
    assert_eq!(read(&sealed).altered, None);
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    assert_eq!(restores(&simulation.act()).len(), 1);
    assert_eq!(simulation.daemon_sets[0].spec, sealed.spec);
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    seal(&mut simulation);
    assert!(read(&simulation.daemon_sets[0]).altered.is_some(), "sealing does not hide the change");
}

/// A generation whose template is of an earlier format.
fn of_format(format: u32) -> Simulation {
    let mut simulation = Simulation::settled("[a:1, b:1]", 2);
    let daemon_set = &mut simulation.daemon_sets[0];
    let annotations = daemon_set.metadata.annotations.get_or_insert_default();
    annotations.insert(labels::FORMAT.to_owned(), format.to_string());
    annotations.remove(labels::HOLDER_FOLDER);
    let pod = pod_of(daemon_set);
    for container in pod.init_containers.iter_mut().flatten().chain(&mut pod.containers) {
        container.working_dir = None;
        let words = container.command.iter_mut().chain(&mut container.args).flatten();
        words
            .filter(|word| word.ends_with("/holder") && *word != "/holder")
            .for_each(|word| *word = FORMER_HOLDER.into());
        container.volume_mounts.iter_mut().flatten().for_each(|mount| mount.mount_path = "/kube-prepull".to_owned());
    }
    if format == 2 {
        pod.containers.iter_mut().for_each(|container| container.env = None);
        for container in pod.init_containers.iter_mut().flatten() {
            container.termination_message_policy = None;
            container.env.iter_mut().for_each(|env| env.retain(|variable| variable.name == "NODE_NAME"));
        }
    }
    simulation
}

/// The program of a holder in templates of the formats 2 and 3.
const FORMER_HOLDER: &str = "/kube-prepull/holder";

fn pod_of(daemon_set: &mut DaemonSet) -> &mut PodSpec {
    daemon_set.spec.get_or_insert_default().template.spec.get_or_insert_default()
}

/// How many containers set this variable to that value.
fn setting(daemon_set: &mut DaemonSet, variable: &str, value: &str) -> usize {
    let pod = pod_of(daemon_set);
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let variables = containers.flat_map(|container| container.env.iter().flatten());
    variables.filter(|it| it.name == variable && it.value.as_deref() == Some(value)).count()
}

#[test]
fn a_generation_of_a_former_format_is_left_alone_and_restored_as_it_was_built() {
    for mut simulation in [of_format(2), of_format(3)] {
        let original = simulation.daemon_sets[0].clone();
        assert!(simulation.plan().actions.is_empty(), "an upgrade changes nothing");
        alter(&mut simulation.daemon_sets[0], "kubectl-patch");
        assert_eq!(restores(&simulation.act()).len(), 1);
        assert_eq!(simulation.daemon_sets[0].spec, original.spec);
        assert_eq!(read(&simulation.daemon_sets[0]).record, read(&original).record);
    }
}

#[test]
fn the_next_rollout_after_an_upgrade_keeps_devices_out_of_every_container() {
    let mut simulation = of_format(2);
    assert_eq!(setting(&mut simulation.daemon_sets[0], "NVIDIA_VISIBLE_DEVICES", "void"), 0);
    simulation.edit("[a:1, b:1, c:1]");
    simulation.settle();
    assert_eq!(simulation.created, 2);
    let newest = simulation.daemon_sets.last_mut().expect("a generation");
    assert_eq!(setting(newest, "NVIDIA_VISIBLE_DEVICES", "void"), 4, "three holders, and the init container");
    assert_eq!(read(newest).record.expect("a record").format, FORMAT);
}

/// A generation of a version of the list that is no longer stored.
fn forgotten() -> Simulation {
    let (mut simulation, _) = with_a_retiring_generation();
    simulation.kept.clear();
    simulation
}

/// A generation that another version of the controller built.
fn of_another_version() -> Simulation {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let annotations = simulation.daemon_sets[0].metadata.annotations.get_or_insert_default();
    annotations.insert(labels::FORMAT.to_owned(), (FORMAT + 1).to_string());
    simulation
}

#[test]
fn a_generation_that_cannot_be_rebuilt_gets_its_strategy_reset_and_is_reported_once() {
    for mut simulation in [forgotten(), of_another_version()] {
        alter(&mut simulation.daemon_sets[0], "kubectl-patch");
        let (altered, name) = (simulation.daemon_sets[0].clone(), simulation.names()[0].clone());
        let plan = simulation.act();
        let [Action::ResetStrategy { .. }, Action::Report(finding)] = plan.actions.as_slice() else {
            panic!("{plan:?}")
        };
        let expected = Finding::CannotRestore { daemon_set: name, changed_by: vec!["kubectl-patch".to_owned()] };
        assert_eq!(*finding, expected);
        let left = simulation.daemon_sets[0].spec.clone().expect("a spec");
        assert_eq!(left.template, altered.spec.expect("a spec").template);
        assert_eq!(left.update_strategy.and_then(|it| it.type_).as_deref(), Some("OnDelete"));
        assert!(read(&simulation.daemon_sets[0]).altered.is_some(), "the change is still detected");
        assert!(simulation.plan().actions.is_empty());
        let node_scope = NodeScope::Only(["n0".to_owned()].into());
        let patch = scope_patch(&as_live(&simulation.daemon_sets[0]), &node_scope);
        let generation = simulation.daemon_sets[0].metadata.generation.expect("a generation") + 1;
        let noted = patch["metadata"]["annotations"][labels::RESTORES].as_str().and_then(Restores::from_text);
        assert_eq!(noted.and_then(|it| it.left), Some(generation), "it is left as it is after scoping down too");
        simulation.pass(second());
        alter(&mut simulation.daemon_sets[0], "kubectl-patch");
        assert_eq!(simulation.act().actions.len(), 2, "another change is reported again");
    }
}

#[test]
fn other_metadata_is_kept_and_labels_annotations_and_owners_are_set() {
    let mut simulation = Simulation::settled("[a:1]", 1);
    let wanted = simulation.daemon_sets[0].clone();
    let live = simulation.stored(&name(&wanted));
    live.metadata.labels = from_value(json!({"team": "a", labels::GROUP: "other"})).expect("labels");
    live.metadata.annotations = from_value(json!({"note": "theirs", labels::TAG_CHECKS: "{}"})).expect("annotations");
    live.metadata.finalizers = Some(vec!["theirs.test/finalizer".to_owned()]);
    let theirs = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "t"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "uid": owner().uid}]);
    live.metadata.owner_references = from_value(theirs).expect("owners");
    let live: DynamicObject = from_value(to_value(&*live).expect("JSON")).expect("an object");
    let mut wanted = wanted;
    wanted.metadata.owner_references = Some(vec![owner()]);
    let restored = restored(&live, &wanted);
    assert_eq!(restored.data["spec"], to_value(&wanted.spec).expect("JSON"));
    let (labels, annotations) =
        (restored.metadata.labels.expect("labels"), restored.metadata.annotations.expect("some"));
    assert_eq!((labels["team"].as_str(), labels[labels::GROUP].as_str()), ("a", "default"));
    assert_eq!((annotations["note"].as_str(), annotations[labels::TAG_CHECKS].as_str()), ("theirs", "{}"));
    assert_eq!(annotations[labels::CONTENT], wanted.metadata.annotations.expect("annotations")[labels::CONTENT]);
    assert_eq!(restored.metadata.finalizers, live.metadata.finalizers);
    let owners = restored.metadata.owner_references.expect("owners");
    assert_eq!(owners.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["theirs", "kube-prepull"]);
    assert_eq!(restored.metadata.resource_version, live.metadata.resource_version, "it applies to this version only");
}

#[test]
fn resetting_the_strategy_records_the_resulting_generation() {
    let mut simulation = Simulation::settled("[a:1]", 1);
    let count = Restores { count: 1, at: simulation.now, left: None };
    let left = |daemon_set: &DaemonSet| {
        let patch = strategy_patch(&as_live(daemon_set), &count);
        let noted = patch["metadata"]["annotations"][labels::RESTORES].as_str().and_then(Restores::from_text);
        noted.and_then(|restores| restores.left)
    };
    assert_eq!(left(&simulation.daemon_sets[0]), Some(1));
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    assert_eq!(left(&simulation.daemon_sets[0]), Some(3));
}

#[test]
fn a_group_whose_daemon_set_was_changed_reports_no_refused_pods() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    simulation.pass(SignedDuration::from_hours(1));
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    simulation.place_pods();
    let refused = |plan: &Plan| {
        let findings = plan.condition_reports.iter().flat_map(|condition_report| &condition_report.findings);
        findings.filter(|finding| matches!(finding, Finding::PodsRefused { .. })).count()
    };
    assert_eq!(refused(&simulation.act()), 0);
    assert_eq!(refused(&simulation.act()), 0, "the DaemonSet controller has yet to recreate the pods");
    simulation.pods_refused = true;
    simulation.pass(SignedDuration::from_mins(2));
    assert_eq!(refused(&simulation.plan()), 1, "now something else prevents them");
}
