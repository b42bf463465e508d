//! Pods with one holder for each image, on one node.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use test_bed::{Image, Layer, Node, Real};

use crate::trial::{Trial, within};

/// Hundreds of containers start one after the other.
const PATIENCE: Duration = Duration::from_secs(1800);

/// An image with a holder of its own, so that a pod needs no other to install it, and some bytes that no other image has.
pub fn image(bed: &Real, seed: u64, bytes: usize) -> Image {
    Image::of_holder(bed.holder().unwrap()).layer(Layer::new().random("/content", seed, bytes))
}

/// Creates a pod for each of these parts of a list, and says how long it takes until all are ready.
pub async fn start(trial: &Trial, node: &Node, parts: &[&[String]]) -> Duration {
    let started = Instant::now();
    for (number, images) in parts.iter().enumerate() {
        trial.create::<Pod>(pod(&format!("images-{number}"), node.name(), images)).await;
    }
    within(PATIENCE, "all pods to be ready", async || trial.pods().await.iter().all(is_ready).then_some(())).await;
    started.elapsed()
}

/// Deletes all pods, and waits until they are gone.
pub async fn delete(trial: &Trial) {
    let at_once = DeleteParams::default().grace_period(1);
    trial.api::<Pod>().delete_collection(&at_once, &ListParams::default()).await.unwrap();
    within(PATIENCE, "all pods to be gone", async || trial.pods().await.is_empty().then_some(())).await;
}

fn pod(name: &str, node: &str, images: &[String]) -> Value {
    let security =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true});
    let containers = images.iter().enumerate().map(|(number, image)| {
        json!({
            "name": format!("image-{number}"), "image": image, "command": ["/holder", "hold", "v1"], "securityContext": security,
            "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}, "imagePullPolicy": "IfNotPresent",
            "volumeMounts": [{"name": "holder", "mountPath": "/kube-prepull", "readOnly": true}],
        })
    });
    json!({"metadata": {"name": name}, "spec": {
        "nodeName": node, "containers": containers.collect::<Vec<_>>(), "automountServiceAccountToken": false,
        "enableServiceLinks": false, "volumes": [{"name": "holder", "emptyDir": {}}], "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }})
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}
