//! The fields of a pod that coverage needs, and the state of the pod and of each image.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Affinity, NodeSelectorRequirement, NodeSelectorTerm, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde::Deserialize;

use super::interruption::interruption;
use super::texts::Texts;
use crate::slim::Slim;

/// A pod, decoded without the fields that coverage does not need. With thousands of pods they would take most of the memory.
pub type SlimPod = Slim<PodSpec, PodStatus>;

/// The part of a pod's spec that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node it is bound to.
    pub node_name: Option<String>,
    /// Its containers, in the order of the pulls.
    pub containers: Vec<Container>,
    /// Its init containers.
    pub init_containers: Vec<Container>,
    /// The pod's own overhead, by its RuntimeClass.
    pub overhead: ResourceList,
    /// With those that the DaemonSet controller adds.
    pub tolerations: Vec<Toleration>,
    /// Its affinity, in which the DaemonSet controller names its node.
    pub affinity: Option<Affinity>,
    /// Its node selector, with what admission added.
    pub node_selector: BTreeMap<String, String>,
    /// Its ServiceAccount.
    pub service_account_name: String,
    /// Its pull secrets: the template's or, if that has none, those that the ServiceAccount had when the pod was created
    /// (`k8s.io/kubernetes/plugin/pkg/admission/serviceaccount`).
    pub image_pull_secrets: Vec<PullSecret>,
}

/// The name of a pull secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PullSecret {
    /// The name; the API allows it to be empty.
    pub name: String,
}

impl PodSpec {
    /// The node selector as one text: `key=value,key=value`. Neither keys nor values of labels can contain these characters.
    pub fn node_selector_text(&self) -> String {
        let entries: Vec<String> = self.node_selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        entries.join(",")
    }

    /// The node that the pod was created for. The DaemonSet controller names it in the pod's affinity, as the only field of
    /// each term (`ReplaceDaemonSetPodNodeNameNodeAffinity` in `k8s.io/kubernetes/pkg/controller/daemon/util`), so it is known
    /// even for an unschedulable pod.
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
    /// Name of the container: for an image of a list, the image's name there.
    pub name: String,
    /// Its image, as the list spells it unless admission rewrote it.
    pub image: String,
    /// What it requests of its node.
    pub resources: ContainerResources,
    /// `Always` for a sidecar: an init container that keeps running.
    pub restart_policy: Option<String>,
    /// The `imagePullPolicy`.
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
    /// Empty if it requests nothing.
    pub requests: ResourceList,
}

/// An amount of each resource that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ResourceList {
    /// CPU, as a quantity; empty if there is none.
    pub cpu: String,
    /// Memory, likewise.
    pub memory: String,
    /// Ephemeral storage, likewise.
    pub ephemeral_storage: String,
}

/// The part of a pod's status that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why it is in that phase, such as `Evicted`.
    pub reason: String,
    /// The kubelet's message.
    pub message: String,
    /// What the scheduler and the kubelet report, such as `PodScheduled`.
    pub conditions: Vec<PodCondition>,
    /// The states of the init containers.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// The states of the containers.
    pub container_statuses: Vec<ContainerStatus>,
}

/// The part of a pod's condition that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// The type, such as `PodScheduled`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, such as `Unschedulable`.
    pub reason: String,
    /// A sentence for humans.
    pub message: String,
    /// Since when.
    pub last_transition_time: Option<Time>,
}

impl PodStatus {
    /// The condition of that type.
    pub fn condition(&self, type_: &str) -> Option<&PodCondition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Since when not all containers run, by the kubelet's clock.
    pub fn not_ready_since(&self) -> Option<Timestamp> {
        let condition = self.condition("ContainersReady").filter(|condition| condition.status == "False")?;
        condition.last_transition_time.as_ref().map(|time| time.0)
    }

    /// Whether the pod has ended. Its containers do not start again; the DaemonSet controller replaces it.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase.as_str(), "Failed" | "Succeeded")
    }

    /// The last progress that it shows: the init containers ended, or a container started.
    pub(super) fn last_progress(&self) -> Option<Timestamp> {
        let started = self.container_statuses.iter().filter_map(|it| it.state.running.as_ref()?.started_at.as_ref());
        let inits = self.init_container_statuses.iter();
        let ended = inits.filter_map(|it| it.state.terminated.as_ref()?.finished_at.as_ref());
        started.chain(ended).map(|time| time.0).max()
    }

    /// When the pod was bound to its node.
    pub(super) fn scheduled_at(&self) -> Option<Timestamp> {
        let condition = self.condition("PodScheduled").filter(|condition| condition.status == "True")?;
        condition.last_transition_time.as_ref().map(|time| time.0)
    }

    /// The scheduler's message, if the pod cannot be scheduled, or if a gate that admission added keeps it from being scheduled
    /// (`PodReasonUnschedulable` and `PodReasonSchedulingGated` in `k8s.io/api/core/v1`).
    pub fn unschedulable(&self) -> Option<&str> {
        let refused = |it: &&PodCondition| {
            it.status == "False" && matches!(it.reason.as_str(), "Unschedulable" | "SchedulingGated")
        };
        self.condition("PodScheduled").filter(refused).map(|condition| condition.message.as_str())
    }
}

/// The part of a container's status that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container's name.
    pub name: String,
    /// The digest that the runtime reports: `name@sha256:…`, or its own id.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// Its current state.
    pub state: ContainerState,
    /// Its state before the last restart.
    pub last_state: ContainerState,
    /// The runtime's container, running or dead; empty if there is none.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// How often it was restarted.
    pub restart_count: i32,
    /// Whether a sidecar has started, by its startup probe if it has one.
    pub started: Option<bool>,
}

/// The state of a container: one of these, or none for one that waits without a reason.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It has not started yet, or not restarted.
    pub waiting: Option<WaitingContainer>,
    /// It runs.
    pub running: Option<Running>,
    /// It has ended.
    pub terminated: Option<Terminated>,
}

/// Why a container waits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WaitingContainer {
    /// The kubelet's reason.
    pub reason: String,
    /// The runtime's or the registry's message.
    pub message: String,
}

/// A container runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Since when.
    pub started_at: Option<Time>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// The container that ended; empty if there never was one.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// Its exit code.
    pub exit_code: i32,
    /// The kubelet's reason.
    pub reason: String,
    /// The message.
    pub message: String,
    /// When it ended.
    pub finished_at: Option<Time>,
}

/// How well a container protects its image from the kubelet's garbage collector. Greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// There is no container, so the image may be deleted.
    None,
    /// The container has ended. The image counts as used as long as the kubelet keeps the dead container.
    Exited,
    /// The container runs.
    Running,
}

/// The state of one image in one pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageState {
    /// The node's start delay is not over, or the pod has not started, or one of its init containers fails.
    Waiting,
    /// The kubelet pulls it, or will next.
    Pulling,
    /// Its container runs.
    Held,
    /// Its container was stopped and still protects the image: the kubelet restarts it, or the pod is being deleted.
    Stopped,
    /// The node itself held back or cancelled the pull, and tries again.
    Interrupted {
        /// The kubelet's reason.
        reason: Arc<str>,
        /// The kubelet's or the runtime's message.
        message: Arc<str>,
        /// Since when, as far as the pod shows it.
        since: Option<Timestamp>,
    },
    /// It could not be pulled.
    Failed {
        /// The kubelet's reason.
        reason: Arc<str>,
        /// The registry's message.
        message: Arc<str>,
    },
    /// It is on the node, but its container does not run.
    CannotStart {
        /// The kubelet's reason.
        reason: Arc<str>,
        /// The runtime's message.
        message: Arc<str>,
        /// Whether a dead container still protects the image.
        container_exists: bool,
    },
}

impl ImageState {
    /// Whether the node has pulled it. It may have been deleted since, if no container protects it.
    pub fn is_on_disk(&self) -> bool {
        matches!(self, Self::Held | Self::Stopped | Self::CannotStart { .. })
    }

    /// Whether it is yet to be pulled, and nothing has failed.
    pub fn is_to_come(&self) -> bool {
        matches!(self, Self::Waiting | Self::Pulling | Self::Interrupted { .. })
    }

    /// How well the image is protected on the node.
    pub fn hold(&self) -> Hold {
        match self {
            Self::Held => Hold::Running,
            Self::Stopped => Hold::Exited,
            Self::CannotStart { container_exists: true, .. } => Hold::Exited,
            _ => Hold::None,
        }
    }
}

/// The kubelet's reasons for a container whose image cannot be pulled
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
/// The reasons for a container that has not started yet, without any error.
pub(super) const NOT_YET: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];

/// The state of the image of the container `name`, from the pod's status. `is_initialized`: whether the pod's init containers are
/// done. Reasons and messages are shared in `texts`.
pub fn image_state(status: &PodStatus, name: &str, is_initialized: bool, texts: &mut Texts) -> ImageState {
    let not_begun = if is_initialized { ImageState::Pulling } else { ImageState::Waiting };
    let Some(container) = status.container_statuses.iter().find(|container| container.name == name) else {
        return not_begun;
    };
    if container.state.running.is_some() {
        return ImageState::Held;
    }
    let mut words = |reason: &str, message: &str| (texts.word(reason), texts.message(message));
    if let Some(ended) = &container.state.terminated {
        // A holder ends only on SIGTERM, with exit code 0.
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
    // Between two attempts a kubelet reports only a back-off. The end of the last attempt has the reason.
    let ended = container.last_state.terminated.as_ref().filter(|_| waiting.reason == "CrashLoopBackOff");
    let (reason, message) = match ended {
        None => words(&waiting.reason, &waiting.message),
        Some(ended) if ended.message.is_empty() => {
            words(&waiting.reason, &format!("{} (exit code {})", ended.reason, ended.exit_code))
        }
        Some(ended) => words(&waiting.reason, &ended.message),
    };
    match pull_failure(container) {
        Some(_) if is_interrupted(&waiting.reason, &waiting.message) => {
            ImageState::Interrupted { reason, message, since: status.last_progress() }
        }
        Some(_) => ImageState::Failed { reason, message },
        None => ImageState::CannotStart { reason, message, container_exists: is_dead },
    }
}

/// Whether the node itself held back or cancelled the pull of a waiting container's image.
pub(super) fn is_interrupted(reason: &str, message: &str) -> bool {
    matches!(reason, "ErrImagePull" | "ImagePullBackOff") && interruption(message).is_some()
}

/// Whether a waiting container has a dead predecessor, which protects its image. A kubelet still reports how the last one ended
/// when that is gone (with its sandbox, after a reboot), but then reports no current container
/// (`convertToAPIContainerStatuses` in `k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go`).
fn is_dead(container: &ContainerStatus) -> bool {
    let ended = container.last_state.terminated.as_ref().is_some_and(|ended| !ended.container_id.is_empty());
    ended && !container.container_id.is_empty()
}

/// Whether a container ran before the one that the kubelet starts now. Runtimes report a first one that could not be started as ended too,
/// with `StartError`.
pub fn ran_before(container: &ContainerStatus) -> bool {
    let mut ended = [&container.state, &container.last_state].into_iter().filter_map(|state| state.terminated.as_ref());
    container.restart_count > 0 || ended.any(|ended| ended.reason != "StartError")
}

/// The kubelet's reason, if the container's image could not be pulled.
pub fn pull_failure(container: &ContainerStatus) -> Option<&'static str> {
    let state = &container.state;
    let waiting = state.waiting.as_ref().filter(|_| state.running.is_none() && state.terminated.is_none())?;
    PULL_FAILURES.into_iter().find(|reason| waiting.reason == *reason).filter(|_| !is_dead(container))
}

/// The labels of a generation's pod.
pub fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// When the kubelet wrote this version of the pod's status, as the API server recorded it.
pub fn written_at(metadata: &ObjectMeta) -> Option<Timestamp> {
    let entries = metadata.managed_fields.iter().flatten();
    let of_status = entries.filter(|entry| entry.subresource.as_deref() == Some("status"));
    of_status.filter_map(|entry| Some(entry.time.as_ref()?.0)).max()
}
