use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually, images};

async fn alter(trial: &Trial, name: &str) {
    let altered = json!({"spec": {
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {"spec": {"containers": [{"name": "nginx", "image": "evil:1"}], "tolerations": [{"operator": "Exists"}]}},
    }});
    trial.api::<DaemonSet>().patch(name, &PatchParams::default(), &Patch::Strategic(altered)).await.unwrap();
}

async fn put_back(trial: &Trial, name: &str) {
    eventually("the DaemonSet to be put back", async || {
        let daemon_set = trial.api::<DaemonSet>().get(name).await.unwrap();
        let strategy = daemon_set.spec.as_ref().unwrap().update_strategy.clone().unwrap_or_default();
        (images(&daemon_set) == ["nginx:1.27"] && strategy.type_.as_deref() == Some("OnDelete")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_daemon_set_is_made_anew() {
    let trial = trial("deleted").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.api::<DaemonSet>().delete(&before.name_any(), &DeleteParams::default()).await.unwrap();
    let after = trial.settled_on(&["nginx:1.27"]).await;
    assert_ne!(before.metadata.uid, after.metadata.uid);
}

#[tokio::test]
async fn what_somebody_else_changes_is_put_back_once_and_no_pod_moves() {
    let trial = trial("altered").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let name = trial.settled_on(&["nginx:1.27"]).await.name_any();
    alter(&trial, &name).await;
    put_back(&trial, &name).await;
    let told = trial.told("DaemonSetRepaired").await;
    assert!(told.contains(&name));
    assert_eq!(trial.daemon_sets().await.len(), 1, "a repair begins no round");
}

#[tokio::test]
async fn what_was_changed_while_the_controller_was_away_is_put_back() {
    let trial = trial("away").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let name = trial.settled_on(&["nginx:1.27"]).await.name_any();
    controller.kill();
    alter(&trial, &name).await;
    let _controller = Controller::start(&trial).await;
    put_back(&trial, &name).await;
}

#[tokio::test]
async fn a_repair_is_remembered_over_a_restart() {
    let trial = trial("remembered").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let name = trial.settled_on(&["nginx:1.27"]).await.name_any();
    alter(&trial, &name).await;
    put_back(&trial, &name).await;
    let noted = |daemon_set: &DaemonSet| {
        let left = daemon_set.annotations().get("kube-prepull.io/spec-generation").and_then(|text| text.parse().ok());
        left == daemon_set.metadata.generation
    };
    let before = eventually("the repair to be noted", async || {
        Some(trial.api::<DaemonSet>().get(&name).await.unwrap()).filter(noted)
    })
    .await;
    trial.told("DaemonSetRepaired").await;
    controller.kill();
    let controller = Controller::start(&trial).await;
    trial.write_list("other", "images: [redis:7]").await;
    trial.judged("other", "accepted").await;
    let after = trial.api::<DaemonSet>().get(&name).await.unwrap();
    assert_eq!(before.metadata.generation, after.metadata.generation, "{}", controller.log());
    assert_eq!(trial.events("DaemonSetRepaired").await.len(), 1);
}
