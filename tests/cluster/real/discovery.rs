//! Images that are discovered in workloads: warm before the workload needs them.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use test_bed::{Image, Layer};

use super::RealTrial;
use super::faults::HEALING;
use super::workloads::pod_spec;
use crate::controller::Controller;
use crate::trial::within;

/// A Deployment whose pods run on different nodes.
async fn deploy(real: &RealTrial, image: &str) {
    let labels = json!({"app": "shop"});
    let apart = json!([{"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}]);
    let mut spec = pod_spec(image);
    spec["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    real.trial.create::<Deployment>(json!({"metadata": {"name": "shop"}, "spec": spec})).await;
}

async fn ready(real: &RealTrial, pods: usize) {
    within(HEALING, &format!("{pods} pods to run"), async || {
        let found = real.trial.api::<Pod>().list(&ListParams::default().labels("app=shop")).await.unwrap().items;
        let runs = |pod: &&Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
        (found.iter().filter(runs).count() == pods).then_some(())
    })
    .await;
}

fn blob_requests(real: &RealTrial) -> usize {
    let path = format!("/v2/{}/shop/blobs/", real.trial.namespace);
    let accesses = real.bed.registry().unwrap().accesses().unwrap();
    accesses.iter().filter(|access| access.path.starts_with(&path)).count()
}

#[tokio::test]
async fn the_image_of_a_deployment_is_warm_before_its_second_replica_starts_elsewhere() {
    let real = RealTrial::begin("discovery").await;
    let content = Layer::new().random("/content", u64::from(std::process::id()), 100_000);
    let digest = real.push("shop:1", &Image::of_holder(real.bed.holder().unwrap()).layer(content)).to_string();
    deploy(&real, &real.reference("shop:1")).await;
    ready(&real, 1).await;
    let own = real.reference("kube-prepull:1");
    let namespace = real.trial.namespace.as_str();
    let arguments = ["--holder-image", own.as_str(), "--discover-namespaces", namespace];
    let _controller = Controller::start_with(&real.trial, &arguments).await;
    real.trial.write_list("tools", &format!("discover: {{namespaces: [{namespace}], settle: 1s}}")).await;
    real.only_held_everywhere(&[&digest]).await;
    let before = blob_requests(&real);
    let scale = json!({"spec": {"replicas": 2}});
    real.trial.api::<Deployment>().patch("shop", &PatchParams::default(), &Patch::Merge(scale)).await.unwrap();
    ready(&real, 2).await;
    assert_eq!(blob_requests(&real), before, "the second replica downloaded something");
}
