//! A namespace whose default node selector excludes nodes, and what is reported of nodes before their pods have come.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::nodes::{Nodes, simulated};
use crate::trial::{Trial, eventually, within};

/// Annotates the trial's namespace as administrators do.
pub async fn select_by_default(trial: &Trial, selector: &str) {
    let patch = json!({"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": selector}}});
    let namespaces = Api::<Namespace>::all(trial.client.clone());
    namespaces.patch(&trial.namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    // The admission plugin reads its own copy of the namespace.
    eventually("the annotation to take effect", async || {
        let pod = json!({"metadata": {"generateName": "try-"}, "spec": {
            "containers": [{"name": "it", "image": "it:1", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        }});
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let pod = match trial.api::<Pod>().create(&dry_run, &serde_json::from_value(pod).unwrap()).await {
            // A new namespace has no account for its pods yet.
            Err(kube::Error::Api(status)) if status.message.contains("serviceaccount \"default\" not found") => {
                return None;
            }
            tried => tried.unwrap(),
        };
        let found = pod.spec.unwrap().node_selector.unwrap_or_default();
        let found: Vec<String> = found.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (found.join(",") == selector).then_some(())
    })
    .await;
}

/// The first group of the only list.
fn group(trial: &Trial) -> Value {
    trial.status()["lists"][0]["groups"][0].clone()
}

#[tokio::test]
async fn nodes_that_the_namespaces_default_node_selector_excludes_are_distinguished_from_full_ones_and_the_remedy_helps()
 {
    let trial = trial("excluded").await;
    let nodes = Nodes::of(&trial);
    for (name, tier) in [("one", "web"), ("two", "db"), ("three", "db")] {
        let mut node = simulated("amd64");
        node["metadata"]["labels"]["tier"] = json!(tier);
        nodes.add(name, node).await;
    }
    select_by_default(&trial, "tier=web").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", &format!("groups: [{{name: p, images: [nginx:1.27], {}}}]", nodes.placement())).await;
    let reported = trial.reported("NodesExcluded").await;
    for words in ["tier=web excludes 2 nodes", &trial.namespace, "scheduler.alpha.kubernetes.io/node-selector="] {
        assert!(reported.contains(words), "{reported}");
    }
    let group_now = eventually("the rollout to be complete elsewhere", async || {
        Some(group(&trial)).filter(|group| group["rollout"]["complete"] == true)
    })
    .await;
    let image = &group_now["images"][0];
    assert_eq!((&image["nodes"]["warm"], &image["nodes"]["excluded"]), (&json!(1), &json!(2)), "{image}");
    let behind = &image["behind"][0];
    assert_eq!((&behind["reason"], &behind["message"]), (&json!("NodeSelector"), &json!("tier=web")));
    assert!(!behind.to_string().contains("capacity"), "{behind}");
    let complete = trial.reported("RolloutComplete").await;
    assert!(complete.contains("is held on 1 node"), "{complete}");

    select_by_default(&trial, "").await;
    let without_node = ListParams::default().fields("spec.nodeName=");
    trial.api::<Pod>().delete_collection(&DeleteParams::default(), &without_node).await.unwrap();
    eventually("all to be warm", async || (trial.status()["warm"] == true).then_some(())).await;
    assert!(trial.events("PodsRefused").await.is_empty() && trial.events("NoCapacity").await.is_empty());
}

/// With `KUBE_PREPULL_TEST_CONTROLLER_QPS=1`, the bed's DaemonSet controller needs more than four minutes for these nodes.
#[tokio::test]
#[ignore = "make test-faults"]
async fn a_daemon_set_controller_that_is_slow_refuses_no_pods() {
    let trial = trial("slow").await;
    let nodes = Nodes::of(&trial);
    for node in 0..60 {
        nodes.add(node, simulated("amd64")).await;
    }
    let _controller = Controller::start(&trial).await;
    let list = format!("groups: [{{name: p, images: [nginx:1.27], {}}}]", nodes.placement());
    trial.write_list("tools", &format!("pullRate: 0\n{list}")).await;
    let begun = Instant::now();
    within(Duration::from_secs(540), "the rollout to be complete", async || {
        let report = trial.status();
        assert!(!report.to_string().contains("\"Missing\""), "after {:?}: {report:#}", begun.elapsed());
        assert!(trial.events("PodsRefused").await.is_empty(), "after {:?}", begun.elapsed());
        Some(trial.events("RolloutComplete").await).filter(|events| !events.is_empty())
    })
    .await;
    println!("the pods of 60 nodes took {:?}", begun.elapsed());
}

#[tokio::test]
async fn no_node_is_reported_to_lack_its_pod_in_the_seconds_before_the_pods_come() {
    let trial = trial("notyet").await;
    let nodes = Nodes::of(&trial);
    nodes.add("one", simulated("amd64")).await;
    let _controller = Controller::start(&trial).await;
    // As often as possible, so that it is seen between the DaemonSet and its pods, and between a node and its pod.
    let until_warm = async |nodes: u64| {
        eventually("all to be warm", async || {
            let report = trial.status();
            assert!(!report.to_string().contains("\"Missing\""), "{report:#}");
            let on = &report["lists"][0]["groups"][0]["images"][0]["nodes"];
            (on["warm"] == nodes && on["total"] == nodes).then_some(())
        })
        .await;
    };
    let list = |image: &str| format!("groups: [{{name: p, images: ['{image}'], {}}}]", nodes.placement());
    trial.write_list("tools", &list("nginx:1.27")).await;
    until_warm(1).await;
    for (name, all) in [("two", 2), ("three", 3), ("four", 4)] {
        nodes.add(name, simulated("amd64")).await;
        until_warm(all).await;
    }
    trial.write_list("tools", &list("redis:7")).await;
    until_warm(4).await;
}
