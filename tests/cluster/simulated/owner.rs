//! What is made belongs to the controller's Deployment, and goes with it.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use super::conditions::{as_limited, rights};
use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

async fn create_deployment(trial: &Trial, name: &str) {
    let pod = json!({"metadata": {"labels": {"app": "it"}}, "spec": {"containers": [{"name": "it", "image": "it"}]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "it"}}, "template": pod});
    trial.create::<Deployment>(json!({"metadata": {"name": name}, "spec": spec})).await;
}

/// The API server refuses owners that block the deletion to whoever may not write the owner's finalizers, as on OpenShift.
#[tokio::test]
async fn uninstalling_the_deployment_removes_everything_and_needs_no_more_rights() {
    let trial = trial("owner").await;
    create_deployment(&trial, "kube-prepull").await;
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

/// As with two releases of the chart in one namespace.
#[tokio::test]
async fn when_the_deployment_of_the_leader_goes_that_of_the_other_takes_over() {
    let trial = trial("two-owners").await;
    for name in ["first", "second"] {
        create_deployment(&trial, name).await;
    }
    let of = async |name: &str| Controller::start_with(&trial, &["--leader-elect=true", "--deployment", name]).await;
    let first = of("first").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    assert_eq!(before.owner_references()[0].name, "first");
    let second = of("second").await;
    // It stands by, and does not take what belongs to the other.
    trial.write_list("tools", "images: [nginx:1.28]").await;
    let edited = trial.settled_on(&["nginx:1.28"]).await;
    assert_eq!(edited.owner_references().iter().map(|owner| &*owner.name).collect::<Vec<_>>(), ["first"]);

    trial.api::<Deployment>().delete("first", &DeleteParams::default()).await.unwrap();
    let (status, _) = first.stop();
    assert!(status.success(), "{status}");
    eventually("the other one to make it again", async || {
        let made = trial.daemon_sets().await;
        made.iter().any(|it| it.owner_references().iter().any(|owner| owner.name == "second")).then_some(())
    })
    .await;
    let after = trial.settled_on(&["nginx:1.28"]).await;
    assert_ne!(after.metadata.uid, edited.metadata.uid);
    trial.validated("tools", "accepted").await;
    drop(second);
}
