use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

const KIP: &str = "kubernetes-image-puller";

/// What kubernetes-image-puller leaves behind when it is killed, in a form that a restricted namespace lets in.
pub(super) async fn leave_behind(trial: &Trial, images: &[&str]) -> DaemonSet {
    let labels = json!({"test": "daemonset-test", "app.kubernetes.io/name": "image-puller"});
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let holding = |(index, image): (usize, &&str)| {
        json!({"name": format!("image{index}"), "image": image, "imagePullPolicy": "Always", "command": ["/kip/sleep"],
               "args": ["720h"], "securityContext": security})
    };
    let containers: Vec<Value> = images.iter().enumerate().map(holding).collect();
    let copying = json!([{"name": "copy-sleep", "image": "quay.io/eclipse/kubernetes-image-puller:next", "securityContext": security}]);
    let pod = json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": copying, "containers": containers, "terminationGracePeriodSeconds": 1,
    });
    trial
        .create::<DaemonSet>(json!({"metadata": {"name": KIP}, "spec": {
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels, "name": "test-po"}, "spec": pod},
        }}))
        .await;
    eventually("the pods of kubernetes-image-puller to run", async || {
        let found = adoption(trial).await.unwrap();
        let status = found.status.clone().unwrap_or_default();
        let ready = status.number_ready;
        (ready > 0 && ready == status.desired_number_scheduled).then_some(found)
    })
    .await
}

async fn adoption(trial: &Trial) -> Option<DaemonSet> {
    trial.api().get_opt(KIP).await.unwrap()
}

/// The uids of its pods.
async fn pods_of(trial: &Trial, daemon_set: &str) -> Vec<String> {
    let is_owned = |pod: &Pod| pod.owner_references().iter().any(|owner| owner.name == daemon_set);
    let mut uids: Vec<String> =
        trial.pods().await.iter().filter(|pod| is_owned(pod)).filter_map(ResourceExt::uid).collect();
    uids.sort();
    uids
}

async fn adopted(trial: &Trial) -> DaemonSet {
    eventually("the DaemonSet to be adopted", async || {
        let found = adoption(trial).await.unwrap();
        let strategy = found.spec.as_ref().unwrap().update_strategy.clone().unwrap_or_default().type_;
        (strategy.as_deref() == Some("OnDelete")).then_some(found)
    })
    .await
}

#[tokio::test]
async fn an_adopted_daemon_set_of_kip_goes_when_the_list_holds_its_images() {
    let trial = trial("kip").await;
    leave_behind(&trial, &["nginx:1.27", "redis:7"]).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27, busybox:1]").await;
    trial.settled_on(&["nginx:1.27", "busybox:1"]).await;
    let reported = trial.reported("DaemonSetAdopted").await;
    assert!(
        reported.contains("the DaemonSet kubernetes-image-puller of kubernetes-image-puller was adopted"),
        "{reported}"
    );
    let done = trial.reported("GenerationDeleted").await;
    assert!(done.contains(KIP), "{done}");
}

#[tokio::test]
async fn an_adopted_daemon_set_of_kip_stays_while_the_list_cannot_hold_its_images() {
    let trial = trial("kip-stays").await;
    let before = leave_behind(&trial, &["nginx:1.27"]).await;
    let pods = pods_of(&trial, KIP).await;
    let _controller = Controller::start(&trial).await;
    // No node has so many processors, so none of these pods ever runs.
    let group =
        |cpu: &str| format!("groups: [{{name: p, images: [nginx:1.27], resources: {{requests: {{cpu: {cpu}}}}}}}]\n");
    trial.write_list("tools", &group("\"5000\"")).await;
    let after = adopted(&trial).await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    let new = eventually("the list's own pods", async || {
        let found = trial.daemon_sets().await.into_iter().find(|it| it.name_any() != KIP)?;
        (pods_of(&trial, &found.name_any()).await.len() == pods.len()).then_some(found)
    })
    .await;
    // An edit that is accepted after that shows that the DaemonSet was read and left as it is.
    trial.write_list("tools", &format!("{}pullRate: 7\n", group("\"5000\""))).await;
    trial.validated("tools", "accepted").await;
    assert_eq!(pods_of(&trial, KIP).await, pods, "the same pods");
    assert_eq!(adoption(&trial).await.unwrap().metadata.generation, after.metadata.generation, "written once");
    assert_eq!(trial.daemon_sets().await.len(), 2, "beside {}", new.name_any());
    trial.write_list("tools", &group("1m")).await;
    trial.settled_on(&["nginx:1.27"]).await;
    assert!(adoption(&trial).await.is_none_or(|it| it.metadata.deletion_timestamp.is_some()));
}

#[tokio::test]
async fn an_adopted_daemon_set_of_kip_whose_images_nobody_wants_is_left_alone_and_that_is_reported_once() {
    let trial = trial("kip-alone").await;
    let before = leave_behind(&trial, &["nginx:1.27"]).await;
    // It is reported for the first list by name, of those that there are.
    trial.write_list("tools", "images: [redis:7]").await;
    trial.write_list("more", "images: [busybox:1]").await;
    let _controller = Controller::start(&trial).await;
    let reported = async || {
        let mut reported = trial.events("Waiting").await;
        reported.retain(|event| event.note.as_deref().unwrap_or_default().contains("so it was left alone"));
        reported
    };
    eventually("the Event", async || reported().await.pop()).await;
    for list in ["tools", "more"] {
        trial.validated(list, "accepted").await;
    }
    eventually("both lists' own", async || (trial.daemon_sets().await.len() == 3).then_some(())).await;
    let after = adoption(&trial).await.unwrap();
    assert_eq!((after.metadata.uid, after.metadata.generation), (before.metadata.uid, before.metadata.generation));
    let reported = reported().await;
    assert_eq!(reported.len(), 1, "{reported:#?}");
    assert_eq!(reported[0].regarding.as_ref().unwrap().name.as_deref(), Some("more"));
}
