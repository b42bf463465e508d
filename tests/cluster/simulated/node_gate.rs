//! Nodes that wait for their images. What kubelets do is played here; real ones are in `real::node_gate`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::conditions::{Refusal, as_limited, rights};
use super::kubelets::{Kubelets, Pull};
use super::trial;
use super::unreadable_nodes::Right;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::nodes::{NODES_OF, Nodes, placement_of, simulated, unattended};
use crate::proxy::Proxy;
use crate::trial::{Trial, eventually};

/// A key that no other test uses.
fn taint(trial: &Trial) -> String {
    format!("gate.test/{}", trial.namespace)
}

/// A node that joins with the taint.
fn gated(trial: &Trial, mut manifest: Value) -> Value {
    manifest["spec"]["taints"] = json!([{"key": taint(trial), "value": "any", "effect": "NoSchedule"}]);
    manifest
}

/// A list for the trial's nodes.
fn list(trial: &Trial, image: &str, gate: &str) -> String {
    let (placement, taint) = (placement_of(trial), taint(trial));
    format!("groups: [{{name: g, images: [\"{image}\"], {placement}}}]\nnodeGate: {{taint: {taint}, {gate}}}\n")
}

async fn start(trial: &Trial) -> Controller {
    Controller::start_with(trial, &["--node-gate-taint", &taint(trial)]).await
}

/// Kubelets on gated nodes that can pull an image once that is allowed.
async fn kubelets<'t>(trial: &'t Trial, nodes: usize) -> (Kubelets<'t>, Arc<AtomicBool>) {
    let served = Arc::new(AtomicBool::new(false));
    let is_served = Arc::clone(&served);
    let answer = move |pull: &Pull| {
        let serves = is_served.load(Ordering::Relaxed) || pull.image.starts_with("ready");
        serves.then(|| format!("{}@sha256:{}", pull.image, "1".repeat(64)))
    };
    let manifests = (0..nodes).map(|_| gated(trial, unattended("amd64"))).collect();
    (Kubelets::start_on(trial, manifests, answer).await, served)
}

async fn node(trial: &Trial, name: &str) -> Node {
    Api::<Node>::all(trial.client.clone()).get(name).await.unwrap()
}

fn taints(node: &Node) -> Vec<&str> {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).map(|taint| taint.key.as_str()).collect()
}

fn condition(node: &Node) -> Option<&NodeCondition> {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| condition.type_ == "kube-prepull.io/ImagesReady")
}

/// Waits until the condition of a node says that.
async fn says(trial: &Trial, name: &str, status: &str, reason: &str) -> String {
    eventually(&format!("the condition of {name} to be {status} because of {reason}"), async || {
        let node = node(trial, name).await;
        let condition = condition(&node)?;
        let is_it = condition.status == status && condition.reason.as_deref() == Some(reason);
        is_it.then(|| condition.message.clone().unwrap_or_default())
    })
    .await
}

/// Waits until a node says that it waits, whatever for.
async fn waits(trial: &Trial, name: &str) -> String {
    eventually(&format!("{name} to say that it waits"), async || {
        let node = node(trial, name).await;
        let condition = condition(&node).filter(|condition| condition.status == "False")?;
        condition.message.clone()
    })
    .await
}

async fn freed(trial: &Trial, name: &str) -> Node {
    eventually(&format!("{name} to be freed"), async || {
        let node = node(trial, name).await;
        (!taints(&node).contains(&taint(trial).as_str())).then_some(node)
    })
    .await
}

/// The value of a metric.
fn metric(controller: &Controller, series: &str) -> f64 {
    let (_, text) = controller.get("/metrics").unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or("0").parse().unwrap()
}

/// The notes of Events about a node, with their reasons.
async fn events_of(trial: &Trial, name: &str) -> Vec<(String, String)> {
    let of_node = ListParams::default().fields(&format!("regarding.name={name}"));
    let events = Api::<Event>::namespaced(trial.client.clone(), "default").list(&of_node).await.unwrap().items;
    events.into_iter().map(|it| (it.reason.unwrap_or_default(), it.note.unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_node_is_freed_once_its_images_are_there_and_its_condition_says_so() {
    let trial = trial("gate").await;
    let (kubelets, served) = kubelets(&trial, 1).await;
    let name = kubelets.nodes().name(0);
    let controller = start(&trial).await;
    trial.write_list("tools", &list(&trial, "app:1", "condition: true")).await;
    let message = waits(&trial, &name).await;
    assert!(message.starts_with("0 of 1 image: waiting for app"), "{message}");
    assert!(taints(&node(&trial, &name).await).contains(&taint(&trial).as_str()));
    assert_eq!(metric(&controller, "kube_prepull_nodes_gated"), 1.0);
    let status = trial.status();
    let waits = &status["lists"][0]["nodeGate"]["nodes"][0];
    assert_eq!((&waits["node"], &waits["images"], &waits["warm"]), (&json!(name), &json!(1), &json!(0)), "{status}");
    served.store(true, Ordering::Relaxed);
    let free = freed(&trial, &name).await;
    assert_eq!(taints(&free), [NODES_OF], "that of another component stays");
    assert_eq!(says(&trial, &name, "True", "Warm").await, format!("1 image held ({})", trial.namespace));
    eventually("the metrics", async || {
        let counted = metric(&controller, "kube_prepull_node_gate_seconds_count") == 1.0;
        (counted && metric(&controller, "kube_prepull_nodes_gated") == 0.0).then_some(())
    })
    .await;
    assert_eq!(metric(&controller, "kube_prepull_node_gate_timeouts_total{reason=\"failed\"}"), 0.0);
    let reasons: Vec<String> = events_of(&trial, &name).await.into_iter().map(|(reason, _)| reason).collect();
    assert!(!reasons.contains(&"NodeFreedByTimeout".to_owned()), "{reasons:?}");
}

#[tokio::test]
async fn a_node_is_freed_by_the_timeout_and_that_is_said_where_people_look() {
    let trial = trial("gatetime").await;
    let (kubelets, _) = kubelets(&trial, 1).await;
    let name = kubelets.nodes().name(0);
    let controller = start(&trial).await;
    trial.write_list("tools", &list(&trial, "dead:1", "timeout: 10s")).await;
    freed(&trial, &name).await;
    let note = trial.reported("NodeFreedByTimeout").await;
    assert!(
        note.starts_with("a node was freed because the time of the gate is over") && note.contains(&name),
        "{note}"
    );
    let of_node = eventually("the Event on the node", async || {
        let mut events = events_of(&trial, &name).await.into_iter();
        events.find(|(reason, _)| reason == "NodeFreedByTimeout")
    })
    .await;
    assert!(of_node.1.contains("list tools: 0 of 1 image: waiting for dead"), "{of_node:?}");
    let (_, text) = controller.get("/metrics").unwrap();
    let timeouts = text.lines().filter_map(|line| line.strip_prefix("kube_prepull_node_gate_timeouts_total{"));
    assert_eq!(timeouts.filter(|line| !line.ends_with(" 0")).count(), 1, "{text}");
}

#[tokio::test]
async fn a_node_waits_for_all_lists_that_name_its_taint() {
    let trial = trial("gatetwo").await;
    let (kubelets, served) = kubelets(&trial, 1).await;
    let name = kubelets.nodes().name(0);
    let _controller = start(&trial).await;
    // The slow one first: until it is accepted, the node would wait for the other alone.
    trial.write_list("slow", &list(&trial, "slow:1", "condition: true")).await;
    trial.validated("slow", "accepted").await;
    trial.write_list("ready", &list(&trial, "ready:1", "condition: true")).await;
    eventually("the pod of the list that can be pulled", async || {
        let pods = trial.pods().await;
        let is_ready = |pod: &k8s_openapi::api::core::v1::Pod| {
            pod.labels()["kube-prepull.io/list"] == "ready"
                && pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running")
        };
        pods.iter().any(is_ready).then_some(())
    })
    .await;
    assert!(taints(&node(&trial, &name).await).contains(&taint(&trial).as_str()));
    served.store(true, Ordering::Relaxed);
    freed(&trial, &name).await;
}

#[tokio::test]
async fn a_gate_that_the_controller_may_not_open_has_no_effect_and_the_list_says_so() {
    let trial = trial("gatenone").await;
    let nodes = Nodes::of(&trial);
    nodes.add(0, gated(&trial, simulated("amd64"))).await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", &list(&trial, "app:1", "condition: true")).await;
    let validated = trial.validated("tools", "accepted").await;
    let problems = &validated.annotations()["kube-prepull.io/problems"];
    assert!(
        problems.contains("nodeGate") && problems.contains("this controller has no rights for gates"),
        "{problems}"
    );
    let daemon_set = trial.settled_on(&["app:1"]).await;
    let pod = daemon_set.spec.unwrap().template.spec.unwrap();
    let tolerated: Vec<_> = pod.tolerations.iter().flatten().filter_map(|it| it.key.as_deref()).collect();
    assert_eq!(tolerated, [NODES_OF]);
    assert!(taints(&node(&trial, &nodes.name(0)).await).contains(&taint(&trial).as_str()));
}

#[tokio::test]
async fn without_the_right_to_write_nodes_an_event_names_it_and_images_are_held_all_the_same() {
    let trial = trial("gateright").await;
    let nodes = Nodes::of(&trial);
    let proxy = as_limited(&trial, &rights()).await;
    let reader = Right::granted(&trial).await;
    nodes.add(0, gated(&trial, simulated("amd64"))).await;
    let taint = taint(&trial);
    let controller = Controller::start_through_with(&trial, &proxy.kubeconfig, &["--node-gate-taint", &taint]).await;
    trial.write_list("tools", &list(&trial, "app:1", "timeout: 1h")).await;
    let note = trial.said_within(crate::trial::SOON, "MissingRight", &["patch resource \"nodes\""]).await;
    assert!(note.contains("remove the taint"), "{note}");
    eventually("the image to be held", async || {
        let (_, text) = controller.get("/status")?;
        let status: Value = serde_json::from_str(&text).ok()?;
        (status["lists"][0]["warm"] == true).then_some(())
    })
    .await;
    assert!(taints(&node(&trial, &nodes.name(0)).await).contains(&taint.as_str()));
    drop(reader);
}

#[tokio::test]
async fn turning_a_gate_on_lets_the_pods_that_exist_be_and_reaches_nodes_that_wait() {
    let trial = trial("gateon").await;
    let nodes = Nodes::of(&trial);
    nodes.add(0, simulated("amd64")).await;
    nodes.add(1, gated(&trial, simulated("amd64"))).await;
    let _controller = start(&trial).await;
    let without = list(&trial, "app:1", "").split("nodeGate").next().unwrap().to_owned();
    trial.write_list("tools", &without).await;
    let before = eventually("the pod on the open node", async || {
        let pod = trial.pods().await.pop()?;
        (pod.spec.as_ref()?.node_name == Some(nodes.name(0))).then_some(pod)
    })
    .await;
    trial.write_list("tools", &list(&trial, "app:1", "timeout: 1h")).await;
    freed(&trial, &nodes.name(1)).await;
    assert_eq!(trial.daemon_sets().await.len(), 1, "no rollout");
    assert!(trial.pods().await.iter().any(|pod| pod.uid() == before.uid()), "its pod is the same");
    trial.write_list("tools", &without).await;
    trial.validated("tools", "accepted").await;
    assert_eq!(trial.daemon_sets().await.len(), 1, "no rollout");
    assert_eq!(trial.pods().await.len(), 2);
}

/// The rules of the ClusterRoles that users install for node gates.
fn rules() -> Value {
    let manifests = [
        include_str!("../../../deploy/kustomize/nodes.yaml"),
        include_str!("../../../deploy/kustomize/node-gate/rights.yaml"),
    ];
    let objects = manifests.iter().flat_map(|text| serde_yaml::from_multiple::<Value>(text).unwrap());
    let roles = objects.filter(|object| object["kind"] == "ClusterRole");
    roles.flat_map(|role| role["rules"].as_array().unwrap().clone()).collect()
}

#[tokio::test]
async fn startup_taints_of_others_are_not_touched_while_these_come_and_go() {
    let trial = trial("gateother").await;
    let (kubelets, served) = kubelets(&trial, 1).await;
    let name = kubelets.nodes().name(0);
    let proxy = as_limited(&trial, &rights()).await;
    let _rights = Right::of(&trial, rules()).await;
    let key = taint(&trial);
    let controller = Controller::start_through_with(&trial, &proxy.kubeconfig, &["--node-gate-taint", &key]).await;
    trial.write_list("tools", &list(&trial, "app:1", "timeout: 1h")).await;
    let api = Api::<Node>::all(trial.client.clone());
    let writing = async {
        for round in 0..200 {
            let live = node(&trial, &name).await;
            let version = live.metadata.resource_version.clone();
            let mut taints = json!(live.spec.unwrap().taints.unwrap_or_default());
            let all = taints.as_array_mut().unwrap();
            all.retain(|taint| taint["key"] != "csi.test/agent-not-ready");
            all.push(
                json!({"key": "csi.test/agent-not-ready", "value": round.to_string(), "effect": "PreferNoSchedule"}),
            );
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
            drop(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await);
            served.store(round > 20, Ordering::Relaxed);
            if round > 30 && !taints.to_string().contains(&taint(&trial)) {
                return;
            }
        }
    };
    writing.await;
    let free = freed(&trial, &name).await;
    assert_eq!(taints(&free), [NODES_OF, "csi.test/agent-not-ready"]);
    assert!(!controller.log().contains("MissingRight"), "{}", controller.log());
}

#[tokio::test]
async fn a_node_with_two_taints_of_gates_loses_each_once_the_lists_that_name_it_are_warm() {
    let trial = trial("gateboth").await;
    let (one, other) = (taint(&trial), format!("{}-other", taint(&trial)));
    let nodes = Nodes::of(&trial);
    let mut manifest = gated(&trial, simulated("amd64"));
    manifest["spec"]["taints"].as_array_mut().unwrap().push(json!({"key": other, "effect": "NoSchedule"}));
    nodes.add(0, manifest).await;
    let arguments = ["--node-gate-taint", one.as_str(), "--node-gate-taint", other.as_str()];
    let _controller = Controller::start_with(&trial, &arguments).await;
    let first = list(&trial, "first:1", "timeout: 1h");
    trial.write_list("first", &first).await;
    trial.write_list("second", &first.replace("first:1", "second:1").replace(&one, &other)).await;
    eventually("both taints to go", async || (taints(&node(&trial, &nodes.name(0)).await) == [NODES_OF]).then_some(()))
        .await;
}

/// As an admission policy refuses it: with the code of a failed test of a patch.
#[tokio::test]
async fn a_removal_that_a_policy_refuses_is_reported_and_delays_no_other_node() {
    let trial = trial("gaterefused").await;
    let nodes = Nodes::of(&trial);
    for index in 0..2 {
        nodes.add(index, gated(&trial, simulated("amd64"))).await;
    }
    let refused = nodes.name(0);
    let expression = format!("has(object.spec.taints) && object.spec.taints.exists(it, it.key == '{}')", taint(&trial));
    let policy = Refusal::of_node(&trial, &refused, &expression, "keep this taint").await;
    let _controller = start(&trial).await;
    trial.write_list("tools", &list(&trial, "app:1", "condition: true, timeout: 1h")).await;
    freed(&trial, &nodes.name(1)).await;
    says(&trial, &refused, "True", "Warm").await;
    let note = trial.reported("Refused").await;
    assert!(note.contains("keep this taint") && note.contains(&refused), "{note}");
    assert!(taints(&node(&trial, &refused).await).contains(&taint(&trial).as_str()));
    policy.end().await;
    freed(&trial, &refused).await;
}

#[tokio::test]
async fn a_controller_that_is_killed_before_any_request_is_followed_by_one_that_frees_the_node() {
    let mut request = 1;
    loop {
        let trial = trial(&format!("gatekill{request}")).await;
        let (kubelets, served) = kubelets(&trial, 1).await;
        let proxy = Proxy::start(trial.client.clone()).await;
        let key = taint(&trial);
        let arguments = ["--node-gate-taint", key.as_str()];
        let mut controller = Controller::start_through_with(&trial, &proxy.kubeconfig, &arguments).await;
        trial.write_list("tools", &list(&trial, "app:1", "condition: true, timeout: 1h")).await;
        let name = kubelets.nodes().name(0);
        waits(&trial, &name).await;
        proxy.kill_before(request, controller.id());
        served.store(true, Ordering::Relaxed);
        let killed = eventually("it to be done or the controller to be killed", async || {
            let node = node(&trial, &name).await;
            let is_done = condition(&node).is_some_and(|it| it.status == "True") && taints(&node) == [NODES_OF];
            (is_done || controller.has_ended()).then_some(controller.has_ended())
        })
        .await;
        proxy.spare();
        if killed {
            controller = Controller::start_through_with(&trial, &proxy.kubeconfig, &arguments).await;
        }
        freed(&trial, &name).await;
        says(&trial, &name, "True", "Warm").await;
        drop(controller);
        if !killed {
            break assert!(request > 2, "it needs at least a patch of the taint and one of the condition");
        }
        request += 1;
        assert!(request < 20, "it asks again and again");
    }
}

#[tokio::test]
async fn a_node_that_leaves_while_it_waits_is_forgotten_and_another_leader_goes_on() {
    let trial = trial("gateleave").await;
    let (kubelets, served) = kubelets(&trial, 2).await;
    let key = taint(&trial);
    let arguments = ["--node-gate-taint", key.as_str(), "--leader-elect=true"];
    let first = Controller::start_with(&trial, &arguments).await;
    trial.write_list("tools", &list(&trial, "app:1", "condition: true, timeout: 1h")).await;
    waits(&trial, &kubelets.nodes().name(1)).await;
    kubelets.nodes().remove(0).await;
    eventually("one node to wait", async || (metric(&first, "kube_prepull_nodes_gated") == 1.0).then_some(())).await;
    let second = Controller::start_with(&trial, &arguments).await;
    let (status, _) = first.stop();
    assert!(status.success(), "{status}");
    served.store(true, Ordering::Relaxed);
    freed(&trial, &kubelets.nodes().name(1)).await;
    drop(second);
}

#[tokio::test]
async fn a_condition_that_no_list_asks_for_any_more_goes() {
    let trial = trial("gatecond").await;
    let nodes = Nodes::of(&trial);
    nodes.add(0, simulated("amd64")).await;
    let _controller = start(&trial).await;
    let placement = nodes.placement();
    let with = |gate: &str| format!("groups: [{{name: g, images: [\"app:1\"], {placement}}}]\n{gate}");
    trial.write_list("tools", &with("nodeGate: {condition: true}")).await;
    says(&trial, &nodes.name(0), "True", "Warm").await;
    trial.write_list("tools", &with("")).await;
    eventually("the condition to go", async || condition(&node(&trial, &nodes.name(0)).await).is_none().then_some(()))
        .await;
}

/// One write for the taint of each node, and few for its condition.
#[tokio::test]
#[ignore = "make test-faults"]
async fn a_thousand_nodes_that_join_at_once_cost_a_thousand_patches_of_taints() {
    const NODES: usize = 1_000;
    let trial = trial("gatemany").await;
    let nodes = Nodes::of(&trial);
    let _controller = start(&trial).await;
    trial.write_list("tools", &list(&trial, "app:1", "condition: true, timeout: 1h")).await;
    trial.settled_on(&["app:1"]).await;
    let log = AuditLog::open();
    let from = log.length();
    for index in 0..NODES {
        nodes.add(index, gated(&trial, simulated("amd64"))).await;
    }
    crate::trial::within(std::time::Duration::from_secs(900), "all nodes to be free and to say so", async || {
        let all = nodes.all().await;
        let done = |node: &Node| taints(node) == [NODES_OF] && condition(node).is_some_and(|it| it.status == "True");
        (all.len() == NODES && all.iter().all(done)).then_some(())
    })
    .await;
    let ours = log.since(from, &format!("/nodes/{}-", trial.namespace), |it| it.is_ours() && it.is_write());
    let (conditions, of_taints): (Vec<_>, Vec<_>) = ours.iter().partition(|it| it.uri.contains("/status"));
    let conflicts = of_taints.iter().filter(|it| !it.succeeded()).count();
    assert_eq!(of_taints.len() - conflicts, NODES);
    assert!(conflicts <= NODES / 10, "{conflicts} conflicts");
    assert!(conditions.len() <= 3 * NODES, "{} writes of conditions", conditions.len());
}
