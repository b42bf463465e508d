use kube::ResourceExt;
use std::collections::BTreeMap;

use super::trial;
use crate::audit::{AuditLog, Request};
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

/// The specs of everything in the trial, and the identity of its pods.
async fn snapshot(trial: &Trial) -> BTreeMap<String, String> {
    let daemon_sets = trial.daemon_sets().await.into_iter();
    let mut snapshot: BTreeMap<_, _> =
        daemon_sets.map(|it| (it.uid().unwrap(), format!("{:?} {:?}", it.metadata.annotations, it.spec))).collect();
    snapshot.extend(
        trial.pods().await.into_iter().map(|it| (it.uid().unwrap(), format!("{:?}", it.metadata.deletion_timestamp))),
    );
    let list = trial.list("tools").await;
    snapshot.insert(list.uid().unwrap(), list.resource_version().unwrap());
    snapshot
}

async fn running(trial: &Trial) -> BTreeMap<String, String> {
    trial.settled_on(&["nginx:1.27"]).await;
    trial.validated("tools", "accepted").await;
    let nodes = 5;
    eventually("a running pod on every node", async || {
        let pods = trial.pods().await;
        let running =
            pods.iter().filter(|pod| pod.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Running")));
        (running.count() >= nodes).then_some(())
    })
    .await;
    trial.noted_as_reported("complete").await;
    eventually("the list to say that it is warm", async || {
        trial.list("tools").await.labels().get("kube-prepull.io/warm").is_some_and(|it| it == "true").then_some(())
    })
    .await;
    snapshot(trial).await
}

#[tokio::test]
async fn stopping_changes_nothing() {
    let trial = trial("stop").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = running(&trial).await;
    let (status, _) = controller.stop();
    assert!(status.success(), "{status}");
    assert_eq!(before, snapshot(&trial).await);
}

#[tokio::test]
async fn reconciles_at_steady_state_write_nothing() {
    let trial = trial("steady").await;
    let log = AuditLog::open();
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    running(&trial).await;
    trial.validated("tools", "accepted").await;
    let writes = |from: usize| -> Vec<Request> {
        log.requests(from, &trial.namespace).into_iter().filter(Request::is_write).collect()
    };
    assert!(writes(0).iter().any(|request| request.verb == "patch"), "the log must show the writes that there were");
    let steady = eventually("a reconcile that writes nothing", async || {
        let from = log.length();
        controller.has_reconciled(&trial, "tools").await;
        writes(from).is_empty().then_some(from)
    })
    .await;
    for _ in 0..5 {
        controller.has_reconciled(&trial, "tools").await;
    }
    assert!(writes(steady).is_empty(), "{:#?}\n{}", writes(steady), controller.log());
}

#[tokio::test]
async fn being_killed_and_started_again_changes_nothing() {
    let trial = trial("kill").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = running(&trial).await;
    controller.kill();
    assert_eq!(before, snapshot(&trial).await);
    let _controller = Controller::start(&trial).await;
    // That another list is validated shows that the new process has read everything.
    trial.write_list("other", "images: [Bad]").await;
    trial.validated("other", "rejected").await;
    assert_eq!(before, snapshot(&trial).await);
}

#[tokio::test]
async fn another_version_of_the_controller_alone_begins_no_rollout() {
    let trial = trial("upgrade").await;
    let controller = Controller::start_with(&trial, &["--holder-image", "registry.test/kube-prepull:1"]).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = running(&trial).await;
    controller.kill();
    let _controller = Controller::start_with(&trial, &["--holder-image", "registry.test/kube-prepull:2"]).await;
    trial.write_list("other", "images: [Bad]").await;
    trial.validated("other", "rejected").await;
    assert_eq!(before, snapshot(&trial).await);
}

#[tokio::test]
async fn probes_are_answered_and_other_paths_say_what_there_is() {
    let trial = trial("probes").await;
    let controller = Controller::start(&trial).await;
    assert_eq!(controller.get("/livez").unwrap().0, 200);
    assert_eq!(controller.get("/readyz").unwrap().0, 200);
    let (status, text) = controller.get("/").unwrap();
    assert_eq!(status, 404);
    assert!(text.contains("/readyz"));
}

#[tokio::test]
async fn lists_without_the_label_are_kept_where_they_are_named() {
    let trial = trial("named").await;
    let controller = Controller::start_with(&trial, &["--config-map", "plain"]).await;
    let plain: k8s_openapi::api::core::v1::ConfigMap = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "plain"}, "data": {"images.yaml": "[nginx:1.27]"},
    }))
    .unwrap();
    trial.api().create(&Default::default(), &plain).await.unwrap();
    trial.settled_on(&["nginx:1.27"]).await;
    drop(controller);
}
