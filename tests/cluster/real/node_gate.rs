//! Kubelets that register with a startup taint: workloads come only once their images are there.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use test_bed::real::{Fault, FaultyRegistry};
use test_bed::{Image, Layer, Node};

use super::RealTrial;
use super::faults::{HEALING, OtherKubelet};
use super::workloads::pod_spec;
use crate::controller::Controller;
use crate::trial::{eventually, within};

/// Six seconds at the speed of the slow registry.
const BYTES: usize = 3_000_000;
const BYTES_PER_SECOND: u32 = 500_000;

/// A real node that leaves the cluster and joins it again with a startup taint.
struct NewNode {
    real: RealTrial,
    registry: FaultyRegistry,
    node: Node,
    taint: String,
    /// Restored at the end.
    _kubelet: OtherKubelet,
}

impl NewNode {
    async fn join(name: &str) -> Self {
        let real = RealTrial::begin_alone(name).await;
        let registry = real.bed.faulty_registry(&format!("{}.test", real.trial.namespace)).unwrap();
        let (node, taint) = (real.nodes[1].clone(), format!("gate.test/{}", real.trial.namespace));
        let nodes = Api::<NodeObject>::all(real.trial.client.clone());
        nodes.delete(node.name(), &DeleteParams::default()).await.unwrap();
        let kubelet =
            OtherKubelet::of(&node, &[("registerWithTaints", json!([{"key": taint, "effect": "NoSchedule"}]))]);
        let new = Self { real, registry, node, taint, _kubelet: kubelet };
        eventually("the node to join with the taint", async || new.is_gated().await.filter(|gated| *gated)).await;
        new
    }

    /// Whether it has the taint; `None` if it is not there.
    async fn is_gated(&self) -> Option<bool> {
        let node = self.object().await?;
        let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        Some(taints.any(|taint| taint.key == self.taint))
    }

    async fn object(&self) -> Option<NodeObject> {
        Api::<NodeObject>::all(self.real.trial.client.clone()).get_opt(self.node.name()).await.unwrap()
    }

    async fn freed(&self) {
        within(HEALING, "the node to be freed", async || (self.is_gated().await == Some(false)).then_some(())).await;
    }

    /// Pushes an image that can run without anything else.
    fn push(&self, image: &str) -> String {
        let seed = u64::from(std::process::id()) * 100 + image.len() as u64;
        let content = Layer::new().random("/content", seed, BYTES);
        self.real.push(image, &Image::of_holder(self.real.bed.holder().unwrap()).layer(content));
        self.real.reference_at(self.registry.name(), image)
    }

    async fn controller(&self) -> Controller {
        let image = self.real.reference("kube-prepull:1");
        Controller::start_with(&self.real.trial, &["--holder-image", &image, "--node-gate-taint", &self.taint]).await
    }

    async fn write_list(&self, reference: &str, gate: &str) {
        let (host, taint) = (self.node.name(), &self.taint);
        let list = format!(
            "groups: [{{name: g, images: [{{name: app, image: \"{reference}\"}}], nodeSelector: {{kubernetes.io/hostname: {host}}}}}]\n\
             nodeGate: {{taint: {taint}, {gate}}}\n"
        );
        self.real.trial.write_list("tools", &list).await;
    }

    /// A Deployment for this node that tolerates nothing.
    async fn deploy(&self, reference: &str) {
        let labels = json!({"app": "workload"});
        let mut spec = pod_spec(reference);
        spec["nodeSelector"] = json!({"kubernetes.io/hostname": self.node.name()});
        self.real
            .trial
            .create::<Deployment>(json!({"metadata": {"name": "workload"}, "spec": {
                "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}}))
            .await;
    }

    async fn workload(&self) -> Option<Pod> {
        let pods = self.real.trial.api::<Pod>().list(&ListParams::default().labels("app=workload")).await.unwrap();
        pods.items.into_iter().next()
    }

    /// How often the node asked for a blob of an image.
    fn blob_requests(&self, image: &str) -> usize {
        let path = format!("/v2/{}/{image}/blobs/", self.real.trial.namespace);
        let accesses = self.real.bed.registry().unwrap().accesses().unwrap();
        accesses.iter().filter(|it| it.path.starts_with(&path)).count()
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn is_running(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.into_iter().any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_workload_comes_to_a_new_node_only_after_its_image_and_pulls_nothing() {
    let new = NewNode::join("gatenew").await;
    let reference = new.push("app:1");
    new.registry.set(Fault::Slow { bytes_per_second: BYTES_PER_SECOND });
    new.deploy(&reference).await;
    let controller = new.controller().await;
    new.write_list(&reference, "condition: true, timeout: 1h").await;
    within(HEALING, "the node to be freed", async || {
        // Read in this order: a pod that is bound although the node is still gated came too early.
        let pod = new.workload().await?;
        let gated = new.is_gated().await?;
        assert!(!gated || node_of(&pod).is_none(), "the workload came to a gated node");
        (!gated).then_some(())
    })
    .await;
    assert!(!new.real.held_on(new.node.name()).is_empty(), "the image is held when the node is freed");
    let before = new.blob_requests("app");
    assert!(before > 0, "the holder's pull is in the access log");
    within(HEALING, "the workload to run", async || new.workload().await.filter(is_running)).await;
    assert_eq!(new.blob_requests("app"), before, "the workload pulled nothing");
    eventually("the condition", async || {
        let node: Value = serde_json::to_value(new.object().await?).unwrap();
        let conditions = node["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|it| it["type"] == "kube-prepull.io/ImagesReady" && it["status"] == "True")
    })
    .await;
    drop(controller);
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_registry_that_is_down_keeps_a_new_node_closed_until_the_timeout_and_no_longer() {
    let new = NewNode::join("gatedown").await;
    let reference = new.push("app:1");
    new.registry.set(Fault::Closed);
    new.deploy(&reference).await;
    let controller = new.controller().await;
    new.write_list(&reference, "timeout: 90s").await;
    let created = new.object().await.unwrap().metadata.creation_timestamp.unwrap().0;
    new.freed().await;
    let age = Timestamp::now().duration_since(created).as_secs();
    assert!((90..150).contains(&age), "it was freed after {age} s");
    let note = new.real.trial.reported("NodeFreedByTimeout").await;
    assert!(note.contains(new.node.name()) && note.contains("0 of 1 image: waiting for app: "), "{note}");
    new.registry.set(Fault::None);
    within(HEALING, "the workload to run", async || new.workload().await.filter(is_running)).await;
    within(HEALING, "the image to be held", async || (!new.real.held_on(new.node.name()).is_empty()).then_some(()))
        .await;
    assert_eq!(new.is_gated().await, Some(false), "nothing taints it again");
    drop(controller);
}
