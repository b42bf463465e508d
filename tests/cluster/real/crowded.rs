//! Nodes that have no capacity for two generations: those that run as many pods as they may, and full ones.
//!
//! They take minutes, so `make test-faults` runs them.

use k8s_openapi::api::core::v1::{Node as KubeNode, Pod};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_bed::{Digest, Node};

use super::RealTrial;
use super::faults::{HEALING, OtherKubelet, Outage};
use super::workloads::pod_spec;
use crate::trial::eventually;

/// What the node runs now is all that its kubelet may run. Returns when the node says so.
async fn pod_limit_is_reached(outage: &Outage, node: &Node) -> OtherKubelet {
    let everywhere: Api<Pod> = Api::all(outage.real.trial.client.clone());
    let on_node = ListParams::default().fields(&format!("spec.nodeName={}", node.name()));
    // What other tests left is about to go.
    let own = Some(outage.real.trial.namespace.as_str());
    let pods = eventually("nothing to be there but what stays", async || {
        let pods = everywhere.list(&on_node).await.unwrap().items;
        let stays = |pod: &Pod| pod.metadata.namespace.as_deref() == own && pod.metadata.deletion_timestamp.is_none();
        pods.iter().all(stays).then_some(pods.len())
    })
    .await;
    let limited = OtherKubelet::of(node, &[("maxPods", json!(pods))]);
    eventually("the node to say what it may run", async || {
        let found = Api::<KubeNode>::all(outage.real.trial.client.clone()).get(node.name()).await.unwrap();
        let allocatable = found.status?.allocatable?;
        (allocatable["pods"].0 == pods.to_string()).then_some(())
    })
    .await;
    limited
}

/// Another workload's pod, with these requests. Returns its uid once it runs.
async fn other_pod(outage: &Outage, node: &str, requests: Value) -> String {
    let mut spec = pod_spec(&outage.real.reference("kube-prepull:1"));
    spec["nodeName"] = json!(node);
    spec["containers"][0]["resources"] = json!({"requests": requests});
    outage.real.trial.create::<Pod>(json!({"metadata": {"name": "other"}, "spec": spec})).await;
    eventually("another workload's pod to run", async || running(outage).await).await
}

/// The uid of another workload's pod, while it runs.
async fn running(outage: &Outage) -> Option<String> {
    let pod = outage.real.trial.api::<Pod>().get_opt("other").await.unwrap()?;
    (pod.status.as_ref()?.phase.as_deref() == Some("Running")).then(|| pod.uid().unwrap())
}

/// A refresh where the second node has no capacity for two pods: the old one leaves it after a while, and that is reported so.
async fn the_new_generation_comes_after_a_while(outage: &Outage, old: &Digest, new: &Digest, reported_as: &str) {
    let watch = outage.real.watch(&[&[old.as_str(), new.as_str()]]);
    outage.refresh("crowded").await;
    eventually("the other node to have the new image", async || {
        outage.real.held_on("node1").contains(&new.to_string()).then_some(())
    })
    .await;
    // Another test's image is held there too.
    let held = outage.real.held_on("node2");
    assert!(held.contains(&old.to_string()) && !held.contains(&new.to_string()), "the old one does not leave at once");
    let reported = outage.real.trial.reported_within(HEALING, "NoCapacity").await;
    assert!(reported.contains(reported_as), "{reported}");
    outage.settled("2").await;
    outage.await_held(&[new]).await;
    // One slot cannot hold two, so node2 has a gap, which may be too short to be seen.
    let gaps = watch.gaps();
    assert!(gaps.iter().all(|gap| gap.node == "node2"), "the other node holds throughout: {gaps:?}");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_at_its_pod_limit_gets_the_new_generation_after_a_while_and_loses_nobody_elses_pod() {
    let outage = Outage::on(RealTrial::begin_alone("podlimit").await).await;
    let old = outage.hold("app:1", "old").await;
    let other = other_pod(&outage, "node2", json!({})).await;
    let _limited = pod_limit_is_reached(&outage, &outage.real.nodes[1]).await;
    let new = outage.push("app:1", "new");
    let pod_limit = "for two pods: node2 (its pod limit is reached)";
    the_new_generation_comes_after_a_while(&outage, &old, &new, pod_limit).await;
    assert_eq!(running(&outage).await, Some(other), "the pod that was there before runs on");
}

/// A PriorityClass of a test's own.
struct Priority(Outage);

impl Priority {
    fn name(&self) -> &str {
        &self.0.real.trial.namespace
    }

    async fn begin(outage: Outage) -> Self {
        let priority = Self(outage);
        let class: PriorityClass = serde_json::from_value(
            json!({"metadata": {"name": priority.name()}, "value": 1000, "preemptionPolicy": "Never"}),
        )
        .unwrap();
        let classes = Api::<PriorityClass>::all(priority.0.real.trial.client.clone());
        classes.create(&PostParams::default(), &class).await.unwrap();
        priority
    }
}

impl Drop for Priority {
    fn drop(&mut self) {
        let _ = self.0.real.bed.kubectl(["delete", "priorityclass", self.name(), "--wait=false"]);
    }
}

/// What fills a node so that there is capacity for one holder and not for two.
fn rest_of(outage: &Outage, node: &str, millicores: u32) -> Value {
    let allocatable = ["get", "node", node, "-o", "jsonpath={.status.allocatable.cpu}"];
    let cores: u32 = outage.real.bed.kubectl(allocatable).unwrap().parse().unwrap();
    json!({"cpu": format!("{}m", cores * 1000 - millicores - millicores / 2)})
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_full_node_is_left_by_the_old_generation_after_a_while_and_by_nobody_elses_pods() {
    let priority = Priority::begin(Outage::on(RealTrial::begin_alone("full").await).await).await;
    let outage = &priority.0;
    let old = outage.push("app:1", "old");
    let images = json!([outage.real.reference_at(outage.faulty.name(), "app:1")]);
    let list = format!(
        "groups: [{{name: big, images: {images}, priorityClassName: {}, resources: {{requests: {{cpu: 300m}}}}}}]\n\
         refresh: {{every: 24h, mode: Always}}\n",
        priority.name()
    );
    outage.real.trial.write_list("tools", &list).await;
    outage.await_held(&[&old]).await;
    let other = other_pod(outage, "node2", rest_of(outage, "node2", 300)).await;
    let new = outage.push("app:1", "new");
    the_new_generation_comes_after_a_while(outage, &old, &new, "for two pods: node2 (").await;
    assert_eq!(running(outage).await, Some(other), "a priority that never preempts evicts nobody");
}
