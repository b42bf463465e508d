//! Objects in which all is set that is decoded.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::trial;
use crate::encodings::{same_node, same_pods};

const THEN: &str = "2026-03-01T12:00:00Z";

fn spec() -> Value {
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = |name: &str| {
        json!({"name": name, "image": format!("example.com/{name}:1"), "imagePullPolicy": "Always", "securityContext": security,
            "resources": {"requests": {"cpu": "1m", "memory": "2Mi", "ephemeral-storage": "3Mi"}, "limits": {"cpu": "1"}}})
    };
    let mut sidecar = container("sidecar");
    sidecar["restartPolicy"] = json!("Always");
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["nowhere"]}],
        "matchExpressions": [{"key": "gpu", "operator": "Exists"}, {"key": "zone", "operator": "In", "values": ["a", "b"]}]});
    json!({
        "nodeName": "nowhere",
        "containers": [container("one"), container("two")],
        "initContainers": [container("init"), sidecar],
        "tolerations": [
            {"operator": "Exists"},
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 0},
        ],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}},
        "nodeSelector": {"disk": "ssd", "gpu": ""},
        "imagePullSecrets": [{"name": "pull"}],
    })
}

fn status() -> Value {
    let ended = |code: i32| {
        json!({"terminated": {"containerID": "containerd://1", "exitCode": code, "reason": "Error", "message": "no such file",
            "startedAt": THEN, "finishedAt": THEN}})
    };
    let state = |name: &str, state: Value, last_state: Value| {
        json!({"name": name, "image": "i", "imageID": format!("{name}@sha256:1"), "containerID": "containerd://2", "ready": false,
            "started": false, "restartCount": 3, "state": state, "lastState": last_state})
    };
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
    json!({
        "phase": "Pending", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage.",
        "conditions": [{"type": "PodScheduled", "status": "True", "reason": "R", "message": "M", "lastTransitionTime": THEN}],
        "initContainerStatuses": [state("init", ended(0), json!({}))],
        "containerStatuses": [
            state("one", waiting, ended(-1)),
            state("two", json!({"running": {"startedAt": THEN}}), json!({})),
        ],
    })
}

fn node(name: &str) -> Node {
    let taints = json!([{"key": "gpu", "value": "yes", "effect": "NoExecute", "timeAdded": THEN}, {"key": "a", "effect": "NoSchedule"}]);
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "M", "lastHeartbeatTime": THEN, "lastTransitionTime": THEN});
    let status = json!({
        "conditions": [condition("Ready", "True"), condition("example.com/Other", "Unknown")],
        "images": [{"names": ["a:1", "a@sha256:1"], "sizeBytes": 5_000_000_000_u64}, {"sizeBytes": 1}],
        "nodeInfo": {"kubeletVersion": "v1.36.0+k3s1", "osImage": "Linux"},
        "runtimeHandlers": [{"name": "", "features": {"userNamespaces": false}}, {"name": "runsc", "features": {}}, {"name": "old"}],
    });
    let node = json!({"metadata": {"name": name, "labels": {"zone": "a"}, "annotations": {"kube-prepull.io/a": "b", "other": "c"}},
        "spec": {"unschedulable": true, "taints": taints}, "status": status});
    serde_json::from_value(node).unwrap()
}

#[tokio::test]
async fn objects_are_the_same_in_protocol_buffers_and_in_json() {
    let trial = trial("encodings").await;
    let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "e", "controller": true});
    let metadata = json!({"name": "odd", "labels": {"a": "b", "c": ""}, "annotations": {"kube-prepull.io/images": "x=y", "other": "z"},
        "finalizers": ["example.com/kept"], "ownerReferences": [owner]});
    trial.create::<Pod>(json!({"metadata": metadata, "spec": spec()})).await;
    let parameters = PatchParams::default();
    let pods = trial.api::<Pod>();
    pods.patch_status("odd", &parameters, &Patch::Merge(json!({"status": status()}))).await.unwrap();
    let nodes = Api::<Node>::all(trial.client.clone());
    nodes.create(&PostParams::default(), &node(&trial.namespace)).await.unwrap();

    let pods_seen = same_pods(&trial.client, &trial.namespace).await;
    let node_seen = same_node(&trial.client, &trial.namespace).await;

    nodes.delete(&trial.namespace, &kube::api::DeleteParams::default()).await.unwrap();
    pods.patch("odd", &parameters, &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    let [pod] = &pods_seen[..] else { panic!("one pod: {pods_seen:?}") };
    for part in
        ["2026-03-01T12:00:00", "no such file", "sha256:1", "ephemeral_storage: \"3Mi\"", "kube-prepull.io/images"]
    {
        assert!(pod.contains(part), "{part} is missing: {pod}");
    }
    for part in ["5000000000", "verifies_credentials: true"] {
        assert!(node_seen.contains(part), "{part} is missing: {node_seen}");
    }
}
