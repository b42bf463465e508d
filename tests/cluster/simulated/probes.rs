//! The mode OnChange as the API server sees it. Simulated nodes say nothing of digests, so nothing ever moves here.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use kube_prepull::naming::labels;
use serde_json::json;

use super::trial;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::looks::{answered, probes, request};
use crate::nodes::{Nodes, simulated};
use crate::trial::{Trial, eventually};

const LIST: &str = "images: [nginx:1.27, busybox:1]";

async fn settled(trial: &Trial) -> DaemonSet {
    trial.write_list("tools", LIST).await;
    trial.settled_on(&["nginx:1.27", "busybox:1"]).await
}

/// Lets no pod be made, or lets them be made again.
async fn hold_back_pods(trial: &Trial, hold_back: bool) {
    if hold_back {
        let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/pods": "0"}}});
        trial.create::<ResourceQuota>(quota).await;
        eventually("the quota to be counted", async || {
            let quota: ResourceQuota = trial.api().get("none").await.unwrap();
            quota.status?.used.filter(|used| used.contains_key("count/pods")).map(drop)
        })
        .await;
    } else {
        trial.api::<ResourceQuota>().delete("none", &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_refresh_is_one_probe_that_is_noted_and_goes_and_no_round() {
    let trial = trial("probe").await;
    let log = AuditLog::open();
    let _controller = Controller::start(&trial).await;
    let before = settled(&trial).await;
    request(&trial, "one").await;
    answered(&trial, "one").await;
    request(&trial, "two").await;
    answered(&trial, "two").await;
    let after = trial.settled_on(&["nginx:1.27", "busybox:1"]).await;
    assert_eq!((before.metadata.uid, before.metadata.generation), (after.metadata.uid, after.metadata.generation));
    let requests = log.requests(0, &trial.namespace);
    let created = requests.iter().filter(|it| it.verb == "create" && it.resource() == "pods");
    assert_eq!(created.count(), 2, "one for each request");
}

#[tokio::test]
async fn a_probe_belongs_to_the_controllers_deployment_and_to_no_daemon_set() {
    let trial = trial("probeowner").await;
    let labels = json!({"app": "controller"});
    let container = json!({"name": "c", "image": "c"});
    let deployment: Deployment = serde_json::from_value(json!({"metadata": {"name": "controller"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}}))
    .unwrap();
    let deployment = trial.api::<Deployment>().create(&PostParams::default(), &deployment).await.unwrap();
    let controller = Controller::start_with(&trial, &["--deployment", "controller"]).await;
    settled(&trial).await;
    let (probe, ()) = futures::join!(watch_for_probe(&trial), request(&trial, "one"));
    drop(controller);
    let owners = probe.owner_references();
    assert_eq!(owners.iter().map(|it| it.uid.as_str()).collect::<Vec<_>>(), [deployment.uid().unwrap()]);
    assert_eq!(owners[0].controller, None, "no DaemonSet may adopt it, and no Deployment count it");
    assert_eq!(probe.spec.unwrap().active_deadline_seconds, Some(600));
}

/// The next probe that is made, however short it lives.
async fn watch_for_probe(trial: &Trial) -> Pod {
    use futures::{StreamExt, pin_mut};
    use kube::runtime::WatchStreamExt;
    let config = kube::runtime::watcher::Config::default().labels(labels::PROBE);
    let pods = kube::runtime::watcher(trial.api::<Pod>(), config).applied_objects();
    pin_mut!(pods);
    tokio::time::timeout(crate::trial::SOON, pods.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn a_probe_that_another_controller_left_behind_is_deleted() {
    let trial = trial("leftover").await;
    let controller = Controller::start(&trial).await;
    let daemon_set = settled(&trial).await;
    controller.kill();
    let security = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = json!({"name": "c", "image": "c", "securityContext": {
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    let of_probe = json!({labels::LIST: "tools", labels::GROUP: "default", labels::PROBE: "some"});
    let left = json!({"metadata": {"name": "left", "labels": of_probe},
                      "spec": {"securityContext": security, "containers": [container]}});
    trial.create::<Pod>(left).await;
    let _controller = Controller::start(&trial).await;
    eventually("the leftover to go", async || probes(&trial).await.is_empty().then_some(())).await;
    let after = trial.settled_on(&["nginx:1.27", "busybox:1"]).await;
    assert_eq!(after.metadata.uid, daemon_set.metadata.uid);
}

#[tokio::test]
async fn a_probe_that_cannot_be_made_is_told_and_made_as_soon_as_it_can() {
    let trial = trial("probequota").await;
    let _controller = Controller::start(&trial).await;
    settled(&trial).await;
    hold_back_pods(&trial, true).await;
    request(&trial, "one").await;
    let told = eventually("the Event", async || {
        trial.events("Refused").await.into_iter().find(|it| it.note.as_ref().is_some_and(|it| it.contains("the probe")))
    });
    assert!(told.await.note.unwrap().contains("exceeded quota"));
    hold_back_pods(&trial, false).await;
    answered(&trial, "one").await;
}

#[tokio::test]
async fn where_no_node_can_run_the_probe_an_event_says_so_and_it_follows_when_one_can() {
    let trial = trial("nonode").await;
    let nodes = Nodes::of(&trial);
    let mut cordoned = simulated("amd64");
    cordoned["spec"] = json!({"unschedulable": true});
    nodes.add("cordoned", cordoned).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", &format!("groups: [{{name: g, images: [nginx:1.27], {}}}]", nodes.placement())).await;
    trial.settled_on(&["nginx:1.27"]).await;
    request(&trial, "one").await;
    let told = trial.told("Waiting").await;
    assert!(told.starts_with("group g: no node of the architecture amd64 can take the probe"), "{told}");
    nodes.patch("cordoned", &json!({"spec": {"unschedulable": false}})).await;
    answered(&trial, "one").await;
}
