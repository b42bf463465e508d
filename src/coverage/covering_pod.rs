//! What is kept of a pod.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Toleration;

use super::capacity::NoCapacity;
use super::init::Initialization;
use super::pod::ImageState;
use super::requests::Requests;

/// A pod of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct CoveringPod {
    /// Name of the pod.
    pub name: Box<str>,
    /// UID of the pod, which a replaced pod does not share.
    pub uid: Arc<str>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The value of its list label.
    pub list: Arc<str>,
    /// The name of the generation's DaemonSet.
    pub generation: Arc<str>,
    /// The node it is bound to, if it is.
    pub node: Option<Arc<str>>,
    /// The node that the DaemonSet controller created it for, even if it is not scheduled.
    pub target: Option<Arc<str>>,
    /// Whether it can hold anything. [`CoveringPod::images`] has the state of each image.
    pub state: PodState,
    /// How far its init containers are. Until they are done, it pulls nothing.
    pub initialization: Initialization,
    /// The node's lack of capacity for it, if any.
    pub no_capacity: Option<NoCapacity>,
    /// Whether its node has stopped reporting, according to the pod's conditions.
    pub node_is_lost: bool,
    /// Since when not all of its containers run, according to its kubelet; `None` if they do or it is not known.
    pub not_ready_since: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its resource version, if that is a number: a greater one is a later version of the pod.
    pub(super) version: Option<u64>,
    /// With those that the DaemonSet controller adds.
    pub tolerations: Arc<[Toleration]>,
    /// The annotation [`crate::naming::labels::PULL_POLICIES`]: which version of its generation's template it was created from.
    pub pull_policies: Option<Arc<str>>,
    /// Whether admission makes it pull even the holder's image with `Always`, which no template does: the plugin AlwaysPullImages.
    pub always_pulls: bool,
    /// What the scheduler reserves for it on its node.
    pub requests: Requests,
    /// Its node selector with what admission added, as [`super::PodSpec::node_selector_text`] has it.
    pub node_selector: Arc<str>,
    /// Its images, in the order of the pulls. Pods that look alike share them.
    pub images: Arc<[Arc<CoveredImage>]>,
}

/// The state of a pod as a whole. The texts are the scheduler's and the kubelet's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PodState {
    /// It is being started or runs. The states of its images say more.
    #[default]
    Live,
    /// It cannot be scheduled.
    Unschedulable {
        /// The scheduler's message.
        message: Arc<str>,
    },
    /// It has ended: the kubelet evicted or rejected it.
    Ended {
        /// The kubelet's reason, such as `Evicted`.
        reason: Arc<str>,
        /// The kubelet's message.
        message: Arc<str>,
    },
}

/// One image in one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoveredImage {
    /// The name of its container.
    pub name: Arc<str>,
    /// The image in the pod's spec: as the list spells it, unless admission rewrote it.
    pub reference: Arc<str>,
    /// How far the image is in this pod.
    pub state: ImageState,
    /// The id or digest that the runtime reports; empty if it reports none.
    pub image_id: Arc<str>,
    /// Whether the kubelet asks the registry for it each time the container starts.
    pub pulled_always: bool,
    /// Whether its container was started before, so the node had the image.
    pub restarted: bool,
    /// Whether its container ran before the one that the kubelet starts now, as after a reboot.
    pub ran_before: bool,
}

impl CoveringPod {
    /// Whether another version of the pod says the same.
    pub(super) fn is_as(&mut self, other: &Self) -> bool {
        let version = std::mem::replace(&mut self.version, other.version);
        let is_same = *self == *other;
        self.version = version;
        is_same
    }
}
