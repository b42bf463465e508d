//! What lists may ask for, as the operator decides.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use super::trial;
use crate::controller::Controller;
use crate::trial::eventually;

#[tokio::test]
async fn the_controllers_own_service_account_is_refused_whatever_the_policy_says() {
    let trial = trial("own-account").await;
    let arguments = ["--policy-text", "serviceAccounts: ['*']", "--controller-service-account", "puller"];
    let _controller = Controller::start_with(&trial, &arguments).await;
    trial.write_list("tools", "images: [nginx:1.27]\nserviceAccountName: puller").await;
    let list = trial.validated("tools", "rejected").await;
    let problems = &list.annotations()["kube-prepull.io/problems"];
    assert!(
        problems.contains("images.yaml: serviceAccountName (line 2): \"puller\" is the controller's own"),
        "{problems}"
    );
    let reported = trial.reported("ListRejected").await;
    assert!(reported.starts_with("this edit is rejected, and nothing was changed: "), "{reported}");
    assert!(trial.daemon_sets().await.is_empty());
    trial.write_list("tools", "images: [nginx:1.27]\nserviceAccountName: another").await;
    trial.validated("tools", "accepted").await;
    trial.settled_on(&["nginx:1.27"]).await;
}

#[tokio::test]
async fn a_list_that_a_new_policy_forbids_stays_held_and_nothing_new_is_created_from_it() {
    let trial = trial("new-policy").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.write_list("more", "images: [redis:7]").await;
    trial.validated("tools", "accepted").await;
    eventually("both lists to have a DaemonSet", async || (trial.daemon_sets().await.len() == 2).then_some(())).await;
    controller.kill();

    let arguments = ["--policy-text", "images: [docker.io/library/redis]"];
    let controller = Controller::start_with(&trial, &arguments).await;
    trial.validated("tools", "rejected").await;
    let reported = trial.reported("ListRejected").await;
    assert!(reported.starts_with("this list is no longer allowed; the version accepted at "), "{reported}");
    assert!(reported.contains("nothing new is created from it"), "{reported}");
    trial.validated("more", "accepted").await;
    controller.has_reconciled(&trial, "tools").await;
    assert_eq!(trial.daemon_sets().await.len(), 2, "a policy releases nothing");

    let of_tools = |it: &DaemonSet| it.labels()["kube-prepull.io/list"] == "tools";
    let held = trial.daemon_sets().await.into_iter().find(of_tools).unwrap();
    trial.api::<DaemonSet>().delete(&held.name_any(), &DeleteParams::default()).await.unwrap();
    controller.has_reconciled(&trial, "tools").await;
    assert!(!trial.daemon_sets().await.iter().any(of_tools), "what is forbidden is not created again");
    controller.kill();

    let _controller = Controller::start(&trial).await;
    trial.validated("tools", "accepted").await;
    eventually("it to be created again", async || trial.daemon_sets().await.into_iter().find(of_tools)).await;
}

#[tokio::test]
async fn a_service_that_selects_the_pods_of_a_list_is_reported() {
    let trial = trial("selecting").await;
    trial
        .create::<Service>(
            json!({"metadata": {"name": "shop"}, "spec": {"selector": {"team": "shop"}, "ports": [{"port": 80}]}}),
        )
        .await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\npodLabels: {team: shop}").await;
    let reported = trial.reported("ServiceSelectsPods").await;
    assert!(reported.contains("shop those of the group default by team=shop; remove the label"), "{reported}");
    trial.validated("tools", "accepted").await;
}
