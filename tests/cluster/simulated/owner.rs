//! What is made belongs to the controller's Deployment, and goes with it.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use super::conditions::{as_limited, rights};
use super::trial;
use crate::controller::Controller;
use crate::trial::eventually;

/// The API server refuses owners that block the deletion to whoever may not write the owner's finalizers, as on OpenShift.
#[tokio::test]
async fn uninstalling_the_deployment_removes_everything_and_needs_no_more_rights() {
    let trial = trial("owner").await;
    let pod = json!({"metadata": {"labels": {"app": "it"}}, "spec": {"containers": [{"name": "it", "image": "it"}]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "it"}}, "template": pod});
    trial.create::<Deployment>(json!({"metadata": {"name": "kube-prepull"}, "spec": spec})).await;
    let proxy = as_limited(&trial, &rights()).await;
    let controller = Controller::spawn(&trial, &proxy.kubeconfig, &["--deployment", "kube-prepull"]);
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let made = trial.settled_on(&["nginx:1.27"]).await;
    let kept = trial.revisions().await;
    for owners in [made.owner_references(), kept[0].owner_references()] {
        assert_eq!((owners.len(), owners[0].kind.as_str()), (1, "Deployment"));
        assert_eq!(owners[0].block_owner_deletion, None);
    }
    controller.kill();
    trial.api::<Deployment>().delete("kube-prepull", &DeleteParams::default()).await.unwrap();
    eventually("all of it to be gone", async || {
        (trial.daemon_sets().await.is_empty() && trial.revisions().await.is_empty()).then_some(())
    })
    .await;
}
