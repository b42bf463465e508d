//! What lists may say, as the API server, its admission and its controllers take it.

use std::time::Instant;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::events::note;
use super::trial;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::nodes::{Nodes, simulated};
use crate::trial::{Trial, clean_up, eventually};

/// A RuntimeClass of the trial's own, which goes with this value. It is cluster-scoped, so it is named by the namespace.
struct OwnRuntimeClass<'t>(&'t Trial);

impl<'t> OwnRuntimeClass<'t> {
    async fn create(trial: &'t Trial, rest: Value) -> Self {
        let mut class = rest;
        class["metadata"] = json!({"name": trial.namespace});
        class["handler"] = json!("sandboxed");
        let class: RuntimeClass = serde_json::from_value(class).unwrap();
        Api::all(trial.client.clone()).create(&PostParams::default(), &class).await.unwrap();
        Self(trial)
    }
}

impl Drop for OwnRuntimeClass<'_> {
    fn drop(&mut self) {
        let name = self.0.namespace.clone();
        clean_up(&self.0.kubeconfig, async move |client| {
            Api::<RuntimeClass>::all(client).delete(&name, &DeleteParams::default()).await
        });
    }
}

async fn running(trial: &Trial) -> Pod {
    let is_running = |pod: &Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
    eventually("a pod that runs", async || trial.pods().await.into_iter().find(is_running)).await
}

#[tokio::test]
async fn pods_get_overhead_and_tolerations_of_their_runtime_class_and_the_daemon_set_stays_as_it_was_built() {
    let trial = trial("runtimeclass").await;
    let rest = json!({
        "overhead": {"podFixed": {"cpu": "5m", "memory": "7Mi"}},
        "scheduling": {"tolerations": [{"key": "sandbox.test/only", "operator": "Exists"}]},
    });
    let _class = OwnRuntimeClass::create(&trial, rest).await;
    let _controller = Controller::start(&trial).await;
    let list = format!("images: [nginx:1.27]\nruntimeClassName: {}", trial.namespace);
    trial.write_list("tools", &list).await;
    let pod = running(&trial).await.spec.unwrap();
    assert_eq!(pod.runtime_class_name.as_ref(), Some(&trial.namespace));
    assert_eq!(pod.overhead.unwrap()["memory"].0, "7Mi");
    let tolerations = pod.tolerations.unwrap();
    assert!(tolerations.iter().any(|it| it.key.as_deref() == Some("sandbox.test/only")), "{tolerations:?}");
    note(&trial, "RolloutComplete").await;
    let made: Vec<DaemonSet> = trial.daemon_sets().await;
    assert_eq!((made.len(), made[0].metadata.generation), (1, Some(1)), "admission changes pods, not the DaemonSet");
    let requests = &trial.status()["requests"]["perNode"];
    assert_eq!(*requests, json!({"cpuMillis": 6, "memoryBytes": 8 << 20}), "one holder and the overhead");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_runtime_class_that_does_not_exist_is_named_and_an_edit_corrects_it() {
    let trial = trial("noruntimeclass").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\nruntimeClassName: nowhere").await;
    let reported = note(&trial, "PodsRefused").await;
    assert!(reported.contains(r#"pod rejected: RuntimeClass "nowhere" not found"#), "{reported}");
    assert!(reported.ends_with("create the RuntimeClass, or correct runtimeClassName in the list"), "{reported}");
    trial.write_list("tools", "images: [nginx:1.27]").await;
    running(&trial).await;
}

#[tokio::test]
async fn a_quota_for_ephemeral_storage_is_met_by_a_list_that_says_what_it_needs() {
    let trial = trial("storagequota").await;
    let hard = json!({"requests.ephemeral-storage": "100Gi", "limits.ephemeral-storage": "100Gi"});
    trial.create::<ResourceQuota>(json!({"metadata": {"name": "storage"}, "spec": {"hard": hard}})).await;
    let _controller = Controller::start(&trial).await;
    let nodes = Nodes::of(&trial);
    let amounts = json!({"cpu": "32", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    let mut node = simulated("amd64");
    node["status"] = json!({"capacity": amounts, "allocatable": amounts});
    nodes.add("0", node).await;
    let resources = "resources: {requests: {ephemeral-storage: 1Mi}, limits: {ephemeral-storage: 2Mi}}";
    let group = format!("{{name: g, images: [nginx:1.27, redis:7], {resources}, {}}}", nodes.placement());
    trial.write_list("tools", &format!("groups: [{group}]")).await;
    let pod = running(&trial).await.spec.unwrap();
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        let resources = container.resources.clone().unwrap();
        assert_eq!(resources.requests.unwrap()["ephemeral-storage"].0, "1Mi", "{}", container.name);
        assert_eq!(resources.limits.unwrap()["ephemeral-storage"].0, "2Mi", "{}", container.name);
    }
    eventually("status to count it", async || {
        (trial.status()["requests"]["perNode"]["ephemeralStorageBytes"] == 2 << 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_that_the_api_server_does_not_take_is_reported_in_its_words_and_not_at_each_attempt() {
    let trial = trial("comparing").await;
    let log = AuditLog::open();
    let begun = Instant::now();
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\ntolerations: [{key: sla, operator: Gt, value: '950'}]").await;
    trial.validated("tools", "accepted").await;
    let reported = trial.reported("Refused").await;
    assert!(reported.contains(r#"tolerations[0].operator: Unsupported value: "Gt""#), "{reported}");
    eventually("some more attempts", async || {
        let mut attempts = log.requests(0, &trial.namespace);
        attempts.retain(|it| it.verb == "patch" && it.uri.contains("/daemonsets/") && !it.succeeded());
        (attempts.len() >= 4).then_some(())
    })
    .await;
    // Each attempt has a DaemonSet of another name.
    let events = trial.events("Refused").await.len();
    let minutes = begun.elapsed().as_secs() / 60;
    assert!(events <= 1 + usize::try_from(minutes).unwrap(), "{events} Events in {minutes} minutes");
    trial.write_list("tools", "images: [nginx:1.27]\ntolerations: [{key: sla, operator: Exists}]").await;
    trial.settled_on(&["nginx:1.27"]).await;
}
