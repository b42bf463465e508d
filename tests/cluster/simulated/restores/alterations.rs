//! What another client may do to the spec of a DaemonSet.

use serde_json::{Value, json};

/// A change of one field, as a strategic merge patch.
pub struct Alteration {
    pub of: &'static str,
    pub patch: Value,
    /// Server-side apply changes and adds, and removes nothing that it did not apply.
    pub removes: bool,
}

fn changes(of: &'static str, patch: Value) -> Alteration {
    Alteration { of, patch, removes: false }
}

fn removes(of: &'static str, patch: Value) -> Alteration {
    Alteration { of, patch, removes: true }
}

fn pod(spec: Value) -> Value {
    json!({"spec": {"template": {"spec": spec}}})
}

fn template(metadata: Value) -> Value {
    json!({"spec": {"template": {"metadata": metadata}}})
}

/// Of the container of the first image.
fn container(mut fields: Value) -> Value {
    fields["name"] = json!("nginx");
    pod(json!({"containers": [fields]}))
}

fn init_container(mut fields: Value) -> Value {
    fields["name"] = json!("install-holder");
    pod(json!({"initContainers": [fields]}))
}

pub fn all() -> Vec<Alteration> {
    let anywhere = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}]}}});
    vec![
        changes("nodeSelector", pod(json!({"nodeSelector": {"a": "b"}}))),
        changes("affinity", pod(json!({"affinity": anywhere}))),
        removes("affinity gone", pod(json!({"affinity": null}))),
        // Not of all taints: pods would get onto the nodes of other trials before that is undone, and stay there.
        changes("tolerations", pod(json!({"tolerations": [{"key": "more", "operator": "Exists"}]}))),
        removes("tolerations gone", pod(json!({"tolerations": null}))),
        changes("image", container(json!({"image": "other:1"}))),
        changes("imagePullPolicy", container(json!({"imagePullPolicy": "Never"}))),
        changes("command", container(json!({"command": ["/sleep"]}))),
        changes("args", container(json!({"args": ["for ever"]}))),
        changes("env", container(json!({"env": [{"name": "A", "value": "b"}]}))),
        changes("resources", container(json!({"resources": {"requests": {"cpu": "3"}}}))),
        changes("limits", container(json!({"resources": {"limits": {"memory": "3Mi"}}}))),
        changes("probe", container(json!({"livenessProbe": {"exec": {"command": ["/no"]}}}))),
        changes("container's security", container(json!({"securityContext": {"allowPrivilegeEscalation": true}}))),
        changes("container added", pod(json!({"containers": [{"name": "more", "image": "more:1"}]}))),
        removes("container removed", container(json!({"$patch": "delete"}))),
        changes("init image", init_container(json!({"image": "other:1"}))),
        changes("init args", init_container(json!({"args": ["install"]}))),
        removes("init container removed", init_container(json!({"$patch": "delete"}))),
        changes("security", pod(json!({"securityContext": {"runAsUser": 1}}))),
        changes("account", pod(json!({"serviceAccountName": "other"}))),
        changes("priority", pod(json!({"priorityClassName": "system-node-critical"}))),
        changes("hostNetwork", pod(json!({"hostNetwork": true}))),
        changes("grace", pod(json!({"terminationGracePeriodSeconds": 30}))),
        changes("secrets", pod(json!({"imagePullSecrets": [{"name": "other"}]}))),
        changes("volume added", pod(json!({"volumes": [{"name": "more", "emptyDir": {}}]}))),
        changes("volume", pod(json!({"volumes": [{"name": "holder", "emptyDir": {"sizeLimit": "9Gi"}}]}))),
        removes("pod's label gone", template(json!({"labels": {"app.kubernetes.io/name": null}}))),
        changes("pod's label", template(json!({"labels": {"more": "a"}}))),
        changes("pod's annotation", template(json!({"annotations": {"linkerd.io/inject": "enabled"}}))),
        changes("strategy", json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}}})),
        changes("minReadySeconds", json!({"spec": {"minReadySeconds": 5}})),
        changes("revisionHistoryLimit", json!({"spec": {"revisionHistoryLimit": 1}})),
    ]
}
