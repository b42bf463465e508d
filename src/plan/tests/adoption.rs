//! Adopting DaemonSets of kubernetes-image-puller.

use serde_json::json;

use super::simulation::{Simulation, as_live, daemon_set_of_kip};
use super::{accepted, owner};
use crate::coverage::Coverage;
use crate::list::Config;
use crate::naming::labels;
use crate::plan::Action;
use crate::plan::Waiting;
use crate::plan::adoption::{Adoptable, adopt, find};
use crate::plan::patch::adoption_patch;
use crate::plan::scoping_down::GRACE;

const KIP: &str = "kubernetes-image-puller";

fn adoption(images: &[&str]) -> Adoptable {
    let images = images.iter().map(|image| format!("docker.io/library/{image}")).collect();
    Adoptable { name: KIP.to_owned(), uid: "kip".to_owned(), images }
}

fn called(name: &str, images_yaml: &str) -> Config {
    let mut config = accepted(images_yaml);
    config.name = crate::list::names::ObjectName::shortened(name);
    config
}

/// Which lists adopt it, and what they report.
fn outcome(lists: &[(&str, &Config)], adoption: &Adoptable) -> (Vec<String>, Vec<Waiting>) {
    let (mut heirs, mut waiting) = (Vec::new(), Vec::new());
    for (name, _) in lists {
        let (actions, unadopted) = adopt(name, lists, std::slice::from_ref(adoption), None);
        heirs.extend(actions.iter().map(|action| match action {
            Action::Adopt { list, .. } => list.clone(),
            other => panic!("{other:?}"),
        }));
        waiting.extend(unadopted);
    }
    (heirs, waiting)
}

#[test]
fn the_list_with_its_name_adopts_it() {
    let (wanting, named) = (called("a", "[x:1]"), called(KIP, "[y:1]"));
    assert_eq!(outcome(&[("a", &wanting), ("k8s", &named)], &adoption(&["x:1"])), (vec!["k8s".to_owned()], vec![]));
}

#[test]
fn otherwise_the_first_list_with_any_of_its_images_adopts_it() {
    let (none, first, second) = (called("a", "[y:1]"), called("b", "[docker.io/library/x:1]"), called("c", "[x:1]"));
    let lists = [("c", &second), ("a", &none), ("b", &first)];
    assert_eq!(outcome(&lists, &adoption(&["w:1", "x:1"])), (vec!["b".to_owned()], vec![]));
}

#[test]
fn a_daemon_set_that_no_list_adopts_is_left_alone_and_reported_once() {
    let (a, b) = (called("a", "[y:1]"), called("b", "[z:1]"));
    let (heirs, waiting) = outcome(&[("b", &b), ("a", &a)], &adoption(&["x:1"]));
    assert!(heirs.is_empty());
    assert_eq!(waiting, [Waiting::Unadopted { daemon_set: KIP.to_owned() }]);
}

fn pod_of(daemon_set: &str, labels: serde_json::Value) -> crate::coverage::SlimPod {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "uid": daemon_set, "labels": labels, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": daemon_set, "uid": "d", "controller": true}]},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "x:1"}]},
    }))
    .expect("a pod")
}

#[test]
fn it_is_identified_by_the_labels_of_its_pods() {
    let mut pods = Coverage::default();
    pods.apply(&pod_of(KIP, json!({"test": "daemonset-test", "app.kubernetes.io/name": "image-puller"})));
    pods.apply(&pod_of("other", json!({"test": "daemonset-test"})));
    let sets = [daemon_set_of_kip(KIP, &["x:1"]), daemon_set_of_kip("other", &["x:1"])];
    let mut metadata = sets.map(|daemon_set| daemon_set.metadata);
    assert_eq!(find(metadata.iter(), &pods), [adoption(&["x:1"])]);
    metadata[0].deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(super::at("2026-03-01T12:00:00Z")));
    assert!(find(metadata.iter(), &pods).is_empty(), "it is being deleted already");
}

#[test]
fn adoption_replaces_no_pod_and_changes_the_owner() {
    let patch = adoption_patch(&as_live(&daemon_set_of_kip(KIP, &["x:1"])), "tools", Some(&owner()));
    assert_eq!(patch["spec"], json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}));
    assert_eq!(patch["metadata"]["uid"], "kip");
    assert_eq!(patch["metadata"]["labels"][labels::LIST], "tools");
    assert_eq!(patch["metadata"]["ownerReferences"][0]["name"], "kube-prepull");
    assert_eq!(patch["metadata"]["annotations"][labels::IMAGES], "c0=x:1", "even if admission rewrites its pods");
    assert_eq!(patch["metadata"]["annotations"][labels::SPEC_GENERATION], "2", "the strategy is part of the spec");
}

#[test]
fn it_stays_until_every_node_has_its_images_from_the_list() {
    let mut simulation = Simulation::new("[a:1, b:1]", 3);
    simulation.adopt_kip_daemon_set(&["a:1", "z:1"]);
    simulation.unavailable.insert("a:1".to_owned());
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1", "z:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 2, "nothing else holds a:1");
    simulation.unavailable.clear();
    simulation.settle();
    assert_eq!(simulation.names().len(), 1);
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
    assert_eq!(simulation.created, 1);
}

#[test]
fn it_is_scoped_down_although_it_has_no_affinity() {
    let mut simulation = Simulation::new("[a:1]", 6);
    simulation.adopt_kip_daemon_set(&["a:1"]);
    simulation.nodes[1].ready = false;
    simulation.settle();
    simulation.pass(GRACE);
    simulation.settle();
    let old: Vec<&str> = simulation.pods.iter().filter(|it| it.daemon_set == KIP).map(|it| &*it.node).collect();
    assert_eq!(old, ["n1"]);
}

#[test]
fn an_edit_does_not_wait_for_it() {
    let mut simulation = Simulation::new("[a:1]", 2);
    simulation.adopt_kip_daemon_set(&["a:1"]);
    simulation.unavailable.insert("a:1".to_owned());
    for tag in 1..5 {
        simulation.edit(&format!("[a:1, \"b:{tag}\"]"));
        simulation.settle();
        assert!(simulation.held_on("n0").contains(format!("b:{tag}").as_str()));
    }
    assert_eq!(simulation.daemon_sets.len(), 2);
}
