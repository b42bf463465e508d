//! Nodes that run as many pods as they may.
//!
//! They take minutes, so `make test-faults` runs them.

use k8s_openapi::api::core::v1::{Node as KubeNode, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use test_bed::Node;

use super::RealTrial;
use super::faults::{HEALING, OtherKubelet, Outage};
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

/// Somebody else's pod.
async fn other_pod(outage: &Outage, node: &str) -> String {
    let container = json!({
        "name": "other", "image": outage.real.reference("kube-prepull:1"), "command": ["/holder", "hold", "v1"],
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    let pod = json!({"metadata": {"name": "other"}, "spec": {
        "nodeName": node, "containers": [container],
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }});
    outage.real.trial.create::<Pod>(pod).await;
    eventually("somebody else's pod to run", async || running(outage).await).await
}

/// The uid of somebody else's pod, while it runs.
async fn running(outage: &Outage) -> Option<String> {
    let pod = outage.real.trial.api::<Pod>().get_opt("other").await.unwrap()?;
    (pod.status.as_ref()?.phase.as_deref() == Some("Running")).then(|| pod.uid().unwrap())
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_at_its_pod_limit_gets_the_new_generation_after_a_while_and_loses_nobody_elses_pod() {
    let outage = Outage::on(RealTrial::begin_alone("podlimit").await).await;
    let old = outage.push("app:1", "old");
    outage.list(&["app:1"], "").await;
    outage.await_held(&[&old]).await;
    let other = other_pod(&outage, "node2").await;
    let _limited = pod_limit_is_reached(&outage, &outage.real.nodes[1]).await;
    let new = outage.push("app:1", "new");
    let watch = outage.real.watch(&[&[old.as_str(), new.as_str()]]);
    outage.refresh("crowded").await;
    eventually("the other node to have the new image", async || {
        outage.real.held_on("node1").contains(&new.to_string()).then_some(())
    })
    .await;
    let held = outage.real.held_on("node2");
    assert!(held.contains(&old.to_string()) && !held.contains(&new.to_string()), "the old one does not leave at once");
    let reported = outage.real.trial.reported_within(HEALING, "NoCapacity").await;
    assert!(reported.contains("no capacity for both on node2 (its pod limit is reached)"), "{reported}");
    outage.settled("2").await;
    outage.await_held(&[&new]).await;
    assert_eq!(running(&outage).await, Some(other), "the pod that was there before runs on");
    // One slot cannot hold two, so node2 has a gap, which may be too short to be seen.
    let gaps = watch.gaps();
    assert!(gaps.iter().all(|gap| gap.node == "node2"), "the other node holds throughout: {gaps:?}");
}
