//! Whatever goes wrong with registries and nodes releases no image that is held, and recovery is automatic.
//!
//! They take minutes, so `make test-faults` runs them.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use test_bed::real::{Fault, FaultyRegistry};
use test_bed::{Digest, Node};

use super::{RealTrial, content};
use crate::controller::Controller;
use crate::trial::{eventually, within};

/// A kubelet waits for up to five minutes between two tries to pull.
pub const HEALING: std::time::Duration = std::time::Duration::from_secs(420);

pub struct Outage {
    pub real: RealTrial,
    pub faulty: FaultyRegistry,
    pub controller: Controller,
}

impl Outage {
    pub async fn begin(name: &str) -> Self {
        Self::on(RealTrial::begin(name).await).await
    }

    pub async fn on(real: RealTrial) -> Self {
        let faulty = real.bed.faulty_registry(&format!("{}.test", real.trial.namespace)).unwrap();
        let controller =
            Controller::start_with(&real.trial, &["--holder-image", &real.reference("kube-prepull:1")]).await;
        Self { real, faulty, controller }
    }

    /// Content of the test's own. What is the same under another name counts as another image's for a kubelet that knows who
    /// pulled what (KEP-2535), and it would not take it from the disk.
    pub fn push(&self, image: &str, text: &str) -> Digest {
        self.real.push(image, &content(&format!("{text} in {}", self.real.trial.namespace)))
    }

    /// A list of these images, whose refreshes always begin a rollout. What follows the images may say more.
    pub async fn list(&self, images: &[&str], more: &str) {
        let images: Vec<_> = images.iter().map(|image| self.real.reference_at(self.faulty.name(), image)).collect();
        let list = format!("images: {}\nrefresh: {{every: 24h, mode: Always}}\n{more}", json!(images));
        self.real.trial.write_list("tools", &list).await;
    }

    /// Pushes an image with that content, makes a list of it alone, and waits until every node holds it.
    pub async fn hold(&self, image: &str, text: &str) -> Digest {
        let digest = self.push(image, text);
        self.list(&[image], "").await;
        self.await_held(&[&digest]).await;
        digest
    }

    /// Puts an image on a node's disk before anybody there needs it, as on nodes that are made from a disk with images on it.
    pub fn bake(&self, node: &Node, image: &str) {
        let certificates = self.real.bed.kubeconfig().with_file_name(node.name()).join("certs.d").display().to_string();
        let reference = self.real.reference_at(self.faulty.name(), image);
        node.ctr(&["images", "pull", "--hosts-dir", &certificates, &reference]).unwrap();
    }

    pub async fn refresh(&self, value: &str) {
        self.real.trial.annotate_list("tools", "kube-prepull.io/refresh-requested", value).await;
    }

    /// Whether every node holds all of these.
    pub fn held_everywhere(&self, digests: &[&Digest]) -> bool {
        let holds_all = |node: &Node| {
            let held = self.real.held_on(node.name());
            digests.iter().all(|digest| held.contains(&digest.to_string()))
        };
        self.real.nodes.iter().all(holds_all)
    }

    pub async fn await_held(&self, digests: &[&Digest]) {
        within(HEALING, "the images to be held on every node", async || self.held_everywhere(digests).then_some(()))
            .await;
    }

    pub async fn generations(&self) -> Vec<DaemonSet> {
        self.real.trial.daemon_sets().await
    }

    /// Waits until the newest generation is the only one.
    pub async fn settled(&self, revision: &str) {
        within(HEALING, &format!("generation {revision} alone"), async || {
            let found = self.generations().await;
            let newest = found.iter().any(|it| it.annotations()["kube-prepull.io/revision"] == revision);
            (newest && found.len() == 1).then_some(())
        })
        .await;
    }

    /// Waits until kubelets say that the pods of that generation cannot pull.
    pub async fn failing(&self, revision: &str) {
        for node in &self.real.nodes {
            self.failing_on(revision, node.name()).await;
        }
    }

    pub async fn failing_on(&self, revision: &str, node: &str) {
        within(HEALING, &format!("the kubelet of {node} to fail"), async || {
            let generations = self.generations().await;
            let newest = generations.iter().find(|it| it.annotations()["kube-prepull.io/revision"] == revision)?;
            let of = format!("kube-prepull.io/generation={}", newest.labels()["kube-prepull.io/generation"]);
            let on = ListParams::default().labels(&of).fields(&format!("spec.nodeName={node}"));
            let pods = self.real.trial.api::<Pod>().list(&on).await.unwrap().items;
            let statuses = pods.first()?.status.as_ref()?.container_statuses.iter().flatten();
            let mut waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
            waiting.any(|reason| reason == "ErrImagePull" || reason == "ImagePullBackOff").then_some(())
        })
        .await;
    }
}

/// A fault before a refresh, and one that ends in the middle of it.
async fn nothing_is_released_during(name: &str, fault: Fault) {
    let outage = Outage::begin(name).await;
    let (one, two) = (outage.push("one:1", "one"), outage.push("two:1", "two"));
    outage.list(&["one:1", "two:1"], "").await;
    outage.await_held(&[&one, &two]).await;
    let moved = outage.push("two:1", "two, moved");
    let watch = outage.real.watch(&[&[one.as_str()], &[two.as_str(), moved.as_str()]]);
    outage.faulty.set(fault);
    outage.refresh("during").await;
    outage.failing("2").await;
    outage.faulty.set(Fault::None);
    outage.settled("2").await;
    assert!(outage.held_everywhere(&[&one, &moved]));
    watch.assert_no_gap();
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_registry_that_closes_connections() {
    nothing_is_released_during("closed", Fault::Closed).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_registry_that_wants_to_be_left_alone() {
    nothing_is_released_during("busy", Fault::TooManyRequests { retry_after: 1 }).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_registry_that_takes_no_credentials_any_more() {
    nothing_is_released_during("locked", Fault::Private { credentials: "bm9ib2R5Omtub3dz".to_owned() }).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_registry_that_never_answers() {
    let outage = Outage::begin("silent").await;
    let (one, two) = (outage.push("one:1", "one"), outage.push("two:1", "two"));
    outage.list(&["one:1", "two:1"], "").await;
    outage.await_held(&[&one, &two]).await;
    let watch = outage.real.watch(&[&[one.as_str()], &[two.as_str()]]);
    outage.faulty.set(Fault::Silent);
    outage.refresh("during").await;
    eventually("the second generation's pods", async || (outage.real.trial.pods().await.len() == 4).then_some(()))
        .await;
    outage.controller.has_reconciled(&outage.real.trial, "tools").await;
    assert_eq!(outage.generations().await.len(), 2, "the first one is needed");
    outage.faulty.set(Fault::None);
    outage.settled("2").await;
    watch.assert_no_gap();
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn an_image_that_is_gone_from_the_registry_stays_held_and_the_others_move_on() {
    let outage = Outage::begin("gone").await;
    let (kept, lost) = (outage.push("kept:1", "kept"), outage.push("lost:1", "lost"));
    outage.list(&["kept:1", "lost:1"], "").await;
    outage.await_held(&[&kept, &lost]).await;
    let registry = outage.real.bed.registry().unwrap();
    registry.delete_tag(&outage.real.reference("lost:1")).unwrap();
    let moved = outage.push("kept:1", "kept, moved");
    let watch = outage.real.watch(&[&[kept.as_str(), moved.as_str()], &[lost.as_str()]]);
    for revision in ["2", "3", "4"] {
        outage.refresh(revision).await;
        outage.failing(revision).await;
    }
    outage.await_held(&[&moved, &lost]).await;
    let another = outage.push("another:1", "another");
    outage.list(&["kept:1", "lost:1", "another:1"], "").await;
    outage.await_held(&[&moved, &lost, &another]).await;
    watch.assert_no_gap();
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_tag_that_moves_to_another_architecture_leaves_the_old_image_held() {
    let outage = Outage::begin("arch").await;
    let old = outage.hold("app:1", "old").await;
    let watch = outage.real.watch(&[&[old.as_str()]]);
    let reference = outage.real.reference("app:1");
    let foreign = content("foreign").architecture("s390x");
    outage.real.bed.registry().unwrap().push_index(&reference, &[foreign]).unwrap();
    outage.refresh("moved").await;
    outage.failing("2").await;
    outage.push("app:1", "old");
    outage.settled("2").await;
    watch.assert_no_gap();
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_taint_that_comes_after_the_pods_releases_nothing() {
    // The taint keeps the pods of other tests off the node too.
    let outage = Outage::on(RealTrial::begin_alone("tainted").await).await;
    let one = outage.hold("one:1", "one").await;
    let watch = outage.real.watch(&[&[one.as_str()]]);
    let taint = format!("test.kube-prepull.io/{}=x:NoSchedule", outage.real.trial.namespace);
    outage.real.bed.kubectl(["taint", "node", "node2", &taint]).unwrap();
    outage.refresh("tainted").await;
    eventually("the new generation on the other node", async || {
        (outage.real.held_on("node1").len() == 1 && outage.generations().await.len() == 2).then_some(())
    })
    .await;
    outage.real.bed.kubectl(["taint", "node", "node2", &format!("{taint}-")]).unwrap();
    outage.settled("2").await;
    watch.assert_no_gap();
}

/// A kubelet that does not run. Other tests find it running again, however this one ends.
pub struct StoppedKubelet(Node);

impl StoppedKubelet {
    pub fn of(node: &Node) -> Self {
        node.stop_kubelet().unwrap();
        Self(node.clone())
    }
}

impl Drop for StoppedKubelet {
    fn drop(&mut self) {
        if let Err(error) = self.0.start_kubelet() {
            eprintln!("{error:#}");
        }
    }
}

/// A kubelet with other settings. Other tests find it as it was, however this one ends.
pub struct OtherKubelet(Node);

impl OtherKubelet {
    pub fn of(node: &Node, settings: &[(&str, Value)]) -> Self {
        node.configure_kubelet(settings).unwrap();
        Self(node.clone())
    }
}

impl Drop for OtherKubelet {
    fn drop(&mut self) {
        if let Err(error) = self.0.configure_kubelet(&[]) {
            eprintln!("{error:#}");
        }
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_kubelet_that_comes_back_in_an_outage_finds_what_it_had() {
    let outage = Outage::on(RealTrial::begin_alone("kubelet").await).await;
    let old = outage.hold("app:1", "old").await;
    let new = outage.push("app:1", "new");
    let watch = outage.real.watch(&[&[old.as_str(), new.as_str()]]);
    let stopped = StoppedKubelet::of(&outage.real.nodes[1]);
    outage.refresh("while it is away").await;
    eventually("the other node to have the new image", async || {
        let (awake, away) = (outage.real.held_on("node1"), outage.real.held_on("node2"));
        (awake.contains(&new.to_string()) && away == [old.as_str()]).then_some(())
    })
    .await;
    outage.faulty.set(Fault::Closed);
    drop(stopped);
    outage.failing_on("2", "node2").await;
    assert_eq!(outage.real.held_on("node2"), [old.as_str()]);
    outage.faulty.set(Fault::None);
    outage.settled("2").await;
    assert!(outage.held_everywhere(&[&new]));
    watch.assert_no_gap();
}

/// The test that proves that the others can fail: this mode may release images, and is seen doing so.
#[tokio::test]
#[ignore = "make test-faults"]
async fn the_mode_recreate_loses_images_in_an_outage() {
    let outage = Outage::begin("recreate").await;
    let one = outage.hold("one:1", "one").await;
    let images = json!([outage.real.reference_at(outage.faulty.name(), "one:1")]);
    let list = format!("images: {images}\nrefresh: {{every: 24h, mode: Recreate}}\n");
    outage.real.trial.write_list("tools", &list).await;
    outage.real.trial.validated("tools", "accepted").await;
    let watch = outage.real.watch(&[&[one.as_str()]]);
    outage.faulty.set(Fault::Closed);
    outage.refresh("recreate").await;
    eventually("nothing to be held", async || (!outage.held_everywhere(&[&one])).then_some(())).await;
    assert!(!watch.gaps().is_empty());
    outage.faulty.set(Fault::None);
    outage.await_held(&[&one]).await;
}
