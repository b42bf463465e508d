//! A controller that may not read nodes, from the start or any more.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::conditions::{as_limited, rights};
use super::trial;
use crate::controller::Controller;
use crate::nodes::{Nodes, simulated};
use crate::trial::{Trial, clean_up, eventually, images};

/// A node with this label.
fn labelled(label: &str) -> Value {
    let mut node = simulated("amd64");
    node["metadata"]["labels"][label] = json!("yes");
    node
}

/// A list of one group on those of the trial's nodes that have this label, or on all of them.
fn list(nodes: &Nodes, images: &str, label: Option<&str>) -> String {
    let placement = nodes.placement();
    let placement = match label {
        Some(label) => placement.replace("nodeSelector: {", &format!("nodeSelector: {{{label}: 'yes', ")),
        None => placement,
    };
    format!("groups: [{{name: g, images: [{images}], {placement}}}]")
}

/// The uids of the running pods that are not about to go, by their DaemonSet's images and their node.
async fn running(trial: &Trial) -> BTreeMap<(Vec<String>, String), String> {
    let live = trial.pods().await.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let running = live.filter(|pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running"));
    let pods = running.filter_map(|pod| {
        let spec = pod.spec.as_ref()?;
        let images = spec.containers.iter().filter_map(|it| it.image.clone()).collect();
        Some(((images, spec.node_name.clone()?), pod.uid()?))
    });
    pods.collect()
}

async fn run_on(trial: &Trial, nodes: &Nodes<'_>, of: &[&str], on: &[usize]) -> BTreeMap<String, String> {
    let wanted: BTreeSet<String> = on.iter().map(|index| nodes.name(index)).collect();
    eventually(&format!("pods of {of:?} on {wanted:?}"), async || {
        let pods = running(trial).await.into_iter().filter(|((images, _), _)| images == of);
        let pods: BTreeMap<String, String> = pods.map(|((_, node), uid)| (node, uid)).collect();
        pods.keys().eq(&wanted).then_some(pods)
    })
    .await
}

/// Waits until there are generations of these images, and no others.
async fn generations(trial: &Trial, wanted: &[&[&str]]) {
    let wanted: BTreeSet<Vec<String>> =
        wanted.iter().map(|images| images.iter().map(|it| (*it).to_owned()).collect()).collect();
    eventually(&format!("generations of {wanted:?}"), async || {
        let found: Vec<Vec<String>> = trial.daemon_sets().await.iter().map(images).collect();
        (found.len() == wanted.len() && found.into_iter().collect::<BTreeSet<_>>() == wanted).then_some(())
    })
    .await;
}

/// Keeps new pods of ours away, and leaves those that are there.
async fn taint(nodes: &Nodes<'_>, index: usize, tainted: bool) {
    let mut taints = json!([nodes.taint()]);
    if tainted {
        taints.as_array_mut().unwrap().push(json!({"key": "kube-prepull.test/closed", "effect": "NoSchedule"}));
    }
    nodes.patch(index, &json!({"spec": {"taints": taints}})).await;
}

/// Five nodes, three of which have the label `half` and two of these the label `few`.
async fn five(trial: &Trial) -> Nodes<'_> {
    let nodes = Nodes::of(trial);
    for index in 0..5 {
        let mut node = if index < 3 { labelled("half") } else { simulated("amd64") };
        if index < 2 {
            node["metadata"]["labels"]["few"] = json!("yes");
        }
        nodes.add(index, node).await;
    }
    nodes
}

#[tokio::test]
async fn edits_that_scope_down_a_group_again_and_again_release_nodes_and_wait_for_nothing() {
    let trial = trial("unscoped").await;
    let nodes = five(&trial).await;
    let _controller = Controller::start_with(&trial, &["--namespaced-only"]).await;
    for (image, label, on) in [
        ("redis:1", None, &[0, 1, 2, 3, 4][..]),
        ("redis:2", Some("half"), &[0, 1, 2]),
        ("redis:3", Some("few"), &[0, 1]),
        ("redis:4", Some("few"), &[0, 1]),
        ("redis:5", None, &[0, 1, 2, 3, 4]),
    ] {
        trial.write_list("tools", &list(&nodes, &format!("nginx:1.27, '{image}'"), label)).await;
        trial.settled_on(&["nginx:1.27", image]).await;
        run_on(&trial, &nodes, &["nginx:1.27", image], on).await;
    }
}

#[tokio::test]
async fn a_node_that_was_tainted_meanwhile_keeps_its_images_and_holds_up_no_edit() {
    let trial = trial("tainted").await;
    let nodes = five(&trial).await;
    let _controller = Controller::start_with(&trial, &["--namespaced-only"]).await;
    trial.write_list("tools", &list(&nodes, "nginx:1.27", None)).await;
    let first = run_on(&trial, &nodes, &["nginx:1.27"], &[0, 1, 2, 3, 4]).await;
    taint(&nodes, 0, true).await;
    for (image, label, on) in
        [("redis:2", "half", &[1, 2][..]), ("redis:3", "few", &[1]), ("redis:4", "few", &[1]), ("redis:5", "few", &[1])]
    {
        trial.write_list("tools", &list(&nodes, &format!("nginx:1.27, '{image}'"), Some(label))).await;
        run_on(&trial, &nodes, &["nginx:1.27", image], on).await;
        generations(&trial, &[&["nginx:1.27"], &["nginx:1.27", image]]).await;
    }
    let held = running(&trial).await;
    assert_eq!(held.get(&(vec!["nginx:1.27".to_owned()], nodes.name(0))), first.get(&nodes.name(0)));
    taint(&nodes, 0, false).await;
    trial.settled_on(&["nginx:1.27", "redis:5"]).await;
    run_on(&trial, &nodes, &["nginx:1.27", "redis:5"], &[0, 1]).await;
}

/// Rights on nodes, which go with the test.
pub struct Right<'t> {
    trial: &'t Trial,
    account: Client,
}

impl<'t> Right<'t> {
    pub async fn granted(trial: &'t Trial) -> Self {
        let read = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]);
        Self::of(trial, read).await
    }

    /// Rights on the cluster by these rules, of which one is to list nodes.
    pub async fn of(trial: &'t Trial, rules: Value) -> Self {
        let account = trial.client_as(&format!("system:serviceaccount:{}:limited", trial.namespace)).await;
        let role = json!({"metadata": {"name": trial.namespace}, "rules": rules});
        let role: ClusterRole = serde_json::from_value(role).unwrap();
        Api::all(trial.client.clone()).create(&PostParams::default(), &role).await.unwrap();
        let right = Self { trial, account };
        right.grant().await;
        right
    }

    async fn grant(&self) {
        let namespace = &self.trial.namespace;
        let binding = json!({
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace},
            "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": namespace}],
        });
        let binding: ClusterRoleBinding = serde_json::from_value(binding).unwrap();
        Api::all(self.trial.client.clone()).create(&PostParams::default(), &binding).await.unwrap();
        eventually("the right to be granted", async || self.is_there().await.then_some(())).await;
    }

    async fn revoke(&self) {
        let bindings = Api::<ClusterRoleBinding>::all(self.trial.client.clone());
        bindings.delete(&self.trial.namespace, &DeleteParams::default()).await.unwrap();
        eventually("the right to be revoked", async || (!self.is_there().await).then_some(())).await;
    }

    async fn is_there(&self) -> bool {
        Api::<Node>::all(self.account.clone()).list(&ListParams::default().limit(1)).await.is_ok()
    }
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        let name = self.trial.namespace.clone();
        clean_up(&self.trial.kubeconfig, async move |client| {
            drop(Api::<ClusterRoleBinding>::all(client.clone()).delete(&name, &DeleteParams::default()).await);
            Api::<ClusterRole>::all(client).delete(&name, &DeleteParams::default()).await
        });
    }
}

/// On how many nodes the controller says that the first image is warm.
fn warm(controller: &Controller) -> Option<u64> {
    let (_, report) = controller.get("/status")?;
    let report: Value = serde_json::from_str(&report).ok()?;
    report["lists"][0]["groups"][0]["images"][0]["nodes"]["warm"].as_u64()
}

#[tokio::test]
async fn nodes_that_join_after_the_right_to_read_them_was_revoked_do_not_count_as_gone() {
    let trial = trial("revoked").await;
    let nodes = Nodes::of(&trial);
    for index in 0..2 {
        nodes.add(index, simulated("amd64")).await;
    }
    let proxy = as_limited(&trial, &rights()).await;
    let right = Right::granted(&trial).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("tools", &list(&nodes, "nginx:1.27", None)).await;
    run_on(&trial, &nodes, &["nginx:1.27"], &[0, 1]).await;
    eventually("both nodes to be warm", async || (warm(&controller) == Some(2)).then_some(())).await;
    assert!(!controller.log().contains("not allowed to watch nodes"), "{}", controller.log());

    right.revoke().await;
    // Who may watch is asked when a watch begins.
    proxy.disconnect();
    let logged = async |words: &str| {
        eventually(&format!("{words:?} in the log"), async || controller.log().contains(words).then_some(())).await;
    };
    logged("not allowed to watch nodes").await;
    nodes.add("late", simulated("amd64")).await;
    let late = nodes.name("late");
    let pod = async || running(&trial).await.remove(&(vec!["nginx:1.27".to_owned()], late.clone()));
    let held = eventually("the pod of the late node", pod).await;
    eventually("all nodes to be warm", async || (warm(&controller) == Some(3)).then_some(())).await;
    // No newer pod gets onto the late node, so it keeps the one that it has.
    nodes
        .patch(
            "late",
            &json!({"spec": {"taints": [nodes.taint(), {"key": "kube-prepull.test/closed", "effect": "NoSchedule"}]}}),
        )
        .await;
    for image in ["nginx:1.28", "nginx:1.29"] {
        trial.write_list("tools", &list(&nodes, &format!("nginx:1.27, '{image}'"), None)).await;
        run_on(&trial, &nodes, &["nginx:1.27", image], &[0, 1]).await;
        generations(&trial, &[&["nginx:1.27"], &["nginx:1.27", image]]).await;
        assert_eq!(pod().await.as_ref(), Some(&held));
    }

    right.grant().await;
    logged("allowed to watch nodes again").await;
    nodes.patch("late", &json!({"spec": {"taints": [nodes.taint()]}})).await;
    trial.settled_on(&["nginx:1.27", "nginx:1.29"]).await;
}
