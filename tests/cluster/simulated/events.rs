//! What is reported of groups. What kubelets and registries really say is shown on real nodes.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::trial::{SOON, Trial, eventually};

/// As long as a DaemonSet may be without pods before that is reported, and some time more.
const CONDITIONS: std::time::Duration = std::time::Duration::from_secs(240);

pub(super) async fn note(trial: &Trial, reason: &str) -> String {
    trial.reported_within(CONDITIONS, reason).await
}

#[tokio::test]
async fn the_end_of_a_rollout_is_reported_once_whatever_happens_to_the_controller() {
    let trial = trial("complete").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    let reported = note(&trial, "RolloutComplete").await;
    assert!(reported.contains("is complete after ") && reported.contains("2 images are held on "), "{reported}");
    trial.noted_as_reported("complete").await;
    controller.kill();
    let _controller = Controller::start(&trial).await;
    trial.write_list("other", "images: [nginx:1.27]").await;
    eventually("the rollout of the other list", async || {
        (trial.events("RolloutComplete").await.len() == 2).then_some(())
    })
    .await;
    let mut about: Vec<_> =
        trial.events("RolloutComplete").await.into_iter().filter_map(|it| it.regarding?.name).collect();
    about.sort();
    assert_eq!(about, ["other", "tools"]);
}

#[tokio::test]
async fn a_group_that_matches_no_node_is_reported_once_by_all_controllers_together() {
    let trial = trial("nonodes").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "groups: [{name: gpu, images: [nginx:1.27], nodeSelector: {gpu: none}}]").await;
    let reported = note(&trial, "NoNodes").await;
    assert!(reported.starts_with("group gpu: no node matches, so its images are held nowhere"), "{reported}");
    trial.noted_as_reported("noNodes").await;
    controller.kill();
    let _controller = Controller::start(&trial).await;
    // Another list shows that this controller has read all pods.
    trial.write_list("other", "images: [nginx:1.27]").await;
    note(&trial, "RolloutComplete").await;
    assert_eq!(trial.events("NoNodes").await.len(), 1);
}

/// An eviction for want of disk, as a kubelet reports it. The DaemonSet controller makes another pod at once.
async fn evict(trial: &Trial, node: &str) {
    let pod = eventually("a pod that runs there", async || {
        let on = ListParams::default().fields(&format!("spec.nodeName={node},status.phase=Running"));
        trial.api::<Pod>().list(&on).await.unwrap().items.pop().filter(|pod| pod.metadata.deletion_timestamp.is_none())
    })
    .await;
    let now = jiff::Timestamp::now();
    let disruption = json!({"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
                            "lastTransitionTime": format!("{now:.0}")});
    let status = json!({"phase": "Failed", "reason": "Evicted", "conditions": [disruption],
                        "message": "The node was low on resource: ephemeral-storage. Threshold quantity: 1."});
    let patch = Patch::Strategic(json!({"status": status}));
    trial.api::<Pod>().patch_status(&pod.name_any(), &PatchParams::default(), &patch).await.unwrap();
    eventually("the pod to be replaced", async || {
        let there = trial.api::<Pod>().get_opt(&pod.name_any()).await.unwrap();
        there.is_none_or(|it| it.uid() != pod.uid()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_holder_that_is_evicted_again_and_again_is_reported_once_and_stays_known() {
    let trial = trial("evicted").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    note(&trial, "RolloutComplete").await;
    for _ in 0..3 {
        evict(&trial, "node-000001").await;
    }
    let reported = note(&trial, "EvictionLoop").await;
    assert!(
        reported.contains("the holder was evicted at least 3 times within 1h on 1 node (node-000001)"),
        "{reported}"
    );
    trial.noted_as_reported("node-000001").await;
    controller.kill();
    let _controller = Controller::start(&trial).await;
    for _ in 0..3 {
        evict(&trial, "node-000001").await;
    }
    trial.write_list("other", "images: [nginx:1.27]").await;
    eventually("the other rollout", async || (trial.events("RolloutComplete").await.len() == 2).then_some(())).await;
    assert_eq!(trial.events("EvictionLoop").await.len(), 1);
    let status = trial.status();
    let lists = status["lists"].as_array().unwrap();
    let tools = lists.iter().find(|list| list["name"] == "tools").unwrap();
    assert_eq!(tools["groups"][0]["evictionLoops"][0]["node"], "node-000001", "a command that reads once knows it too");
}

async fn quota(trial: &Trial, name: &str, hard: Value) {
    let resource = hard.as_object().unwrap().keys().next().unwrap().clone();
    trial.create::<ResourceQuota>(json!({"metadata": {"name": name}, "spec": {"hard": hard}})).await;
    eventually("the quota to be counted", async || {
        let quota: ResourceQuota = trial.api().get(name).await.unwrap();
        quota.status?.used.filter(|used| used.contains_key(&resource)).map(drop)
    })
    .await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_quota_that_wants_limits_is_reported_in_its_own_words_and_limits_in_the_list_satisfy_it() {
    let trial = trial("wantslimits").await;
    quota(&trial, "explicit", json!({"limits.cpu": "100", "limits.memory": "100Gi"})).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let reported = note(&trial, "PodsRefused").await;
    assert!(
        reported.contains("has no pod on ") && reported.contains("failed quota: explicit: must specify limits.cpu"),
        "{reported}"
    );
    assert!(reported.contains("set the resources that it names in the list"), "{reported}");
    let limits = "resources: {limits: {cpu: 10m, memory: 32Mi}}";
    trial.write_list("tools", &format!("groups: [{{name: g, images: [nginx:1.27], {limits}}}]")).await;
    eventually("pods", async || trial.pods().await.iter().any(is_running).then_some(())).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_quota_that_is_used_up_is_reported_in_its_own_words_and_takes_nothing_away() {
    let trial = trial("usedup").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    note(&trial, "RolloutComplete").await;
    let nodes = trial.pods().await.len();
    quota(&trial, "full", json!({"count/pods": nodes.to_string()})).await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    let reported = note(&trial, "PodsRefused").await;
    assert!(reported.contains("exceeded quota: full") && reported.contains("raise the ResourceQuota"), "{reported}");
    assert_eq!(trial.pods().await.iter().filter(|pod| is_running(pod)).count(), nodes);
    trial.api::<ResourceQuota>().delete("full", &DeleteParams::default()).await.unwrap();
    // The DaemonSet controller tries again after twice the pause before: by now that is some minutes.
    trial.settled_within(SOON * 3, &["nginx:1.27", "redis:7"]).await;
}

fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

async fn limit_range(trial: &Trial, limits: Value) {
    let mut limits = limits;
    limits["type"] = json!("Container");
    trial.create::<LimitRange>(json!({"metadata": {"name": "range"}, "spec": {"limits": [limits]}})).await;
}

#[tokio::test]
async fn a_limit_ranges_defaults_replace_no_request_and_keep_no_pod_away() {
    let trial = trial("limitrange").await;
    let defaults =
        json!({"default": {"cpu": "500m", "memory": "512Mi"}, "defaultRequest": {"cpu": "250m", "memory": "256Mi"}});
    limit_range(&trial, defaults).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let pod = eventually("a pod that runs", async || trial.pods().await.into_iter().find(is_running)).await;
    let spec = pod.spec.unwrap();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let resources = container.resources.clone().unwrap();
        let (requests, limits) = (resources.requests.unwrap(), resources.limits.unwrap());
        assert_eq!((requests["cpu"].0.as_str(), requests["memory"].0.as_str()), ("1m", "1Mi"), "{}", container.name);
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("500m", "512Mi"), "{}", container.name);
    }
    let made: Vec<DaemonSet> = trial.daemon_sets().await;
    assert_eq!(made[0].metadata.generation, Some(1), "what is injected into pods is no reason to repair anything");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_limit_range_that_allows_less_than_the_list_wants_is_reported_in_its_own_words() {
    let trial = trial("belowmax").await;
    limit_range(&trial, json!({"max": {"memory": "16Mi"}})).await;
    let _controller = Controller::start(&trial).await;
    let limits = "resources: {limits: {cpu: 10m, memory: 64Mi}}";
    trial.write_list("tools", &format!("groups: [{{name: g, images: [nginx:1.27], {limits}}}]")).await;
    let reported = note(&trial, "PodsRefused").await;
    assert!(reported.contains("maximum memory usage per Container is 16Mi, but limit is 64Mi"), "{reported}");
    trial.write_list("tools", "groups: [{name: g, images: [nginx:1.27]}]").await;
    eventually("pods", async || trial.pods().await.iter().any(is_running).then_some(())).await;
}
