//! Patches for a generation's DaemonSet.
//!
//! Each patch applies to one version of the object only (UID and resourceVersion). All but the recount also reset the update
//! strategy: whatever another client has set, a change of the template must not replace pods.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use serde_json::{Map, Value, json};

use super::daemon_set::tolerating;
use super::generation::alteration::Alteration;
use super::generation::node_scope::NodeScope;
use super::generation::pulled_always::PulledAlways;
use super::generation::restores::Restores;
use super::generation::{images_to_text, placement_hash, taints_to_text};
use super::live::LiveDaemonSet;
use crate::list::config::{Placement, TaintKey};
use crate::naming::labels;

/// The merge patch that scopes down a DaemonSet.
pub fn scope_patch(live: &LiveDaemonSet, node_scope: &NodeScope) -> Value {
    let node_affinity = live.pod().affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = node_affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let own = required.map(|required| required.node_selector_terms.as_slice());
    let terms = node_scope.terms(own);
    let annotations = json!({labels::NODE_SCOPE: node_scope.to_text()});
    let template = json!({"spec": {"affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": terms.as_ref().map(|terms| json!({"nodeSelectorTerms": terms})),
    }}}});
    spec_patch(live, annotations, Some(template), own != terms.as_deref())
}

/// The strategic merge patch that seals a DaemonSet. It names containers, and leaves all of their other fields
/// unchanged.
///
/// Kubelets pull in the order of the containers. Unless the patch states that order, patched containers move behind the
/// others (`k8s.io/apimachinery/pkg/util/strategicpatch`).
pub fn sealing_patch(live: &LiveDaemonSet, images: &BTreeSet<String>, pulled_always: &PulledAlways) -> Value {
    let names = || live.pod().containers.iter().map(|container| &container.name);
    let order: Vec<Value> = names().map(|name| json!({"name": name})).collect();
    let sealed = names().filter(|name| images.contains(*name));
    let containers: Vec<Value> = sealed.map(|name| json!({"name": name, "imagePullPolicy": "IfNotPresent"})).collect();
    let annotations = json!({labels::PULLED_ALWAYS: pulled_always.to_text()});
    let template = json!({
        "metadata": {"annotations": {labels::PULL_POLICIES: pulled_always.hash()}},
        "spec": {"containers": containers, "$setElementOrder/containers": order},
    });
    spec_patch(live, annotations, Some(template), true)
}

/// The merge patch that makes the template of a DaemonSet tolerate the taints of gates.
pub fn toleration_patch(live: &LiveDaemonSet, taints: &BTreeSet<TaintKey>) -> Value {
    let own = live.pod().tolerations.clone();
    let before = own.len();
    let tolerations = tolerating(own, taints);
    let changes = tolerations.len() > before;
    let template = json!({"spec": {"tolerations": tolerations}});
    spec_patch(live, json!({labels::GATE_TAINTS: taints_to_text(taints)}), Some(template), changes)
}

/// The merge patch that only resets the update strategy, and records that the rest stays as another client changed it.
pub fn strategy_patch(live: &LiveDaemonSet, restores: &Restores) -> Value {
    let restores = Restores { left: Some(generation_after(live, false)), ..restores.clone() };
    frame(live, json!({labels::RESTORES: restores.to_text()}), None)
}

/// The merge patch that makes a DaemonSet a generation of a list. From then on its pods are not replaced, and it is no
/// longer deleted together with kubernetes-image-puller's Deployment. Its images are recorded from its template, since
/// admission may have rewritten them in the pods.
pub fn adoption_patch(live: &LiveDaemonSet, list: &str, owner: Option<&OwnerReference>) -> Value {
    let pod = live.pod();
    let images = pod.containers.iter().filter_map(|it| Some((it.name.as_str(), it.image.as_deref()?)));
    let placement = Placement {
        node_selector: pod.node_selector.clone(),
        affinity: pod.affinity.clone(),
        tolerations: pod.tolerations.clone(),
        ..Placement::default()
    };
    let annotations = json!({
        labels::IMAGES: images_to_text(images),
        labels::PLACEMENT: placement_hash(&placement),
        labels::SPEC_GENERATION: generation_after(live, false).to_string(),
    });
    let mut patch = frame(live, annotations, None);
    patch["metadata"]["labels"] = json!({labels::LIST: list, labels::GROUP: "", labels::MANAGED_BY: labels::PROGRAM});
    patch["metadata"]["ownerReferences"] = owner.into_iter().map(|owner| json!(owner)).collect();
    patch
}

/// The merge patch that makes the DaemonSet controller recount a DaemonSet's nodes. It changes the revision history
/// limit, which does not matter here: templates rarely change, so there are never that many revisions.
pub fn recount_patch(live: &LiveDaemonSet, selections: &BTreeSet<String>) -> Value {
    const LIMITS: [i32; 2] = [9, 10];
    let limit = live.spec.revision_history_limit;
    let ours = live.metadata.annotations.as_ref().and_then(|it| it.get(labels::SPEC_GENERATION));
    // An earlier change by another client must still be detected.
    let ours = ours.and_then(|text| text.parse().ok()).unwrap_or(1_i64).saturating_add(1);
    let selections: Vec<&str> = selections.iter().map(String::as_str).collect();
    let annotations = json!({labels::COUNTED_FOR: selections.join(" "), labels::SPEC_GENERATION: ours.to_string()});
    json!({
        "metadata": metadata(live, annotations),
        "spec": {"revisionHistoryLimit": LIMITS.iter().find(|other| limit != Some(**other))},
    })
}

fn spec_patch(live: &LiveDaemonSet, mut annotations: Value, template: Option<Value>, changes_template: bool) -> Value {
    note_generation(&live.metadata, generation_after(live, changes_template), &mut annotations);
    frame(live, annotations, template)
}

fn frame(live: &LiveDaemonSet, annotations: Value, template: Option<Value>) -> Value {
    let mut spec = Map::new();
    spec.insert("updateStrategy".to_owned(), json!({"type": "OnDelete", "rollingUpdate": null}));
    spec.extend(template.map(|template| ("template".to_owned(), template)));
    json!({"metadata": metadata(live, annotations), "spec": spec})
}

fn metadata(live: &LiveDaemonSet, annotations: Value) -> Value {
    json!({
        "uid": live.metadata.uid,
        "resourceVersion": live.metadata.resource_version,
        "annotations": annotations,
    })
}

/// The `metadata.generation` after a patch. The API server increments it with each change of the spec.
fn generation_after(live: &LiveDaemonSet, changes_template: bool) -> i64 {
    let deletes_only = live.spec.update_strategy.kind == "OnDelete";
    live.metadata.generation.unwrap_or(1) + i64::from(changes_template || !deletes_only)
}

/// Adds the resulting `metadata.generation` to a patch's annotations, unless another client changed the spec before:
/// that change must not pass for the controller's own. A change that was left in place stays recorded as such.
fn note_generation(live: &ObjectMeta, generation: i64, annotations: &mut Value) {
    let Some(alteration) = Alteration::of(live) else {
        annotations[labels::SPEC_GENERATION] = generation.to_string().into();
        return;
    };
    let noted = live.annotations.as_ref().and_then(|annotations| annotations.get(labels::RESTORES));
    let restores = noted.and_then(|text| Restores::from_text(text));
    if let Some(restores) = restores.filter(|restores| restores.left == Some(alteration.generation)) {
        annotations[labels::RESTORES] = Restores { left: Some(generation), ..restores }.to_text().into();
    }
}
