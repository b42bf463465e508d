//! Pods and nodes → who has what. Pure.
//!
//! [`Coverage`] is a fold over the changes of pods: it can be driven by plain calls, in any order, and holds no more of a
//! pod than the plan and the user's view need.
//!
//! - [`pod`], [`node`]: the few fields that are decoded, and what they say
//! - [`capacity`]: whether a pod's node has room for it
//! - [`pool`], [`texts`], [`gone`]: how the fold stays small, and right when messages is late
//! - [`requests`]: what pods reserve
//! - [`sizes`]: how large images are, where nodes say so
//! - [`eviction_loop`]: holders that are evicted again and again

mod capacity;
mod digest;
mod eviction_loop;
mod gone;
mod node;
mod pod;
mod pool;
pub mod requests;
mod sizes;
mod texts;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use digest::digest;
use gone::Gone;
use jiff::Timestamp;

pub use capacity::{NoCapacity, Shortage};
use eviction_loop::Evictions;
pub use eviction_loop::{EvictionLoop, WINDOW as EVICTION_LOOP_WINDOW};
use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
pub use node::{Node, SlimNode};
pub use pod::{Hold, ImageState, PULL_FAILURES, PodSpec, PodStatus, SlimPod, image_state};
use pool::Pool;
use requests::Requests;
pub use sizes::Sizes;
pub use texts::{OMITTED, Texts, end_of};

use crate::naming::{INIT_CONTAINER, labels};

/// Stands for the list of pods that kubernetes-image-puller left behind. No list is called so.
pub const NO_LIST: &str = "";

/// Which pod holds what on which node.
#[derive(Debug, Default)]
pub struct Coverage {
    pods: HashMap<Arc<str>, CoveringPod>,
    gone: Gone,
    evictions: Evictions,
    /// Names, references and messages repeat in every pod.
    texts: Texts,
    /// What became of an image repeats on nearly every node.
    images: Pool<CoveredImage>,
    /// Tolerations repeat in every pod of a generation.
    tolerations: Vec<Arc<[Toleration]>>,
}

/// A pod of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct CoveringPod {
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Arc<str>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The list it belongs to (the value of its label).
    pub list: Arc<str>,
    /// The name of the generation's DaemonSet.
    pub generation: Arc<str>,
    /// The node it is bound to, once it is.
    pub node: Option<Arc<str>>,
    /// The node it is made for, whether or not that takes it.
    pub target: Option<Arc<str>>,
    /// What became of it as a whole.
    pub state: PodState,
    /// Whether its node has no room for it.
    pub no_capacity: Option<NoCapacity>,
    /// Whether its node has stopped reporting, as far as the pod tells.
    pub node_is_lost: bool,
    /// Whether it is about to go.
    pub deleting: bool,
    /// Its resource version, where that is a number: a greater one is a later form of the pod.
    version: Option<u64>,
    /// Taints that did not keep it away from its node.
    pub tolerations: Arc<[Toleration]>,
    /// Which of its generation's templates it was created from: the annotation [`labels::PULL_POLICIES`].
    pub pull_policies: Option<Arc<str>>,
    /// Whether admission makes it pull even our own image always, though no template says so: the plugin AlwaysPullImages.
    pub always_pulls: bool,
    /// What is reserved for it.
    pub requests: Requests,
    /// Its images, in the order in which they are pulled.
    pub images: Box<[Arc<CoveredImage>]>,
}

/// What became of a pod as a whole. The texts are the scheduler's and the kubelet's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PodState {
    /// It is on its way, or on its node: its images say more.
    #[default]
    Live,
    /// No node takes it.
    Unschedulable {
        /// The scheduler's words.
        message: Arc<str>,
    },
    /// It has ended: the kubelet evicted it, or never took it.
    Ended {
        /// The kubelet's word for it, such as `Evicted`.
        reason: Arc<str>,
        /// More words.
        message: Arc<str>,
    },
}

/// One image in one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoveredImage {
    /// The name of its container.
    pub name: Arc<str>,
    /// The image as it stands in the pod: as the list spells it, unless admission rewrote it.
    pub reference: Arc<str>,
    /// What became of it.
    pub state: ImageState,
    /// What the runtime says the reference stands for; empty where it has not said so.
    pub image_id: Arc<str>,
    /// Whether the kubelet asks the registry for it each time the container starts.
    pub pulled_always: bool,
    /// Whether its container has been started before: the node had it then.
    pub restarted: bool,
}

impl Coverage {
    /// Takes in a pod as it is now. A pod of no generation is left out, and so is a form of a pod that is older than the one
    /// which is known.
    pub fn apply(&mut self, pod: &SlimPod) {
        let Some(uid) = pod.metadata.uid.as_ref() else { return };
        if self.is_stale(uid, version(pod)) {
            return;
        }
        match self.covering(pod, uid) {
            Some(covering) => {
                if let Some((time, node)) = eviction_loop::evicted_for_disk(pod).zip(covering.node.as_ref()) {
                    self.evictions.insert(node, &covering.generation, uid, time);
                }
                self.pods.insert(Arc::clone(&covering.uid), covering);
            }
            None => drop(self.pods.remove(uid.as_str())),
        }
    }

    /// The kubelet's reasons for the images of a pod as it is now that could not be pulled, and of which nobody knew yet.
    pub fn new_pull_failures(&self, pod: &SlimPod) -> Vec<&'static str> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if self.is_stale(uid, version(pod)) || controller_of(pod).is_none() {
            return Vec::new();
        }
        let known = self.pods.get(uid).map(|known| &known.images[..]).unwrap_or_default();
        let has_failed = |name: &str| {
            known.iter().any(|image| *image.name == *name && matches!(image.state, ImageState::Failed { .. }))
        };
        let containers = pod.status.iter().flat_map(|status| &status.container_statuses);
        let failed = containers.filter_map(|container| Some((&container.name, pod::pull_failure(container)?)));
        failed.filter(|(name, _)| !has_failed(name)).map(|(_, reason)| reason).collect()
    }

    /// Takes in that a pod is gone.
    pub fn delete(&mut self, pod: &SlimPod) {
        if let Some(uid) = &pod.metadata.uid {
            self.pods.remove(uid.as_str());
            self.gone.insert(uid);
        }
    }

    /// Takes in that there are these pods and no others. What is known of earlier ones stays known.
    pub fn replace(&mut self, listing: Self) {
        let before = std::mem::replace(self, listing);
        self.evictions.extend(before.evictions);
    }

    /// The nodes on which holders are evicted again and again, by now. What this process has not seen itself is not known here:
    /// evicted pods are soon deleted. What was told of them is noted on generations ([`crate::plan::Told`]).
    pub fn eviction_loops(&self, now: Timestamp) -> impl Iterator<Item = EvictionLoop<'_>> {
        self.evictions.eviction_loops(now)
    }

    fn is_stale(&self, uid: &str, version: Option<u64>) -> bool {
        match self.pods.get(uid) {
            Some(known) => known.version.zip(version).is_some_and(|(known, version)| version < known),
            None => self.gone.contains(uid),
        }
    }

    /// The pods of a list.
    pub fn pods_of<'a>(&'a self, list: &str) -> impl Iterator<Item = &'a CoveringPod> {
        self.pods.values().filter(move |pod| &*pod.list == list)
    }

    fn covering(&mut self, pod: &SlimPod, uid: &str) -> Option<CoveringPod> {
        let list =
            pod::label(&pod.metadata, labels::LIST).or_else(|| is_adoptable(&pod.metadata).then_some(NO_LIST))?;
        let owner = controller_of(pod)?;
        let status = pod.status.clone().unwrap_or_default();
        let images = pod.spec.containers.iter().map(|container| self.image(container, &status)).collect();
        let annotations = pod.metadata.annotations.as_ref();
        Some(CoveringPod {
            name: pod.metadata.name.as_deref().unwrap_or_default().into(),
            uid: self.pods.get_key_value(uid).map_or_else(|| uid.into(), |(known, _)| Arc::clone(known)),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            pull_policies: annotations.and_then(|it| it.get(labels::PULL_POLICIES)).map(|hash| self.text(hash)),
            always_pulls: pod.spec.init_containers.iter().any(|it| it.name == INIT_CONTAINER && it.pulls_always()),
            list: self.text(list),
            generation: self.text(&owner.name),
            node: pod.spec.node_name.as_ref().map(|node| self.text(node)),
            target: pod.spec.target().map(|node| self.text(node)),
            state: self.pod_state(&status),
            no_capacity: capacity::no_capacity(&pod.metadata, &status),
            node_is_lost: capacity::node_is_lost(&status),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            version: version(pod),
            tolerations: self.tolerations(&pod.spec.tolerations),
            requests: Requests::of_pod(&pod.spec),
            images,
        })
    }

    fn image(&mut self, container: &pod::Container, status: &pod::PodStatus) -> Arc<CoveredImage> {
        let reported = status.container_statuses.iter().find(|status| status.name == container.name);
        let image = CoveredImage {
            name: self.text(&container.name),
            reference: self.text(&container.image),
            state: pod::image_state(status, &container.name, &mut self.texts),
            image_id: self.text(reported.map_or("", |status| &status.image_id)),
            pulled_always: container.pulls_always(),
            restarted: reported.is_some_and(|status| status.restart_count > 0),
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
        // There are as many as generations, so it is cheap to look which of them are left.
        self.tolerations.retain(|known| Arc::strong_count(known) > 1);
        let new: Arc<[Toleration]> = tolerations.into();
        self.tolerations.push(Arc::clone(&new));
        new
    }
}

/// The DaemonSet of a generation's pod. What a tag check holds is gone in a minute, so it does not count.
fn controller_of(pod: &SlimPod) -> Option<&OwnerReference> {
    if pod::label(&pod.metadata, labels::TAG_CHECK).is_some() {
        return None;
    }
    pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn is_adoptable(metadata: &ObjectMeta) -> bool {
    labels::ADOPTABLE_PODS.iter().all(|(key, value)| pod::label(metadata, key) == Some(value))
}

/// Since Kubernetes 1.35 the API promises that resource versions are numbers which grow; etcd has always made them so.
fn version(pod: &SlimPod) -> Option<u64> {
    pod.metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests;
