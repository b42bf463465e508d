//! Pods, nodes and DaemonSets as an API server sends them, as large as in real clusters.

use serde_json::{Map, Value, json};

const IMAGES: usize = 20;
const TIME: &str = "2026-11-22T18:00:00Z";

fn reference(image: usize) -> String {
    format!("registry.example.com/platform/team/service-{image}:2026.11")
}

fn node_name(index: usize) -> String {
    format!("ip-10-0-{}-{}.eu-central-1.compute.internal", index / 256, index % 256)
}

/// Of these fields, each of which has these.
fn managed(of: impl Iterator<Item = String>, fields: &[&str]) -> Value {
    let fields: Map<String, Value> = fields.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
    Value::Object(of.map(|name| (name, Value::Object(fields.clone()))).collect())
}

fn containers() -> impl Iterator<Item = String> {
    (0..IMAGES).map(|image| format!("k:{{\"name\":\"image-{image}\"}}"))
}

const CONTAINER_FIELDS: [&str; 10] = [
    "command",
    "image",
    "imagePullPolicy",
    "name",
    "resources",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "volumeMounts",
    "env",
];

fn template_fields() -> Value {
    json!({
        "f:affinity": {}, "f:containers": managed(containers(), &CONTAINER_FIELDS), "f:dnsPolicy": {}, "f:enableServiceLinks": {},
        "f:initContainers": managed(std::iter::once("k:{\"name\":\"install-holder\"}".to_owned()), &CONTAINER_FIELDS),
        "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {}, "f:tolerations": {}, "f:volumes": {},
    })
}

fn container(image: usize) -> Value {
    json!({
        "name": format!("image-{image}"), "image": reference(image), "imagePullPolicy": "IfNotPresent",
        "command": ["/kube-prepull/holder"], "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "16Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true,
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "volumeMounts": [{"mountPath": "/kube-prepull", "name": "holder", "readOnly": true}],
    })
}

fn container_status(generation: &str, image: usize, runs: bool) -> Value {
    let id = format!("registry.example.com/platform/team/service-{image}@sha256:{generation:0>62}{image:02}");
    let state = match runs {
        true => json!({"running": {"startedAt": TIME}}),
        false => json!({"waiting": {"reason": "ContainerCreating"}}),
    };
    json!({
        "name": format!("image-{image}"), "image": reference(image), "imageID": if runs { id } else { String::new() },
        "containerID": format!("containerd://{:0>64}", image), "ready": runs, "restartCount": 0, "started": runs, "state": state,
        "lastState": {}, "allocatedResources": {"cpu": "1m", "memory": "1Mi"},
        "resources": {"limits": {"memory": "16Mi"}, "requests": {"cpu": "1m", "memory": "1Mi"}},
        "volumeMounts": [{"mountPath": "/kube-prepull", "name": "holder", "readOnly": true, "recursiveReadOnly": "Disabled"}],
    })
}

/// A pod with 20 images.
pub fn pod(generation: &str, index: usize, runs: bool) -> Value {
    let uid = format!("{index:08x}-0000-4000-8000-{generation:0>12}");
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions = conditions.map(|type_| json!({"type": type_, "status": "True", "lastTransitionTime": TIME}));
    let tolerations = ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"];
    let tolerations = tolerations.map(|key| json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists"}));
    let named = json!([{"key": "metadata.name", "operator": "In", "values": [node_name(index)]}]);
    json!({
        "metadata": {
            "name": format!("prepull-tools-default-{generation}-{index:05}"), "namespace": "prepull", "uid": uid, "resourceVersion": "7",
            "creationTimestamp": TIME,
            "labels": {
                "kube-prepull.io/list": "tools", "kube-prepull.io/group": "default", "kube-prepull.io/generation": generation,
                "controller-revision-hash": "5c8d7f6b9d", "pod-template-generation": "1",
            },
            "annotations": {"kube-prepull.io/pull-policies": "abc", "cni.example.com/network-status": "x".repeat(2_000)},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "DaemonSet", "name": format!("prepull-tools-default-{generation}"),
                "uid": "9d075def-8961-4622-9e68-798b75774688", "controller": true, "blockOwnerDeletion": true,
            }],
            "managedFields": [
                {
                    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": TIME,
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}}}, "f:spec": template_fields()},
                },
                {
                    "manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": TIME, "fieldsType": "FieldsV1",
                    "subresource": "status", "fieldsV1": {"f:status": managed(
                        conditions.iter().map(|it| format!("k:{{\"type\":{}}}", it["type"])), &["lastTransitionTime", "status", "type"]
                    )},
                },
            ],
        },
        "spec": {
            "nodeName": node_name(index), "containers": (0..IMAGES).map(container).collect::<Vec<_>>(),
            "initContainers": [{"name": "install-holder", "image": "registry.example.com/kube-prepull:1"}],
            "tolerations": tolerations, "serviceAccountName": "default",
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": named}],
            }}},
        },
        "status": {
            "phase": "Running", "conditions": conditions, "hostIP": "10.0.0.1", "podIP": "10.1.0.1",
            "initContainerStatuses": [{"name": "install-holder", "state": {"terminated": {"exitCode": 0, "containerID": "c"}}}],
            "containerStatuses": (0..IMAGES).map(|image| container_status(generation, image, runs)).collect::<Vec<_>>(),
        },
    })
}

/// A node with 25 labels and 50 images.
pub fn node(index: usize) -> Value {
    let name = node_name(index);
    let mut labels: Map<String, Value> =
        (0..20).map(|number| (format!("feature.node.example.com/cpu-{number}"), json!("true"))).collect();
    for (key, value) in [
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/hostname", name.as_str()),
        ("topology.kubernetes.io/zone", "eu-central-1a"),
        ("node.example.com/instance-id", &format!("i-{index:017x}")),
    ] {
        labels.insert(key.to_owned(), json!(value));
    }
    let images = (0..50).map(|image| {
        let repository = format!("registry.example.com/another/team/of/the/platform/service-{image}");
        json!({"names": [format!("{repository}@sha256:{image:0>64}"), format!("{repository}:2026.11")], "sizeBytes": 1_000_000})
    });
    let conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map(|type_| {
        let status = if type_ == "Ready" { "True" } else { "False" };
        json!({
            "type": type_, "status": status, "lastHeartbeatTime": TIME, "lastTransitionTime": TIME, "reason": "KubeletHas",
            "message": "kubelet is posting ready status",
        })
    });
    let labelled = labels.keys().map(|key| format!("f:{key}"));
    json!({
        "metadata": {
            "name": name, "uid": format!("{index:08x}"), "resourceVersion": "7", "creationTimestamp": TIME, "labels": labels,
            "annotations": {"csi.volume.kubernetes.io/nodeid": "x".repeat(300)},
            "managedFields": [
                {"manager": "kubelet", "operation": "Update", "time": TIME, "fieldsV1": {"f:metadata": {
                    "f:labels": managed(labelled, &[]),
                }}},
                {"manager": "kubelet", "operation": "Update", "time": TIME, "subresource": "status", "fieldsV1": {"f:status": {
                    "f:images": {}, "f:conditions": managed(
                        (0..12).map(|number| format!("k:{{\"type\":\"Condition{number}\"}}")), &CONTAINER_FIELDS
                    ),
                }}},
            ],
        },
        "spec": {"providerID": format!("aws:///eu-central-1a/i-{index:017x}"), "podCIDR": "10.1.0.0/24"},
        "status": {
            "conditions": conditions, "images": images.collect::<Vec<_>>(),
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"}, "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"},
            "nodeInfo": {"kubeletVersion": "v1.34.1", "osImage": "Linux", "machineID": "x".repeat(32)},
        },
    })
}

/// The DaemonSet of a generation.
pub fn daemon_set(index: usize) -> Value {
    let images: Vec<String> = (0..IMAGES).map(|image| format!("image-{image}={}", reference(image))).collect();
    json!({
        "metadata": {
            "name": format!("prepull-list-{index}"), "namespace": "prepull", "uid": format!("{index:08x}"), "generation": 1,
            "resourceVersion": "7", "creationTimestamp": TIME,
            "labels": {"kube-prepull.io/list": format!("list-{index}"), "app.kubernetes.io/managed-by": "kube-prepull"},
            "annotations": {
                "kube-prepull.io/images": images.join(";"), "kube-prepull.io/epoch": TIME,
                "deprecated.daemonset.template.generation": "1",
            },
            "managedFields": [
                {
                    "manager": "kube-prepull", "operation": "Apply", "time": TIME,
                    "fieldsV1": {"f:metadata": {}, "f:spec": {"f:template": {"f:spec": template_fields()}}},
                },
                {"manager": "kube-controller-manager", "operation": "Update", "time": TIME, "subresource": "status",
                 "fieldsV1": {"f:status": {"f:currentNumberScheduled": {}}}},
            ],
        },
        "spec": {"template": {"spec": {"containers": (0..IMAGES).map(container).collect::<Vec<_>>()}}},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "currentNumberScheduled": 3},
    })
}
