//! What a refresh costs that deletes and recreates the DaemonSet, as that of kubernetes-image-puller does.
//!
//! Its program is not run. What it does to its DaemonSet is done here, and what follows from that is counted.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use test_bed::Simulated;

use crate::audit::{AuditLog, Request};
use crate::trial::{Trial, within};
use crate::{NODES, PATIENCE, reference};

const NAME: &str = "puller";

/// Prints what becomes of the pods.
pub async fn measure(cluster: &Simulated, images: usize) {
    let trial = Trial::begin(cluster.kubeconfig(), "former").await;
    make(&trial, images).await;
    let log = AuditLog::open();
    let from = log.length();
    trial.api::<DaemonSet>().delete(NAME, &DeleteParams::foreground()).await.unwrap();
    within(PATIENCE, "all pods to be gone", async || {
        let pods = trial.api::<Pod>().list_metadata(&ListParams::default().limit(1)).await.unwrap();
        pods.items.is_empty().then_some(())
    })
    .await;
    make(&trial, images).await;
    // A binding is made of a pod too, by a path of its own.
    let makes_a_pod =
        |it: &Request| it.verb == "create" && it.uri.split('?').next().is_some_and(|it| it.ends_with("/pods"));
    let made = log.since(from, &trial.namespace, |it| it.is_in(&trial.namespace) && makes_a_pod(it)).len();
    println!("\na refresh that deletes and recreates the DaemonSet: {made} pods, which ask for {images} images each");
}

async fn make(trial: &Trial, images: usize) {
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
        (status.number_ready == NODES.cast_signed()).then_some(())
    })
    .await;
}
