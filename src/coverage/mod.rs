//! Pods and nodes → which pod holds what on which node. Pure.
//!
//! [`Coverage`] is a fold over changes of pods. They may come in any order, and it stores only the parts of a pod that the plan
//! and the status report need.
//!
//! - [`pod`], [`node`]: the fields that are decoded, and what they mean; [`protobuf`]: the same, as Protocol Buffers
//! - [`covering_pod`]: what is kept of a pod
//! - [`cause`]: what a kubelet says between two attempts, and what it leaves out
//! - [`init`]: how far a pod's init containers are
//! - [`scheduler`]: what the scheduler says of a pod's own node
//! - [`capacity`]: whether a pod's node has capacity for it
//! - [`kubelet_version`]: what follows from the version of a node's kubelet
//! - [`node_labels`]: the labels of nodes, each kept once
//! - [`indexed_pods`], [`node_set`]: the pods and the nodes, of which copies are cheap
//! - [`pool`], [`image_sets`], [`texts`], [`deleted_pods`]: save memory, and ignore changes that arrive late
//! - [`requests`]: what pods reserve
//! - [`sizes`]: the sizes of images, as nodes report them
//! - [`interruption`]: pulls that the node itself held back or cancelled; [`history`]: whether that lasts
//! - [`pull_failures`]: which pulls fail since a version of a pod
//! - [`eviction_loop`]: holders that are evicted again and again

mod capacity;
mod cause;
mod covering_pod;
mod deleted_pods;
mod digest;
mod eviction_loop;
mod history;
mod image_sets;
mod indexed_pods;
mod init;
mod interruption;
mod kubelet_version;
mod node;
mod node_labels;
mod node_set;
mod pod;
mod pool;
mod protobuf;
mod pull_failures;
pub mod requests;
pub mod scheduler;
mod sizes;
mod texts;

use std::sync::Arc;

use deleted_pods::DeletedPods;
pub(crate) use digest::digest;
use jiff::Timestamp;

pub use capacity::{NoCapacity, Shortage};
pub use cause::FailureCause;
pub use covering_pod::{CoveredImage, CoveringPod, PodState};
use eviction_loop::Evictions;
pub use eviction_loop::{ENOUGH as EVICTION_LOOP_LENGTH, EvictionLoop, WINDOW as EVICTION_LOOP_WINDOW};
use image_sets::ImageSets;
use indexed_pods::IndexedPods;
pub use init::{InitFailure, Initialization, initialization};
pub use interruption::{INTERRUPTION_GRACE, Interruption, interruption};
use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
pub use node::{ImagesReady, NoUserNamespaces, Node, SlimNode};
pub use node_labels::{LabelPool, NodeLabels};
pub use node_set::NodeSet;
pub use pod::{Hold, ImageState, PULL_FAILURES, PodSpec, PodStatus, SlimPod, image_state};
use pool::Pool;
use pull_failures::new_pull_failures;
use requests::Requests;
pub use sizes::Sizes;
pub use texts::{OMITTED, Texts, end_of, end_within};

use crate::naming::{INIT_CONTAINER, labels};

/// The list of pods that kubernetes-image-puller left behind. No list can have this name.
pub const NO_LIST: &str = "";

/// Which pod holds what on which node.
#[derive(Debug, Default)]
pub struct Coverage {
    pods: IndexedPods,
    deleted_pods: DeletedPods,
    evictions: Arc<Evictions>,
    /// Names, references and messages, which repeat in every pod.
    texts: Texts,
    /// States of images, which repeat on nearly every node.
    images: Pool<CoveredImage>,
    /// The images of whole pods, likewise.
    image_sets: ImageSets,
    /// Failures of init containers, likewise.
    init_failures: Pool<InitFailure>,
    /// Tolerations, which repeat in every pod of a generation.
    tolerations: Vec<Arc<[Toleration]>>,
}

/// How a version of a pod differs from the one that was known before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodChange {
    /// The kubelet's reasons for pulls that fail now and did not before.
    pub failures: Vec<&'static str>,
    /// Whether plans and reports may depend on what changed. Mostly kubelets change what is of no interest here.
    pub matters: bool,
}

impl Coverage {
    /// Applies the current state of a pod. Ignores pods of no generation, and versions older than the known one.
    pub fn apply(&mut self, pod: &SlimPod) {
        self.apply_and_compare(pod);
    }

    /// Applies the current state of a pod. Returns how it differs from the known one.
    pub fn apply_and_compare(&mut self, pod: &SlimPod) -> PodChange {
        let Some(uid) = pod.metadata.uid.as_ref() else { return PodChange::default() };
        let before = self.known(pod, uid);
        if self.is_stale(before.as_deref(), uid, version(pod)) {
            return PodChange::default();
        }
        let Some(mut covering) = self.covering(pod, uid, before.as_deref()) else {
            before.iter().for_each(|before| self.pods.remove(before));
            return PodChange { matters: before.is_some(), ..PodChange::default() };
        };
        let evicted = eviction_loop::evicted_for_disk(pod).zip(covering.node.as_ref());
        if let Some((time, node)) = evicted {
            Arc::make_mut(&mut self.evictions).insert(node, &covering.generation, uid, time);
        }
        let before = before.as_deref();
        let matters = evicted.is_some() || !before.is_some_and(|before| covering.is_as(before));
        let known = |name: &str| before?.images.iter().find(|image| *image.name == *name).map(|it| &it.state);
        let inits = (&covering.initialization, before.map(|before| &before.initialization));
        let images = covering.images.iter().map(|image| (&image.state, known(&image.name)));
        let failures = new_pull_failures(inits, images);
        self.pods.insert(covering, before);
        PodChange { failures, matters }
    }

    /// Removes a pod that is gone.
    pub fn delete(&mut self, pod: &SlimPod) {
        if let Some(uid) = &pod.metadata.uid {
            self.known(pod, uid).iter().for_each(|known| self.pods.remove(known));
            self.deleted_pods.insert(uid);
        }
    }

    /// Replaces all pods by these. Evictions and late changes of earlier pods are still known.
    pub fn replace(&mut self, listing: Self) {
        let before = std::mem::replace(self, listing);
        Arc::make_mut(&mut self.evictions).extend(Arc::unwrap_or_clone(before.evictions));
        self.deleted_pods = before.deleted_pods;
        // Deleted while nobody watched.
        let gone = before.pods.all().filter(|pod| self.pods.get(Some(&pod.list), &pod.uid).is_none());
        gone.for_each(|pod| self.deleted_pods.insert(&pod.uid));
    }

    /// Whether no pod is known.
    pub fn is_empty(&self) -> bool {
        self.pods.all().next().is_none()
    }

    /// The pods of a list as they are now, and the evictions. It takes microseconds, and stays as it is while pods change.
    pub fn snapshot_of(&self, list: &str) -> Self {
        let evictions = Arc::clone(&self.evictions);
        Self { pods: self.pods.only_of(list), evictions, ..Self::default() }
    }

    /// The same of all lists.
    pub fn snapshot(&self) -> Self {
        Self { pods: self.pods.clone(), evictions: Arc::clone(&self.evictions), ..Self::default() }
    }

    /// The nodes on which holders are evicted again and again. Only evictions that this process has seen count, because evicted
    /// pods are soon deleted. Reported evictions are also recorded on generations.
    pub fn eviction_loops(&self, now: Timestamp) -> impl Iterator<Item = EvictionLoop<'_>> {
        self.evictions.eviction_loops(now)
    }

    fn known(&self, pod: &SlimPod, uid: &str) -> Option<Arc<CoveringPod>> {
        self.pods.get(list_of(&pod.metadata), uid).cloned()
    }

    fn is_stale(&self, known: Option<&CoveringPod>, uid: &str, version: Option<u64>) -> bool {
        match known {
            Some(known) => known.version.zip(version).is_some_and(|(known, version)| version < known),
            None => self.deleted_pods.contains(uid),
        }
    }

    /// The pods of a list.
    pub fn pods_of<'a>(&'a self, list: &str) -> impl Iterator<Item = &'a CoveringPod> + use<'a> {
        self.pods.of_list(list)
    }

    /// The pods of a generation of a list, by the name of its DaemonSet.
    pub fn pods_of_generation<'a>(
        &'a self,
        list: &str,
        generation: &str,
    ) -> impl Iterator<Item = &'a CoveringPod> + use<'a> {
        self.pods.of_generation(list, generation)
    }

    fn covering(&mut self, pod: &SlimPod, uid: &str, before: Option<&CoveringPod>) -> Option<CoveringPod> {
        let list = list_of(&pod.metadata)?;
        let owner = controller_of(pod)?;
        let status = pod.status.clone().unwrap_or_default();
        let initialization = self.initialization(pod, &status, before);
        let seen = Seen {
            status: &status,
            is_initialized: initialization == Initialization::Done,
            before: before.map(|known| &*known.images).unwrap_or_default(),
            at: pod::written_at(&pod.metadata),
        };
        let images = pod.spec.containers.iter().map(|container| self.image(container, &seen)).collect();
        let images = self.image_sets.share(images);
        let annotations = pod.metadata.annotations.as_ref();
        Some(CoveringPod {
            name: pod.metadata.name.as_deref().unwrap_or_default().into(),
            uid: before.map_or_else(|| uid.into(), |known| Arc::clone(&known.uid)),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            pull_policies: annotations.and_then(|it| it.get(labels::PULL_POLICIES)).map(|hash| self.text(hash)),
            always_pulls: pod.spec.init_containers.iter().any(|it| it.name == INIT_CONTAINER && it.pulls_always()),
            list: self.text(list),
            generation: self.text(&owner.name),
            node: pod.spec.node_name.as_ref().map(|node| self.text(node)),
            target: pod.spec.target().map(|node| self.text(node)),
            state: self.pod_state(&status),
            initialization,
            no_capacity: capacity::no_capacity(&pod.metadata, &status),
            node_is_lost: capacity::node_is_lost(&status),
            not_ready_since: status.not_ready_since(),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            version: version(pod),
            tolerations: self.tolerations(&pod.spec.tolerations),
            requests: Requests::of_pod(&pod.spec),
            node_selector: self.text(&pod.spec.node_selector_text()),
            images,
        })
    }

    fn initialization(&mut self, pod: &SlimPod, status: &PodStatus, before: Option<&CoveringPod>) -> Initialization {
        let said = initialization(&pod.spec, status, &mut self.texts);
        let before = before.map(|known| &known.initialization);
        match said.in_light_of(before, pod::written_at(&pod.metadata)) {
            Initialization::Failed(failure) => Initialization::Failed(self.init_failures.share(failure)),
            other => other,
        }
    }

    fn image(&mut self, container: &pod::Container, seen: &Seen) -> Arc<CoveredImage> {
        let reported = seen.status.container_statuses.iter().find(|status| status.name == container.name);
        let before = seen.before.iter().find(|image| *image.name == *container.name).map(|image| &image.state);
        let state = pod::image_state(seen.status, &container.name, seen.is_initialized, &mut self.texts);
        let image = CoveredImage {
            name: self.text(&container.name),
            reference: self.text(&container.image),
            state: state.in_light_of(before, seen.at),
            image_id: self.text(reported.map_or("", |status| &status.image_id)),
            pulled_always: container.pulls_always(),
            restarted: reported.is_some_and(|status| status.restart_count > 0),
            ran_before: reported.is_some_and(pod::ran_before),
        };
        self.images.share(image)
    }

    fn pod_state(&mut self, status: &pod::PodStatus) -> PodState {
        match status.unschedulable() {
            _ if status.has_ended() => {
                PodState::Ended { reason: self.text(&status.reason), message: self.texts.message(&status.message) }
            }
            Some(message) => PodState::Unschedulable { message: self.texts.message(message) },
            None => PodState::Live,
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.word(text)
    }

    fn tolerations(&mut self, tolerations: &[Toleration]) -> Arc<[Toleration]> {
        if let Some(known) = self.tolerations.iter().find(|known| ***known == *tolerations) {
            return Arc::clone(known);
        }
        // There are as many as generations, so checking all of them is cheap.
        self.tolerations.retain(|known| Arc::strong_count(known) > 1);
        let new: Arc<[Toleration]> = tolerations.into();
        self.tolerations.push(Arc::clone(&new));
        new
    }
}

/// A version of a pod, and what was known before.
struct Seen<'a> {
    status: &'a PodStatus,
    is_initialized: bool,
    before: &'a [Arc<CoveredImage>],
    /// When it was written.
    at: Option<Timestamp>,
}

/// The DaemonSet of a generation's pod. Pods of tag checks do not count, because they exist for a minute only.
fn controller_of(pod: &SlimPod) -> Option<&OwnerReference> {
    if pod::label(&pod.metadata, labels::TAG_CHECK).is_some() {
        return None;
    }
    pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The list of a pod: the one that its label names, or that of kubernetes-image-puller.
fn list_of(metadata: &ObjectMeta) -> Option<&str> {
    pod::label(metadata, labels::LIST).or_else(|| is_adoptable(metadata).then_some(NO_LIST))
}

fn is_adoptable(metadata: &ObjectMeta) -> bool {
    labels::ADOPTABLE_PODS.iter().all(|(key, value)| pod::label(metadata, key) == Some(value))
}

/// Resource versions are increasing numbers: since Kubernetes 1.35 the API promises it, and etcd has always done it.
fn version(pod: &SlimPod) -> Option<u64> {
    pod.metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests;
