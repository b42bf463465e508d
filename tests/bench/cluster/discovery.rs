//! A list that discovers its images in many namespaces.

use std::time::Instant;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use test_bed::Simulated;

use crate::controller::Controller;
use crate::meter::Meter;
use crate::process::Process;
use crate::table::{Goal, Row, Unit};
use crate::trial::{Trial, images, within};
use crate::{FEW_NODES, PATIENCE, await_warm, progress, reference};

const NAMESPACES: usize = 200;
/// In each namespace.
const DEPLOYMENTS: usize = 10;
/// The different images of all Deployments: as many as a group discovers by default.
const IMAGES: usize = 100;
/// How many objects are created at a time.
const AT_A_TIME: usize = 8;

/// Measures a list of what all Deployments name.
pub async fn measure(cluster: &Simulated) -> Vec<Row> {
    let trial = Trial::begin(cluster.kubeconfig(), "discovering").await;
    let shops: Vec<Trial> = stream::iter(0..NAMESPACES)
        .map(|shop| async move { Trial::begin(cluster.kubeconfig(), &format!("shop-{shop}")).await })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    stream::iter(0..NAMESPACES * DEPLOYMENTS)
        .for_each_concurrent(AT_A_TIME, |number| deploy(&trial, &shops[number / DEPLOYMENTS], number))
        .await;
    progress(&format!("{} Deployments in {NAMESPACES} namespaces", NAMESPACES * DEPLOYMENTS));
    let mut meter = Meter::new();
    let arguments = ["--leader-elect=true", "--log-level", "info", "--discover-namespaces", "*"];
    let controller = Controller::start_with(&trial, &arguments).await;
    let process = Process(controller.id());
    let namespaces: Vec<&str> = shops.iter().map(|shop| shop.namespace.as_str()).collect();
    trial.write_list("tools", &format!("discover: {{namespaces: {namespaces:?}, settle: 1s, keepFor: 0s}}")).await;
    await_warm(&trial, IMAGES, FEW_NODES).await;
    meter.phase("a list that discovers, until it is warm", &controller).await;
    let started = Instant::now();
    // Ten Deployments name each image, so all of those that name the first one.
    for number in (0..NAMESPACES * DEPLOYMENTS).step_by(IMAGES) {
        redeploy(&shops[number / DEPLOYMENTS], number).await;
    }
    within(PATIENCE, "the new image to have a DaemonSet", async || {
        let daemon_sets = trial.daemon_sets().await;
        daemon_sets.iter().flat_map(images).any(|image| image == reference(IMAGES)).then_some(())
    })
    .await;
    let took = started.elapsed();
    await_warm(&trial, IMAGES, FEW_NODES).await;
    meter.phase("another image, until it is warm", &controller).await;
    let of = format!("{} Deployments in {NAMESPACES} namespaces", NAMESPACES * DEPLOYMENTS);
    vec![
        Row::new(format!("memory, {of}"), process.resident(), Unit::Mebibytes, Goal::AtMost(16.0)),
        Row::new(format!("memory at most, {of}"), process.peak(), Unit::Mebibytes, Goal::AtMost(18.0)),
        Row::new(
            "a discovered image, until its DaemonSet exists",
            took.as_secs_f64(),
            Unit::Seconds,
            Goal::AtMost(10.0),
        ),
    ]
}

/// A Deployment without pods, as large as one with the usual settings is.
async fn deploy(trial: &Trial, shop: &Trial, number: usize) {
    let name = format!("service-{number}");
    let variables: Vec<_> =
        (0..30).map(|it| json!({"name": format!("SETTING_{it}"), "value": "x".repeat(40)})).collect();
    let probe = json!({"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10});
    let container = json!({
        "name": "main", "image": reference(number % IMAGES), "env": variables, "readinessProbe": probe, "livenessProbe": probe,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    });
    let labels = json!({"app": name, "team": "shop", "app.kubernetes.io/part-of": "platform"});
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}});
    let deployment = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
    });
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let api: Api<Deployment> = Api::namespaced(trial.client.clone(), &shop.namespace);
    api.create(&PostParams::default(), &deployment).await.unwrap();
}

async fn redeploy(shop: &Trial, number: usize) {
    let containers = json!([{"name": "main", "image": reference(IMAGES)}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let name = format!("service-{number}");
    shop.api::<Deployment>().patch(&name, &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
}
