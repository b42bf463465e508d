//! The few fields of a pod that coverage needs, and what they say about the pod and about each image.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Affinity, NodeSelectorRequirement, NodeSelectorTerm, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::{Object, ObjectMeta};
use serde::Deserialize;

use super::texts::Texts;

/// A pod, decoded without everything that coverage does not need: at thousands of pods that is most of it.
pub type SlimPod = Object<PodSpec, PodStatus>;

/// The part of a pod's spec that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node it is bound to.
    pub node_name: Option<String>,
    /// Its containers, in the order in which their images are pulled.
    pub containers: Vec<Container>,
    /// The containers that run before these, one after the other.
    pub init_containers: Vec<Container>,
    /// What the pod itself costs, by its RuntimeClass.
    pub overhead: ResourceList,
    /// Taints that did not keep it away.
    pub tolerations: Vec<Toleration>,
    /// Where the DaemonSet controller wants it.
    pub affinity: Option<Affinity>,
}

impl PodSpec {
    /// The node that the pod is made for. The DaemonSet controller names it in the pod's affinity, as the only field of
    /// each term (`ReplaceDaemonSetPodNodeNameNodeAffinity` in `k8s.io/kubernetes/pkg/controller/daemon/util`), so a pod
    /// that no node takes tells it too.
    pub fn target(&self) -> Option<&str> {
        let required = || {
            let node = self.affinity.as_ref()?.node_affinity.as_ref()?;
            node.required_during_scheduling_ignored_during_execution.as_ref()
        };
        let terms = || required().map(|selector| selector.node_selector_terms.as_slice()).unwrap_or_default();
        self.node_name.as_deref().or_else(|| terms().iter().find_map(named_node))
    }
}

fn named_node(term: &NodeSelectorTerm) -> Option<&str> {
    let by_name = |it: &&NodeSelectorRequirement| it.key == "metadata.name" && it.operator == "In";
    let names = term.match_fields.iter().flatten().find(by_name)?.values.as_deref()?;
    names.first().map(String::as_str)
}

/// A container's name, image and requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, as the list spells it unless admission rewrote it.
    pub image: String,
    /// What is reserved for it.
    pub resources: ContainerResources,
    /// `Always` for an init container that goes on running: a sidecar.
    pub restart_policy: Option<String>,
    /// Whether the kubelet asks the registry for its image.
    pub image_pull_policy: String,
}

impl Container {
    /// Whether the kubelet asks the registry each time it starts the container.
    pub fn pulls_always(&self) -> bool {
        self.image_pull_policy == "Always"
    }
}

/// The part of a container's resources that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerResources {
    /// What is reserved for it.
    pub requests: ResourceList,
}

/// An amount of each resource that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResourceList {
    /// CPU, as Kubernetes writes quantities; empty where there is none.
    pub cpu: String,
    /// Memory, likewise.
    pub memory: String,
}

/// The part of a pod's status that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why it is in that phase, such as `Evicted`.
    pub reason: String,
    /// The same in the kubelet's words.
    pub message: String,
    /// How far it is.
    pub conditions: Vec<PodCondition>,
    /// What became of the init container.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// What became of the containers.
    pub container_statuses: Vec<ContainerStatus>,
}

/// The part of a pod's condition that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// Which one, such as `PodScheduled`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, such as `Unschedulable`.
    pub reason: String,
    /// The same in words.
    pub message: String,
    /// Since when.
    pub last_transition_time: Option<Time>,
}

impl PodStatus {
    /// The condition of that type.
    pub fn condition(&self, type_: &str) -> Option<&PodCondition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether the pod has ended for good. Its containers do not start again; the DaemonSet controller replaces it.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase.as_str(), "Failed" | "Succeeded")
    }

    /// The scheduler's words, where no node takes the pod.
    pub fn unschedulable(&self) -> Option<&str> {
        let refused = |it: &&PodCondition| it.status == "False" && it.reason == "Unschedulable";
        self.condition("PodScheduled").filter(refused).map(|condition| condition.message.as_str())
    }
}

/// The part of a container's status that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container's name.
    pub name: String,
    /// What the runtime says the tag is: `name@sha256:…`, or an id of its own.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// What it is now.
    pub state: ContainerState,
    /// What it was before it was started again.
    pub last_state: ContainerState,
    /// The container that the runtime has, running or dead; empty if it has none.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// How often it was started again.
    pub restart_count: i32,
}

/// What a container is: one of these, or none of them for one that waits without a reason.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It is not there yet, or not again.
    pub waiting: Option<Waiting>,
    /// It runs.
    pub running: Option<Running>,
    /// It has ended.
    pub terminated: Option<Terminated>,
}

/// Why a container waits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// The kubelet's word for it.
    pub reason: String,
    /// The runtime's or the registry's words.
    pub message: String,
}

/// A container runs; since when does not matter here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Running {}

/// How a container ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// The container that ended; empty where there never was one.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// Its exit code.
    pub exit_code: i32,
    /// The kubelet's word for it.
    pub reason: String,
    /// More words.
    pub message: String,
}

/// How firmly a container keeps its image on the node. A greater one is firmer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// There is no container, so the kubelet's garbage collector may take the image.
    None,
    /// The container has ended. The kubelet counts its image as used as long as it keeps the dead container.
    Exited,
    /// The container runs.
    Running,
}

/// What became of one image in one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageState {
    /// The node's turn has not come, or the pod has not begun.
    Waiting,
    /// The kubelet pulls it, or is about to.
    Pulling,
    /// Its container runs.
    Held,
    /// Its container has ended as it was told to, and protects the image still: the kubelet makes another one, or the pod goes.
    Stopped,
    /// It could not be pulled.
    Failed {
        /// The kubelet's word for it.
        reason: Arc<str>,
        /// The registry's words.
        message: Arc<str>,
    },
    /// It is on the node, but its container does not run.
    CannotStart {
        /// The kubelet's word for it.
        reason: Arc<str>,
        /// The runtime's words.
        message: Arc<str>,
        /// Whether a dead container still protects the image.
        container_exists: bool,
    },
}

impl ImageState {
    /// Whether the node has pulled it. A garbage collector may have taken it since, where no container keeps it.
    pub fn is_on_disk(&self) -> bool {
        matches!(self, Self::Held | Self::Stopped | Self::CannotStart { .. })
    }

    /// How firmly the image is kept on the node.
    pub fn hold(&self) -> Hold {
        match self {
            Self::Held => Hold::Running,
            Self::Stopped => Hold::Exited,
            Self::CannotStart { container_exists: true, .. } => Hold::Exited,
            _ => Hold::None,
        }
    }
}

/// The kubelet's reasons for a container that waits for its image in vain
/// (`k8s.io/kubernetes/pkg/kubelet/images/types.go` and `k8s.io/cri-api/pkg/errors`).
pub const PULL_FAILURES: [&str; 8] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ImageInspectError",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "ErrImagePullBackOff",
];
/// The reasons for a container that has not begun yet, with nothing wrong.
const NOT_YET: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];

/// What a pod's status says about the image of the container `name`. Reasons and messages are shared in `texts`.
pub fn image_state(status: &PodStatus, name: &str, texts: &mut Texts) -> ImageState {
    let start_delay_is_over = status
        .init_container_statuses
        .iter()
        .all(|init| init.state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0))
        && !status.init_container_statuses.is_empty();
    let not_begun = if start_delay_is_over { ImageState::Pulling } else { ImageState::Waiting };
    let Some(container) = status.container_statuses.iter().find(|container| container.name == name) else {
        return not_begun;
    };
    if container.state.running.is_some() {
        return ImageState::Held;
    }
    let mut words = |reason: &str, message: &str| (texts.word(reason), texts.message(message));
    if let Some(ended) = &container.state.terminated {
        // By itself a holder never ends, and an exit code of 0 is its answer to SIGTERM.
        if ended.exit_code == 0 && !ended.container_id.is_empty() {
            return ImageState::Stopped;
        }
        let (reason, message) = words(&ended.reason, &ended.message);
        return ImageState::CannotStart { reason, message, container_exists: !ended.container_id.is_empty() };
    }
    let waiting = container.state.waiting.clone().unwrap_or_default();
    let is_dead = is_dead(container);
    if NOT_YET.contains(&waiting.reason.as_str()) && !is_dead {
        return not_begun;
    }
    // Between two tries a kubelet says only that it pauses, and in which pod; the end of the last try says why.
    let ended = container.last_state.terminated.as_ref().filter(|_| waiting.reason == "CrashLoopBackOff");
    let (reason, message) = match ended {
        None => words(&waiting.reason, &waiting.message),
        Some(ended) if ended.message.is_empty() => {
            words(&waiting.reason, &format!("{} (exit code {})", ended.reason, ended.exit_code))
        }
        Some(ended) => words(&waiting.reason, &ended.message),
    };
    match pull_failure(container) {
        Some(_) => ImageState::Failed { reason, message },
        None => ImageState::CannotStart { reason, message, container_exists: is_dead },
    }
}

/// Whether a container that waits has a dead one, which protects its image. A kubelet goes on to report how the last one ended
/// when that is gone (with its sandbox, after a reboot), but then names no container as the present one
/// (`convertToAPIContainerStatuses` in `k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go`).
fn is_dead(container: &ContainerStatus) -> bool {
    let ended = container.last_state.terminated.as_ref().is_some_and(|ended| !ended.container_id.is_empty());
    ended && !container.container_id.is_empty()
}

/// The kubelet's reason, if the container's image could not be pulled.
pub fn pull_failure(container: &ContainerStatus) -> Option<&'static str> {
    let state = &container.state;
    let waiting = state.waiting.as_ref().filter(|_| state.running.is_none() && state.terminated.is_none())?;
    PULL_FAILURES.into_iter().find(|reason| waiting.reason == *reason).filter(|_| !is_dead(container))
}

/// The labels by which a pod is known to belong to a generation.
pub fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}
