//! Nodes of a trial's own, which go with it.
//!
//! A taint keeps the pods of other trials off them, so no test need be alone on the cluster. A trial that tolerates everything
//! has to ask for its own nodes, or its pods are on those of all others.

use std::fmt::Display;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::trial::{Trial, clean_up};

/// The label and the taint of a trial's nodes. Their value is the trial's namespace.
pub const NODES_OF: &str = "kube-prepull.test/nodes-of";

pub struct Nodes<'t> {
    trial: &'t Trial,
    api: Api<Node>,
}

impl<'t> Nodes<'t> {
    pub fn of(trial: &'t Trial) -> Self {
        Self { trial, api: Api::all(trial.client.clone()) }
    }

    pub fn name(&self, node: impl Display) -> String {
        format!("{}-{node}", self.trial.namespace)
    }

    /// What a group needs to belong on these nodes and on no others, as a part of a mapping in YAML.
    pub fn placement(&self) -> String {
        placement_of(self.trial)
    }

    /// The taint that they all have.
    pub fn taint(&self) -> Taint {
        Taint {
            key: NODES_OF.to_owned(),
            value: Some(self.trial.namespace.clone()),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        }
    }

    /// Adds a Linux node that is large enough for everything, unless the manifest says otherwise.
    pub async fn add(&self, name: impl Display, manifest: Value) {
        let mut node: Node = serde_json::from_value(manifest).unwrap();
        node.metadata.name = Some(self.name(name));
        node.labels_mut().extend([
            (NODES_OF.to_owned(), self.trial.namespace.clone()),
            ("kubernetes.io/os".to_owned(), "linux".to_owned()),
        ]);
        node.spec.get_or_insert_default().taints.get_or_insert_default().push(self.taint());
        fill_capacity(node.status.get_or_insert_default());
        self.api.create(&PostParams::default(), &node).await.unwrap();
    }

    pub async fn patch(&self, name: impl Display, patch: &Value) {
        self.api.patch(&self.name(name), &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Lets one that is unattended say that it is not ready any more.
    pub async fn lose(&self, name: impl Display) {
        let status = Patch::Strategic(json!({"status": {"conditions": [readiness(false)]}}));
        self.api.patch_status(&self.name(name), &PatchParams::default(), &status).await.unwrap();
    }

    pub async fn remove(&self, name: impl Display) {
        self.api.delete(&self.name(name), &DeleteParams::default()).await.unwrap();
    }

    pub async fn all(&self) -> Vec<Node> {
        self.api.list(&of(&self.trial.namespace)).await.unwrap().items
    }
}

/// What a group needs to belong on the nodes of a trial and on no others, as a part of a mapping in YAML.
pub fn placement_of(trial: &Trial) -> String {
    format!("nodeSelector: {{{NODES_OF}: {}}}, tolerations: [{{key: {NODES_OF}, operator: Exists}}]", trial.namespace)
}

impl Drop for Nodes<'_> {
    fn drop(&mut self) {
        let own = of(&self.trial.namespace);
        clean_up(&self.trial.kubeconfig, async move |client| {
            Api::<Node>::all(client).delete_collection(&DeleteParams::default(), &own).await
        });
    }
}

/// A node of that architecture that kwok takes care of.
pub fn simulated(architecture: &str) -> Value {
    json!({"metadata": {
        "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"kubernetes.io/arch": architecture},
    }})
}

/// One that is ready and that nobody takes care of: what happens on it is for the test to play.
pub fn unattended(architecture: &str) -> Value {
    json!({"metadata": {"labels": {"kubernetes.io/arch": architecture}}, "status": {"conditions": [readiness(true)]}})
}

fn readiness(is_ready: bool) -> Value {
    let now = format!("{:.0}", Timestamp::now());
    let (status, reason) = if is_ready { ("True", "KubeletReady") } else { ("False", "KubeletNotReady") };
    json!({"type": "Ready", "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now})
}

/// Makes one virtual, as Alibaba Cloud's are.
pub fn virtual_node(node: &mut Value) {
    node["metadata"]["labels"]["type"] = json!("virtual-kubelet");
    node["spec"]["taints"] = json!([
        {"key": "virtual-kubelet.io/provider", "value": "alibabacloud", "effect": "NoSchedule"},
        {"key": "alibabacloud.com/eci", "effect": "NoSchedule"},
    ]);
}

pub fn is_ready(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn of(namespace: &str) -> ListParams {
    ListParams::default().labels(&format!("{NODES_OF}={namespace}"))
}

fn fill_capacity(status: &mut NodeStatus) {
    let amounts = [("cpu", "32"), ("memory", "64Gi"), ("pods", "110")];
    let allocatable = amounts.map(|(resource, amount)| (resource.to_owned(), Quantity(amount.to_owned())));
    for amounts in [&mut status.allocatable, &mut status.capacity] {
        amounts.get_or_insert_with(|| allocatable.clone().into());
    }
}
