//! What kubernetes-image-puller takes, as far as it is measured here or was measured with its program.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::audit::{AuditLog, Request};
use crate::trial::{Trial, within};
use crate::{PATIENCE, progress, reference};

const NAME: &str = "puller";
/// The most memory of its controller (commit 8a5a530) with so many nodes, in MiB, measured on the same API server.
const MEMORY: [(usize, &str); 2] = [(1_000, "25.3 MiB"), (5_000, "27.9 MiB")];

/// The memory of its controller, if it was measured with so many nodes.
pub fn memory(nodes: usize) -> Option<&'static str> {
    MEMORY.iter().find(|(measured, _)| *measured == nodes).map(|(_, memory)| *memory)
}

/// How many pods a refresh makes that deletes and recreates the DaemonSet, as its does. Its program is not run for that: what it does
/// to its DaemonSet is done here, and what follows from that is counted.
pub async fn measure(trial: &Trial, images: usize, nodes: usize) -> usize {
    progress("a refresh that deletes and recreates the DaemonSet");
    make(trial, images, nodes).await;
    let log = AuditLog::open();
    let from = log.length();
    trial.api::<DaemonSet>().delete(NAME, &DeleteParams::foreground()).await.unwrap();
    within(PATIENCE, "it and all its pods to be gone", async || {
        let ours = ListParams::default().labels(&format!("app={NAME}")).limit(1);
        let no_pod = trial.api::<Pod>().list_metadata(&ours).await.unwrap().items.is_empty();
        // The garbage collector deletes it a moment after the last pod.
        (no_pod && trial.api::<DaemonSet>().get_metadata_opt(NAME).await.unwrap().is_none()).then_some(())
    })
    .await;
    make(trial, images, nodes).await;
    log.since(from, &trial.namespace, |it: &Request| it.is_in(&trial.namespace) && it.creates_pod()).len()
}

async fn make(trial: &Trial, images: usize, nodes: usize) {
    let labels = json!({"app": NAME});
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let containers: Vec<_> = (0..images)
        .map(|image| json!({"name": format!("image-{image}"), "image": reference(image), "securityContext": security}))
        .collect();
    let pod = json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": containers,
    });
    trial
        .create::<DaemonSet>(json!({"metadata": {"name": NAME}, "spec": {
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod},
        }}))
        .await;
    within(PATIENCE, "all pods to be ready", async || {
        let status = trial.api::<DaemonSet>().get(NAME).await.unwrap().status?;
        (usize::try_from(status.number_ready).unwrap() == nodes).then_some(())
    })
    .await;
}
