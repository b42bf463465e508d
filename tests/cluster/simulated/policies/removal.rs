//! What has to go on under the policies: garbage collection, and the deletion of the namespace.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use super::super::conditions::{as_limited, rights};
use super::super::trial;
use super::holding;
use super::installed::Policies;
use crate::controller::Controller;
use crate::trial::eventually;

#[tokio::test]
async fn uninstalling_removes_everything() {
    let trial = trial("uninstall").await;
    let _policies = Policies::install(&trial, json!({})).await;
    let pod = json!({"metadata": {"labels": {"app": "it"}}, "spec": {"containers": [{"name": "it", "image": "it"}]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "it"}}, "template": pod});
    trial.create::<Deployment>(json!({"metadata": {"name": "kube-prepull"}, "spec": spec})).await;
    let mut rights = rights();
    rights.push(json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}));
    let proxy = as_limited(&trial, &rights).await;
    let controller = Controller::spawn(&trial, &proxy.kubeconfig, &["--deployment", "kube-prepull"]);
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    controller.kill();
    for propagation in [DeleteParams::foreground(), DeleteParams::background()] {
        drop(trial.api::<Deployment>().delete("kube-prepull", &propagation).await);
    }
    eventually("all of it to be gone", async || {
        (trial.daemon_sets().await.is_empty() && trial.revisions().await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_deletion_of_the_namespace_finishes() {
    let trial = trial("nsgone").await;
    let _policies = Policies::install(&trial, json!({})).await;
    let _holding = holding(&trial).await;
    let namespaces: Api<Namespace> = Api::all(trial.client.clone());
    namespaces.delete(&trial.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace to be gone", async || {
        namespaces.get_opt(&trial.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
}
