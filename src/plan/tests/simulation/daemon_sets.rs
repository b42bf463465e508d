//! The DaemonSets of the simulated cluster, and how its API server applies patches.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Value, from_value, json, to_value};

use crate::list::config::{Placement, TaintKey};
use crate::naming::labels;
use crate::plan::generation::node_scope::NodeScope;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::restores::Restores;
use crate::plan::generation::scheduled;
use crate::plan::live::LiveDaemonSet;
use crate::plan::patch::recount_patch;
use crate::plan::patch::scope_patch;
use crate::plan::patch::sealing_patch;
use crate::plan::patch::strategy_patch;
use crate::plan::patch::toleration_patch;
use crate::plan::restoring::restored;
use crate::plan::{Generation, SlimDaemonSet};
use crate::slim::Skipped;

/// A DaemonSet as kubernetes-image-puller creates it.
pub fn daemon_set_of_kip(name: &str, images: &[&str]) -> DaemonSet {
    let containers = images
        .iter()
        .enumerate()
        .map(|(index, image)| json!({"name": format!("c{index}"), "image": image, "imagePullPolicy": "Always"}));
    let labels: BTreeMap<&str, &str> = labels::ADOPTABLE_PODS.into();
    from_value(json!({
        "metadata": {"name": name, "uid": "kip"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers.collect::<Vec<_>>()}},
        },
    }))
    .expect("a DaemonSet")
}

pub(super) fn is_adoptable(daemon_set: &DaemonSet) -> bool {
    let matched = daemon_set.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
    matched.is_some_and(|labels| labels.contains_key("test"))
}

pub fn name(daemon_set: &DaemonSet) -> String {
    daemon_set.metadata.name.clone().expect("a name")
}

pub(super) fn template(daemon_set: &DaemonSet) -> &PodSpec {
    daemon_set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a pod template")
}

/// The placement in the DaemonSet's template.
pub fn placement(daemon_set: &DaemonSet) -> Placement {
    let spec = template(daemon_set);
    Placement {
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        affinity: spec.affinity.clone(),
        tolerations: spec.tolerations.clone().unwrap_or_default(),
        ..Placement::default()
    }
}

/// Another client adds a node selector that matches no node, and has its pods replaced.
pub fn alter(daemon_set: &mut DaemonSet, manager: &str) {
    let spec = daemon_set.spec.as_mut().expect("a spec");
    spec.update_strategy.get_or_insert_default().type_ = Some("RollingUpdate".to_owned());
    let pod = spec.template.spec.as_mut().expect("a pod template");
    pod.node_selector.get_or_insert_default().insert("a".to_owned(), "b".to_owned());
    let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:nodeSelector": {"f:a": {}}}}}});
    daemon_set.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some(manager.to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }]);
    bump(daemon_set);
}

fn bump(daemon_set: &mut DaemonSet) {
    daemon_set.metadata.generation = daemon_set.metadata.generation.map(|it| it + 1);
}

/// Applies the replacement like the API server.
pub(super) fn restore(daemon_set: &mut DaemonSet, wanted: &DaemonSet) {
    let dynamic = |it: &DaemonSet| from_value(to_value(it).expect("JSON")).expect("an object");
    let new = restored(&dynamic(daemon_set), wanted);
    let before = std::mem::replace(daemon_set, from_value(to_value(new).expect("JSON")).expect("a DaemonSet"));
    if before.spec != daemon_set.spec {
        bump(daemon_set);
    }
    daemon_set.metadata.managed_fields = None;
    let generation = daemon_set.metadata.generation.unwrap_or(1).to_string();
    daemon_set.metadata.annotations.get_or_insert_default().insert(labels::SPEC_GENERATION.to_owned(), generation);
}

/// Applies the patch like the API server.
pub(super) fn reset_strategy(daemon_set: &mut DaemonSet, restores: &Restores) {
    let patch = strategy_patch(&as_live(daemon_set), restores);
    annotate(daemon_set, &patch);
    let spec = daemon_set.spec.as_mut().expect("a spec");
    let strategy = from_value(patch["spec"]["updateStrategy"].clone()).expect("a strategy");
    if spec.update_strategy.replace(strategy) != spec.update_strategy {
        bump(daemon_set);
    }
}

fn annotate(daemon_set: &mut DaemonSet, patch: &Value) {
    let patched = patch["metadata"]["annotations"].as_object().expect("annotations");
    let texts = patched.iter().map(|(key, text)| (key.clone(), text.as_str().expect("a text").to_owned()));
    daemon_set.metadata.annotations.get_or_insert_default().extend(texts);
}

/// Applies the patch like the API server.
pub(super) fn scope_down(daemon_set: &mut DaemonSet, node_scope: &NodeScope) {
    let patch = scope_patch(&as_live(daemon_set), node_scope);
    annotate(daemon_set, &patch);
    let spec = daemon_set.spec.as_mut().expect("a spec");
    let strategy = from_value(patch["spec"]["updateStrategy"].clone()).expect("a strategy");
    let strategy_changes = spec.update_strategy.replace(strategy) != spec.update_strategy;
    let pod = spec.template.spec.as_mut().expect("a pod template");
    let node = pod.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let required = &patch["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let before = node.required_during_scheduling_ignored_during_execution.clone();
    node.required_during_scheduling_ignored_during_execution = from_value(required.clone()).expect("a selector");
    let changes = strategy_changes || before != node.required_during_scheduling_ignored_during_execution;
    daemon_set.metadata.generation = daemon_set.metadata.generation.map(|it| it + i64::from(changes));
}

/// Applies the patch like the API server.
pub(super) fn seal(daemon_set: &mut DaemonSet, images: &BTreeSet<String>, pulled_always: &PulledAlways) {
    let patch = sealing_patch(&as_live(daemon_set), images, pulled_always);
    let texts = |of: &Value| -> BTreeMap<String, String> { serde_json::from_value(of.clone()).expect("texts") };
    daemon_set.metadata.annotations.get_or_insert_default().extend(texts(&patch["metadata"]["annotations"]));
    let template = &mut daemon_set.spec.as_mut().expect("a spec").template;
    let annotations = texts(&patch["spec"]["template"]["metadata"]["annotations"]);
    template.metadata.get_or_insert_default().annotations.get_or_insert_default().extend(annotations);
    let pod = &patch["spec"]["template"]["spec"];
    let containers = &mut template.spec.as_mut().expect("a pod template").containers;
    let changes = pod["containers"].as_array().expect("containers");
    for change in changes {
        let container = containers.iter_mut().find(|it| change["name"] == *it.name).expect("the container");
        container.image_pull_policy = change["imagePullPolicy"].as_str().map(str::to_owned);
    }
    // Patched containers move behind the others, unless the patch states the order.
    let order = pod["$setElementOrder/containers"].as_array().unwrap_or(changes);
    containers.sort_by_key(|container| order.iter().position(|it| it["name"] == *container.name));
    daemon_set.metadata.generation = daemon_set.metadata.generation.map(|it| it + 1);
}

/// Applies the patch like the API server.
pub(super) fn tolerate(daemon_set: &mut DaemonSet, taints: &BTreeSet<TaintKey>) {
    let patch = toleration_patch(&as_live(daemon_set), taints);
    annotate(daemon_set, &patch);
    let pod = daemon_set.spec.as_mut().expect("a spec").template.spec.as_mut().expect("a pod template");
    let tolerations = from_value(patch["spec"]["template"]["spec"]["tolerations"].clone()).expect("tolerations");
    if pod.tolerations.replace(tolerations) != pod.tolerations {
        bump(daemon_set);
    }
}

/// Applies the patch like the API server.
pub(super) fn recount(daemon_set: &mut DaemonSet, selections: &BTreeSet<String>) {
    let patch = recount_patch(&as_live(daemon_set), selections);
    let annotations = daemon_set.metadata.annotations.get_or_insert_default();
    let patched = patch["metadata"]["annotations"].as_object().expect("annotations");
    annotations.extend(patched.iter().map(|(key, text)| (key.clone(), text.as_str().expect("a text").to_owned())));
    let limit = &mut daemon_set.spec.as_mut().expect("a spec").revision_history_limit;
    let before = limit.replace(serde_json::from_value(patch["spec"]["revisionHistoryLimit"].clone()).expect("a limit"));
    assert_ne!(*limit, before, "only a change of the spec causes a recount");
    daemon_set.metadata.generation = daemon_set.metadata.generation.map(|it| it + 1);
}

/// The DaemonSet as patches see it.
pub fn as_live(daemon_set: &DaemonSet) -> LiveDaemonSet {
    let object = serde_json::to_value(daemon_set).expect("an object");
    serde_json::from_value(object).expect("a DaemonSet")
}

/// The DaemonSet as the controller reads it.
pub fn generation(daemon_set: &DaemonSet) -> Option<Generation> {
    let count = |count: i32| count.try_into().expect("a count");
    let status = daemon_set.status.as_ref().map(|status| scheduled::DaemonSetStatus {
        observed_generation: status.observed_generation.unwrap_or(0),
        desired_number_scheduled: count(status.desired_number_scheduled),
        current_number_scheduled: count(status.current_number_scheduled),
        number_misscheduled: count(status.number_misscheduled),
    });
    let metadata = daemon_set.metadata.clone();
    Generation::from_daemon_set(&SlimDaemonSet { metadata, spec: Skipped {}, status })
}
