//! The mode OnChange as the API server sees it. Simulated nodes say nothing of digests, so nothing ever moves here.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod, ResourceQuota};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, ResourceExt};
use kube_prepull::naming::labels;
use serde_json::{Value, json};

use super::trial;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::nodes::{Nodes, simulated, unattended};
use crate::tag_checks::{answered, request, tag_check_record, tag_checks};
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
async fn a_refresh_is_one_tag_check_that_is_noted_and_goes_and_no_rollout() {
    let trial = trial("tagcheck").await;
    let log = AuditLog::open();
    let _controller = Controller::start(&trial).await;
    let before = settled(&trial).await;
    request(&trial, "one").await;
    answered(&trial, "one").await;
    request(&trial, "two").await;
    answered(&trial, "two").await;
    let after = trial.settled_on(&["nginx:1.27", "busybox:1"]).await;
    assert_eq!((before.metadata.uid, before.metadata.generation), (after.metadata.uid, after.metadata.generation));
    assert_eq!(made(&log, &trial), 2, "one for each request");
    assert_eq!(trial.revisions().await.len(), 1, "the list was never edited");
}

/// How many tag checks a controller has made: generations are applied, and not created.
fn made(log: &AuditLog, trial: &Trial) -> usize {
    let requests = log.requests(0, &trial.namespace);
    requests.iter().filter(|it| it.verb == "create" && it.resource() == "daemonsets").count()
}

#[tokio::test]
async fn a_tag_check_belongs_to_the_controllers_deployment_and_its_pod_may_be_evicted() {
    let trial = trial("checkowner").await;
    let labels = json!({"app": "controller"});
    let container = json!({"name": "c", "image": "c"});
    let deployment: Deployment = serde_json::from_value(json!({"metadata": {"name": "controller"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}}))
    .unwrap();
    let deployment = trial.api::<Deployment>().create(&PostParams::default(), &deployment).await.unwrap();
    let controller = Controller::start_with(&trial, &["--deployment", "controller"]).await;
    settled(&trial).await;
    let (check, pod, ()) = futures::join!(next_of::<DaemonSet>(&trial), next_of::<Pod>(&trial), request(&trial, "one"));
    drop(controller);
    let owners = |metadata: &ObjectMeta| -> Vec<(String, Option<bool>)> {
        metadata.owner_references.iter().flatten().map(|it| (it.uid.clone(), it.controller)).collect()
    };
    assert_eq!(owners(&check.metadata), [(deployment.uid().unwrap(), None)]);
    assert_eq!(owners(&pod.metadata), [(check.uid().unwrap(), Some(true))]);
    assert_eq!(pod.annotations()["cluster-autoscaler.kubernetes.io/safe-to-evict"], "true");
}

/// The next object of a tag check that is made, however short it lives.
async fn next_of<K>(trial: &Trial) -> K
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    use futures::{StreamExt, pin_mut};
    use kube::runtime::WatchStreamExt;
    let config = kube::runtime::watcher::Config::default().labels(labels::TAG_CHECK);
    let objects = kube::runtime::watcher(trial.api::<K>(), config).applied_objects();
    pin_mut!(objects);
    tokio::time::timeout(crate::trial::SOON, objects.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn a_tag_check_that_another_controller_left_behind_is_deleted() {
    let trial = trial("notours").await;
    let controller = Controller::start(&trial).await;
    let daemon_set = settled(&trial).await;
    controller.kill();
    let security = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = json!({"name": "c", "image": "c", "securityContext": {
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    let of_check = json!({labels::MANAGED_BY: labels::PROGRAM, labels::LIST: "tools", labels::GROUP: "default",
                          labels::TAG_CHECK: "some"});
    let pod =
        json!({"metadata": {"labels": of_check}, "spec": {"securityContext": security, "containers": [container]}});
    let left = json!({"metadata": {"name": "left", "labels": of_check},
                      "spec": {"selector": {"matchLabels": of_check}, "template": pod}});
    trial.create::<DaemonSet>(left).await;
    let _controller = Controller::start(&trial).await;
    eventually("the former tag check to go", async || tag_checks(&trial).await.is_empty().then_some(())).await;
    let after = trial.settled_on(&["nginx:1.27", "busybox:1"]).await;
    assert_eq!(after.metadata.uid, daemon_set.metadata.uid);
}

#[tokio::test]
async fn a_tag_check_that_cannot_be_made_is_reported_and_made_as_soon_as_it_can() {
    let trial = trial("checkquota").await;
    let _controller = Controller::start(&trial).await;
    settled(&trial).await;
    // The generation has its own pods before.
    trial.noted_as_reported("complete").await;
    hold_back_pods(&trial, true).await;
    request(&trial, "one").await;
    let reported = eventually("the Event", async || {
        trial
            .events("Refused")
            .await
            .into_iter()
            .find(|it| it.note.as_ref().is_some_and(|it| it.contains("the tag check")))
    });
    assert!(reported.await.note.unwrap().contains("exceeded quota"));
    hold_back_pods(&trial, false).await;
    answered(&trial, "one").await;
}

#[tokio::test]
async fn where_no_node_can_take_the_tag_check_an_event_says_so_and_it_follows_when_one_can() {
    let trial = trial("nonode").await;
    let nodes = Nodes::of(&trial);
    let mut cordoned = simulated("amd64");
    cordoned["spec"] = json!({"unschedulable": true});
    nodes.add("cordoned", cordoned).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", &format!("groups: [{{name: g, images: [nginx:1.27], {}}}]", nodes.placement())).await;
    trial.settled_on(&["nginx:1.27"]).await;
    request(&trial, "one").await;
    eventually("an Event that says so", async || {
        let words = "no node of the architecture amd64 can run the tag check";
        let mut notes = trial.events("Waiting").await.into_iter().filter_map(|event| event.note);
        notes.find(|note| note.contains(words))
    })
    .await;
    nodes.patch("cordoned", &json!({"spec": {"unschedulable": false}})).await;
    answered(&trial, "one").await;
}

/// A refresh whose tag check is underway on the node `quiet`, which never answers, since the node `other` is cordoned.
async fn underway<'t>(trial: &'t Trial, nodes: &Nodes<'t>) -> Controller {
    nodes.add("quiet", unattended("amd64")).await;
    let mut other = simulated("amd64");
    other["spec"] = json!({"unschedulable": true});
    nodes.add("other", other).await;
    let controller = Controller::start(trial).await;
    trial.write_list("tools", &format!("groups: [{{name: g, images: [nginx:1.27], {}}}]", nodes.placement())).await;
    trial.settled_on(&["nginx:1.27"]).await;
    request(trial, "one").await;
    eventually("a tag check on the quiet node", async || {
        let pods = pods_on(trial, &nodes.name("quiet")).await;
        (pods.len() == 1).then_some(())
    })
    .await;
    controller
}

/// The pods of tag checks on a node.
async fn pods_on(trial: &Trial, node: &str) -> Vec<Pod> {
    let of_checks = ListParams::default().labels(labels::TAG_CHECK).fields(&format!("spec.nodeName={node}"));
    trial.api::<Pod>().list(&of_checks).await.unwrap().items
}

/// Waits until the pod of the tag check on the quiet node is asked to go, which it never does.
async fn stuck(trial: &Trial, nodes: &Nodes<'_>) {
    eventually("the pod on the quiet node to be asked to go", async || {
        let pods = pods_on(trial, &nodes.name("quiet")).await;
        (pods.len() == 1 && pods[0].metadata.deletion_timestamp.is_some()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_tag_check_that_is_stuck_on_a_lost_node_blocks_no_refresh() {
    let trial = trial("stuckcheck").await;
    let nodes = Nodes::of(&trial);
    let _controller = underway(&trial, &nodes).await;
    nodes.lose("quiet").await;
    stuck(&trial, &nodes).await;
    nodes.patch("other", &json!({"spec": {"unschedulable": false}})).await;
    answered(&trial, "one").await;
    stuck(&trial, &nodes).await;
    request(&trial, "two").await;
    answered(&trial, "two").await;
}

#[tokio::test]
async fn a_node_can_be_drained_while_a_tag_check_is_underway_and_while_it_goes() {
    let trial = trial("draincheck").await;
    let nodes = Nodes::of(&trial);
    let _controller = underway(&trial, &nodes).await;
    let drain = || {
        let cluster = test_bed::Simulated::running().unwrap();
        cluster.kubectl(["drain", &nodes.name("quiet"), "--ignore-daemonsets", "--timeout", "60s"]).unwrap()
    };
    drain();
    assert_eq!(pods_on(&trial, &nodes.name("quiet")).await.len(), 1, "it was there all the time");
    stuck(&trial, &nodes).await;
    drain();
    let quiet = Api::<Node>::all(trial.client.clone()).get(&nodes.name("quiet")).await.unwrap();
    assert_eq!(quiet.spec.unwrap().unschedulable, Some(true));
    nodes.patch("other", &json!({"spec": {"unschedulable": false}})).await;
    answered(&trial, "one").await;
}

#[tokio::test]
async fn a_tag_check_that_is_underway_is_taken_for_no_generation_and_no_form_of_the_list() {
    let trial = trial("checkrevision").await;
    let nodes = Nodes::of(&trial);
    let _controller = underway(&trial, &nodes).await;
    eventually("the DaemonSet controller's revision", async || {
        let of_checks = ListParams::default().labels(labels::TAG_CHECK);
        (trial.api::<ControllerRevision>().list(&of_checks).await.unwrap().items.len() == 1).then_some(())
    })
    .await;
    assert_eq!(trial.revisions().await.len(), 1, "the list's own");
    // A cordoned node counts as soon as it has a pod of the list.
    eventually("both nodes to count, in one group", async || {
        let status = trial.status();
        let groups = status["lists"][0]["groups"].as_array()?;
        (groups.len() == 1 && groups[0]["images"][0]["nodes"]["total"] == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_the_right_to_read_nodes_none_is_made_for_a_group_that_has_no_node() {
    let trial = trial("nogpu").await;
    let log = AuditLog::open();
    let nodes = Nodes::of(&trial);
    nodes.add("cold", unattended("amd64")).await;
    nodes.add("warm", simulated("amd64")).await;
    let controller = Controller::start_with(&trial, &["--namespaced-only"]).await;
    let gpu = "{name: a-gpu, images: [nginx:1.27], nodeSelector: {accelerator: none}}";
    let here = format!("{{name: here, images: [nginx:1.27], {}}}", nodes.placement());
    trial.write_list("tools", &format!("groups: [{gpu}, {here}]")).await;
    // What pods there are, the controller may learn after it has learned of the request.
    eventually("the controller to know that the warm node holds the image", async || {
        let report: Value = serde_json::from_str(&controller.get("/status")?.1).ok()?;
        let here = report["lists"][0]["groups"].as_array()?.iter().find(|group| group["name"] == "here")?;
        (here["images"][0]["nodes"]["warm"] == 1).then_some(())
    })
    .await;
    request(&trial, "one").await;
    eventually("the group with nodes to be checked", async || {
        let found = trial.daemon_sets().await;
        found.iter().any(|it| it.labels()[labels::GROUP] == "here" && tag_check_record(it).answers("one")).then_some(())
    })
    .await;
    assert_eq!(made(&log, &trial), 1, "on the warm node: the other one never answers");
    assert_eq!(trial.events("Waiting").await.len(), 0);
}
