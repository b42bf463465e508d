//! What is on a node's disk is held again though the registry does not serve it: pods that are deleted, evicted or shut down,
//! nodes that reboot, and nodes that join.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams};
use serde_json::json;
use test_bed::real::{Fault, Remains, Watch};
use test_bed::{Digest, Node};

use super::RealTrial;
use super::faults::{HEALING, Outage, StoppedKubelet};
use crate::controller::Controller;
use crate::trial::within;

/// Why a node cannot pull an image any more.
#[derive(Clone, Copy, Debug)]
enum Loss {
    RegistryDown,
    TagDeleted,
}

/// Three images that are held on all nodes, of which the first two can be asked for and the last is pinned. Their names are not in the
/// order of the alphabet.
struct Held {
    outage: Outage,
    digests: [Digest; 3],
}

impl Held {
    async fn begin(real: RealTrial) -> Self {
        let outage = Outage::on(real).await;
        let digests = ["zeta", "mid", "alpha"].map(|image| outage.push(&format!("{image}:1"), image));
        let held = Self { outage, digests };
        held.outage.list(&["zeta:1", &format!("mid@{}", held.digests[1]), "alpha:1"], "").await;
        held.outage.await_held(&held.all()).await;
        held.outage.real.trial.noted_as_reported("complete").await;
        held
    }

    fn all(&self) -> [&Digest; 3] {
        [&self.digests[0], &self.digests[1], &self.digests[2]]
    }

    /// The first one cannot be pulled from now on, at least.
    fn lose(&self, loss: Loss) {
        let reference = self.outage.real.reference("zeta:1");
        match loss {
            Loss::RegistryDown => self.outage.faulty.set(Fault::Closed),
            Loss::TagDeleted => self.outage.real.bed.registry().unwrap().delete_tag(&reference).unwrap(),
        }
    }

    /// The node's holder.
    async fn pod_on(&self, node: &Node) -> Pod {
        let on = ListParams::default().fields(&format!("spec.nodeName={}", node.name()));
        let mut pods = self.outage.real.trial.api::<Pod>().list(&on).await.unwrap().items;
        assert_eq!(pods.len(), 1, "{pods:#?}");
        pods.remove(0)
    }

    fn watch(&self, node: &Node) -> Watch {
        let digests = self.digests.each_ref().map(|digest| [digest.as_str()]);
        let wanted = digests.each_ref().map(|digest| digest.as_slice());
        Watch::begin(vec![node.clone()], &self.outage.real.trial.namespace, &wanted)
    }

    /// The ids of the containers that run on a node.
    fn running_on(&self, node: &Node) -> BTreeSet<String> {
        let containers = node.containers().unwrap().into_iter();
        let ours = containers.filter(|it| it.namespace == self.outage.real.trial.namespace && it.running);
        ours.map(|container| container.id).collect()
    }

    /// Waits until containers that did not run before hold all images of the list.
    async fn await_held_again(&self, node: &Node, before: &BTreeSet<String>) {
        within(HEALING, &format!("other containers to hold all on {}", node.name()), async || {
            let containers = node.containers().unwrap().into_iter();
            let new = containers.filter(|it| it.namespace == self.outage.real.trial.namespace && it.running);
            let held: Vec<String> = new.filter(|it| !before.contains(&it.id)).filter_map(|it| it.digest).collect();
            self.all().iter().all(|digest| held.iter().any(|it| it == digest.as_str())).then_some(())
        })
        .await;
    }
}

/// Something happens to a node's holder in an outage. In the end the node holds what it held, and the other one never stopped.
async fn is_held_again_after(real: RealTrial, loss: Loss, happens: impl AsyncFnOnce(&Held, &Node, Pod)) -> Held {
    let held = Held::begin(real).await;
    let [hit, other] = held.outage.real.nodes.as_slice() else { panic!("two nodes are needed") };
    held.lose(loss);
    let watch = held.watch(other);
    let before = held.running_on(hit);
    happens(&held, hit, held.pod_on(hit).await).await;
    held.await_held_again(hit, &before).await;
    assert_eq!(held.outage.generations().await.len(), 1);
    watch.assert_no_gap();
    held
}

/// The same, and the generation is sealed.
async fn is_sealed_after(real: RealTrial, loss: Loss, happens: impl AsyncFnOnce(&Held, &Node, Pod)) {
    assert_sealed(&is_held_again_after(real, loss, happens).await).await;
}

/// The sealed DaemonSet: nothing is pulled with `Always` any more, and the containers are in the order of the list.
async fn assert_sealed(held: &Held) {
    let reported = held.outage.real.trial.reported("Sealed").await;
    assert!(reported.contains("2 images from the nodes' disks (alpha, zeta)"), "{reported}");
    let [daemon_set] = &held.outage.generations().await[..] else { panic!("one generation") };
    assert_eq!(containers(daemon_set), [("zeta", "IfNotPresent"), ("mid", "IfNotPresent"), ("alpha", "IfNotPresent")]);
}

fn containers(daemon_set: &DaemonSet) -> Vec<(&str, &str)> {
    let containers = &daemon_set.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers;
    containers.iter().map(|it| (it.name.as_str(), it.image_pull_policy.as_deref().unwrap_or_default())).collect()
}

async fn deleted(held: &Held, _: &Node, pod: Pod) {
    held.outage.real.trial.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();
}

async fn evicted(held: &Held, _: &Node, pod: Pod) {
    held.outage.real.trial.api::<Pod>().evict(&pod.name_any(), &EvictParams::default()).await.unwrap();
}

/// What a kubelet writes when it shuts its node down (`pkg/kubelet/nodeshutdown`). The words are the test's, since kubelets learn of
/// a shutdown from systemd-logind, which the bed has not. What follows is real: the DaemonSet controller deletes the pod and creates
/// another, and the kubelet ends the old containers and pulls for the new ones.
async fn shut_down(held: &Held, _: &Node, pod: Pod) {
    let status = json!({"phase": "Failed", "reason": "Terminated",
        "message": "Pod was terminated in response to imminent node shutdown."});
    let patch = Patch::Merge(json!({"status": status}));
    let pods = held.outage.real.trial.api::<Pod>();
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch).await.unwrap();
}

/// The power is cut, and comes back. Under the same uid the pod starts again.
async fn rebooted(held: &Held, node: &Node, remains: Remains) {
    let kubelet = StoppedKubelet::of(node);
    node.cut_power(&held.outage.real.trial.namespace, remains).unwrap();
    assert_eq!(held.outage.real.held_on(node.name()), [""; 0], "nothing runs without power");
    drop(kubelet);
}

#[tokio::test]
async fn a_pod_that_is_deleted_while_the_registry_is_down() {
    is_sealed_after(RealTrial::begin("down-deleted").await, Loss::RegistryDown, deleted).await;
}

#[tokio::test]
async fn a_pod_that_is_deleted_after_its_tag_was() {
    is_sealed_after(RealTrial::begin("gone-deleted").await, Loss::TagDeleted, deleted).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_pod_that_is_evicted_while_the_registry_is_down() {
    is_sealed_after(RealTrial::begin("down-evicted").await, Loss::RegistryDown, evicted).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_pod_that_is_evicted_after_its_tag_was_deleted() {
    is_sealed_after(RealTrial::begin("gone-evicted").await, Loss::TagDeleted, evicted).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_is_shut_down_while_the_registry_is() {
    is_sealed_after(RealTrial::begin("down-shutdown").await, Loss::RegistryDown, shut_down).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_is_shut_down_after_a_tag_was_deleted() {
    is_sealed_after(RealTrial::begin("gone-shutdown").await, Loss::TagDeleted, shut_down).await;
}

async fn rebooted_without_remains(held: &Held, node: &Node, _: Pod) {
    rebooted(held, node, Remains::Nothing).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_reboots_while_the_registry_is_down() {
    let real = RealTrial::begin_alone("down-reboot").await;
    is_sealed_after(real, Loss::RegistryDown, rebooted_without_remains).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_reboots_after_a_tag_was_deleted() {
    let real = RealTrial::begin_alone("gone-reboot").await;
    is_sealed_after(real, Loss::TagDeleted, rebooted_without_remains).await;
}

/// A kubelet goes on to report how a container ended when the container itself is gone.
#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_reboots_in_an_outage_after_its_containers_had_been_restarted() {
    let real = RealTrial::begin_alone("restarted").await;
    let held = Held::begin(real).await;
    let [node, _] = held.outage.real.nodes.as_slice() else { panic!("two nodes are needed") };
    let before = held.running_on(node);
    for container in &before {
        node.ctr(&["tasks", "kill", "--signal", "SIGKILL", container]).unwrap();
    }
    held.await_held_again(node, &before).await;
    held.lose(Loss::RegistryDown);
    let before = held.running_on(node);
    rebooted(&held, node, Remains::Nothing).await;
    held.await_held_again(node, &before).await;
    assert_sealed(&held).await;
}

/// With containerd nothing has to be sealed: the dead containers keep the images, as they do when a holder is killed.
#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_reboots_in_an_outage_keeps_images_by_dead_containers_and_then_by_living_ones() {
    let held = Held::begin(RealTrial::begin_alone("dead").await).await;
    let [node, _] = held.outage.real.nodes.as_slice() else { panic!("two nodes are needed") };
    held.lose(Loss::RegistryDown);
    let before = held.running_on(node);
    rebooted(&held, node, Remains::DeadContainers).await;
    held.outage.failing_on("1", node.name()).await;
    let containers = node.containers().unwrap();
    let kept: Vec<_> = containers.iter().filter(|it| before.contains(&it.id)).map(|it| it.name.as_str()).collect();
    assert!(["zeta", "alpha"].iter().all(|image| kept.contains(image)), "{containers:#?}");
    assert!(held.outage.real.trial.events("Sealed").await.is_empty());
    held.outage.faulty.set(Fault::None);
    held.await_held_again(node, &before).await;
}

/// The registry cannot be reached at first, as before a node's network works. No node has failed then, and none has recovered.
async fn nothing_is_reported_of_a_reboot(name: &str, remains: Remains) {
    let held = Held::begin(RealTrial::begin_alone(name).await).await;
    let [node, _] = held.outage.real.nodes.as_slice() else { panic!("two nodes are needed") };
    let before = held.running_on(node);
    held.lose(Loss::RegistryDown);
    rebooted(&held, node, remains).await;
    held.outage.failing_on("1", node.name()).await;
    held.outage.faulty.set(Fault::None);
    held.await_held_again(node, &before).await;
    held.outage.controller.has_reconciled(&held.outage.real.trial, "tools").await;
    for reason in ["ImageFailing", "ImageRecovered"] {
        let reported = held.outage.real.trial.events(reason).await;
        assert!(reported.is_empty(), "{reported:#?}");
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_reboots_is_reported_neither_as_failing_nor_as_recovered() {
    nothing_is_reported_of_a_reboot("reboot", Remains::DeadContainers).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_reboots_without_remains_is_reported_neither_as_failing_nor_as_recovered() {
    nothing_is_reported_of_a_reboot("reboot-wiped", Remains::Nothing).await;
}

/// What `status` says of the first image on nodes that do not hold it.
fn why_not_held(held: &Held) -> String {
    let report = held.outage.real.trial.status();
    let image = &report["lists"][0]["groups"][0]["images"][0];
    image["behind"].as_array().into_iter().flatten().map(|behind| behind["message"].to_string()).collect()
}

/// Holders are killed in an outage. Between two attempts their kubelet says how they ended, and not why they cannot be started again.
#[tokio::test]
#[ignore = "make test-faults"]
async fn the_registrys_cause_is_known_after_a_restart_of_holders_and_of_the_controller() {
    let held = Held::begin(RealTrial::begin_alone("cause").await).await;
    let node = held.outage.real.nodes[0].clone();
    held.lose(Loss::RegistryDown);
    for container in &held.running_on(&node) {
        node.ctr(&["tasks", "kill", "--signal", "SIGKILL", container]).unwrap();
    }
    held.outage.failing_on("1", node.name()).await;
    let trial = &held.outage.real.trial;
    let reported = trial.reported_within(HEALING, "ImageFailing").await;
    assert!(reported.contains("cannot be pulled on ") && reported.contains("closed the connection"), "{reported}");
    trial.noted_as_reported("cause").await;
    let Held { outage, digests } = held;
    let Outage { real, faulty, controller } = outage;
    controller.kill();
    let controller = Controller::start_with(&real.trial, &["--holder-image", &real.reference("kube-prepull:1")]).await;
    let held = Held { outage: Outage { real, faulty, controller }, digests };
    let silent = async || {
        let pod = held.pod_on(&node).await;
        let statuses = pod.status.unwrap().container_statuses.unwrap_or_default().into_iter();
        let mut waiting = statuses.filter_map(|it| it.state?.waiting?.reason);
        waiting.any(|reason| reason == "CrashLoopBackOff").then_some(())
    };
    within(HEALING, "the kubelet to say only that it waits", silent).await;
    let said = why_not_held(&held);
    assert!(said.contains("failed to do request") && !said.contains("exit code"), "{said}");
    assert_eq!(held.outage.real.trial.events("ImageFailing").await.len(), 1, "it was reported");
    held.outage.faulty.set(Fault::None);
}

/// A label on a node, which goes with the test.
struct NodeLabel<'a> {
    outage: &'a Outage,
    node: &'static str,
}

impl<'a> NodeLabel<'a> {
    fn key(outage: &Outage) -> String {
        format!("test.kube-prepull.io/{}", outage.real.trial.namespace)
    }

    fn set(outage: &'a Outage, node: &'static str) -> Self {
        outage.real.bed.kubectl(["label", "node", node, &format!("{}=in", Self::key(outage))]).unwrap();
        Self { outage, node }
    }
}

impl Drop for NodeLabel<'_> {
    fn drop(&mut self) {
        let _ = self.outage.real.bed.kubectl(["label", "node", self.node, &format!("{}-", Self::key(self.outage))]);
    }
}

/// A node with older content of a tag on its disk joins. What it holds then?
async fn joins_with_old_content(name: &str, meanwhile: Fault) -> (bool, bool) {
    let outage = Outage::begin(name).await;
    let (present, late) = (&outage.real.nodes[0], &outage.real.nodes[1]);
    let old = outage.push("app:1", "old");
    outage.bake(late, "app:1");
    let new = outage.push("app:1", "new");
    let _first = NodeLabel::set(&outage, "node1");
    let image = outage.real.reference_at(outage.faulty.name(), "app:1");
    let selector = json!({NodeLabel::key(&outage): "in"});
    let list = format!("groups: [{{name: some, nodeSelector: {selector}, images: [\"{image}\"]}}]\n");
    outage.real.trial.write_list("tools", &list).await;
    outage.real.trial.noted_as_reported("complete").await;
    assert_eq!(outage.real.held_on(present.name()), [new.as_str()]);
    assert_eq!(outage.real.held_on(late.name()), [""; 0]);
    let watch = Watch::begin(vec![present.clone()], &outage.real.trial.namespace, &[&[new.as_str()]]);
    outage.faulty.set(meanwhile);
    let _second = NodeLabel::set(&outage, "node2");
    // Before that, the container runs there that installs the holder.
    let held = within(HEALING, "the late node to hold the image", async || {
        outage.real.held_on(late.name()).into_iter().find(|it| it == old.as_str() || it == new.as_str())
    })
    .await;
    assert_eq!(outage.generations().await.len(), 1);
    watch.assert_no_gap();
    (held == old.as_str(), held == new.as_str())
}

#[tokio::test]
async fn a_node_that_joins_with_older_content_of_a_tag_gets_what_the_registry_serves() {
    assert_eq!(joins_with_old_content("late", Fault::None).await, (false, true));
}

#[tokio::test]
async fn a_node_that_joins_with_older_content_of_a_tag_holds_that_while_the_registry_is_down() {
    assert_eq!(joins_with_old_content("late-down", Fault::Closed).await, (true, false));
}

/// The rollout of an edit does not check a known tag again, so a node that joins later takes what is on its disk.
#[tokio::test]
async fn a_late_node_with_older_content_is_brought_up_to_date_by_a_refresh_without_a_rollout_or_a_gap() {
    let outage = Outage::begin("late-old").await;
    let late = &outage.real.nodes[1];
    let old = outage.push("app:1", "old");
    outage.bake(late, "app:1");
    let (new, other) = (outage.push("app:1", "new"), outage.push("other:1", "other"));
    let _first = NodeLabel::set(&outage, "node1");
    let selector = json!({NodeLabel::key(&outage): "in"});
    for images in [["app:1"].as_slice(), &["app:1", "other:1"]] {
        let images: Vec<_> = images.iter().map(|it| outage.real.reference_at(outage.faulty.name(), it)).collect();
        let group = json!({"name": "some", "nodeSelector": selector, "images": images});
        outage
            .real
            .trial
            .write_list("tools", &json!({"refresh": {"every": "24h"}, "groups": [group]}).to_string())
            .await;
        outage.settled(&images.len().to_string()).await;
        outage.real.trial.noted_as_reported("complete").await;
    }
    let _second = NodeLabel::set(&outage, "node2");
    let holds = |wanted: &[&str]| {
        let held = outage.real.held_on(late.name());
        held.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted.iter().copied().collect()
    };
    within(HEALING, "the late node to hold what is on its disk", async || {
        holds(&[old.as_str(), other.as_str()]).then_some(())
    })
    .await;
    // The tag check compares what kubelets have reported, and that node's does a moment later.
    outage.real.reported_warm().await;
    let watch = Watch::begin(
        vec![late.clone()],
        &outage.real.trial.namespace,
        &[&[old.as_str(), new.as_str()], &[other.as_str()]],
    );
    outage.refresh("now").await;
    within(HEALING, "the late node to hold the new content alone", async || {
        holds(&[new.as_str(), other.as_str()]).then_some(())
    })
    .await;
    watch.assert_no_gap();
    let generations = outage.generations().await;
    assert_eq!(generations.len(), 1);
    assert_eq!(generations[0].annotations()["kube-prepull.io/revision"], "2");
    outage.real.trial.reported("NodesOutdated").await;
}

/// A deleted tag is held by an older generation alone. One of its pods is deleted.
#[tokio::test]
async fn a_retiring_generation_holds_a_deleted_tag_again_where_its_pod_is_deleted() {
    let outage = Outage::begin("retiring").await;
    let (hit, other) = (&outage.real.nodes[0], &outage.real.nodes[1]);
    let (kept, lost) = (outage.push("kept:1", "kept"), outage.push("lost:1", "lost"));
    outage.list(&["kept:1", "lost:1"], "").await;
    outage.await_held(&[&kept, &lost]).await;
    outage.real.trial.noted_as_reported("complete").await;
    outage.real.bed.registry().unwrap().delete_tag(&outage.real.reference("lost:1")).unwrap();
    let oldest = outage.generations().await.remove(0);
    outage.refresh("two").await;
    outage.failing("2").await;
    let watch = Watch::begin(vec![other.clone()], &outage.real.trial.namespace, &[&[kept.as_str()], &[lost.as_str()]]);
    let of_oldest = ListParams::default()
        .labels(&format!("kube-prepull.io/generation={}", oldest.labels()["kube-prepull.io/generation"]))
        .fields(&format!("spec.nodeName={}", hit.name()));
    let pods = outage.real.trial.api::<Pod>();
    let pod = pods.list(&of_oldest).await.unwrap().items.remove(0).name_any();
    pods.delete(&pod, &DeleteParams::default()).await.unwrap();
    let holds = async || {
        let containers = hit.containers().unwrap().into_iter();
        let mut new = containers.filter(|it| it.running && it.pod.starts_with(&oldest.name_any()) && it.pod != pod);
        new.any(|it| it.digest.as_deref() == Some(lost.as_str())).then_some(())
    };
    within(HEALING, "the retiring generation to hold the image again", holds).await;
    let uids: Vec<_> = outage.generations().await.into_iter().map(|it| it.uid()).collect();
    assert!(uids.len() == 2 && uids.contains(&oldest.uid()), "it is not deleted: {uids:?}");
    assert!(outage.real.trial.reported("Sealed").await.contains(&oldest.name_any()));
    watch.assert_no_gap();
}
