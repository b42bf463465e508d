//! The accepted version of a list: types that cannot hold invalid values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Affinity, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Serialize};

use super::cache_platform::CachePlatform;
use super::discover::found::Found;
use super::discover::{Discover, Discovery};
use super::names::{ObjectName, ResourceName};
use super::reference::ImageReference;
use super::schedule::Schedule;

pub use super::names::GroupName;

/// What a list asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The prefix of the generations' names: `DAEMONSET_NAME`, or the list's own name.
    pub name: ObjectName,
    /// Annotations for the DaemonSets, not for their pods.
    pub daemon_set_annotations: BTreeMap<String, String>,
    /// In the order of the list, with distinct names. There is at least one, unless all images are to be found and none was.
    pub groups: Vec<Group>,
    /// When tags are checked.
    pub refresh: Refresh,
    /// How many nodes may start a rollout per minute.
    pub pull_rate: PullRate,
    /// The ImageCache for virtual nodes, if the list asks for one.
    pub image_cache: Option<ImageCache>,
    /// What keeps pods off new nodes until the images are there, if the list asks for it.
    pub node_gate: Option<NodeGate>,
    /// What groups discover, in the order of the list. Groups for which nothing was found are only here.
    pub discoveries: Vec<Discovery>,
    /// What was found for these groups; `None` if nothing was sought yet, or if there are none. The images are in the groups.
    pub found: Option<Arc<Found>>,
}

/// Images and the nodes they belong on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The group's name; [`GroupName::DEFAULT`] for images outside `groups`.
    pub name: GroupName,
    /// At least one, in the order of the list: kubelets pull in that order.
    pub images: Vec<Image>,
    /// Which nodes the group belongs on.
    pub placement: Placement,
    /// Secrets for the kubelet's pulls. Only their names are used; they are never read.
    pub image_pull_secrets: Vec<ResourceName>,
    /// The ServiceAccount of the pods; `None`: the controller's default.
    pub service_account_name: Option<ResourceName>,
    /// What every container reserves.
    pub resources: Resources,
    /// The PriorityClass of the pods.
    pub priority_class_name: Option<ResourceName>,
    /// The RuntimeClass of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<ResourceName>,
    /// Whether the pods use the node's own user namespace.
    #[serde(skip_serializing_if = "is_true")]
    pub host_users: bool,
    /// Labels for the pods.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations for the pods.
    pub pod_annotations: BTreeMap<String, String>,
    /// How many images a pod has at most; `None`: [`Group::DEFAULT_IMAGES_PER_POD`]. Neither this nor the next changes a pod by
    /// itself: they only decide which images each has.
    #[serde(skip)]
    pub images_per_pod: Option<u32>,
    /// How many pods of the group a node has at least, if it has as many images, so that a kubelet can pull as many at a time.
    #[serde(skip)]
    pub parallel_pulls: u32,
    /// What the group discovers, only while a list is parsed: then it is in [`Config::discoveries`].
    #[serde(skip)]
    pub discover: Option<Discover>,
    /// Which shard of the group this is, once the plan has split it; 0 for the first, and for a whole group.
    #[serde(skip_serializing_if = "is_zero")]
    pub shard: u32,
}

impl Config {
    /// The shards of a group, once the plan has split it.
    pub fn shards_of<'c>(&'c self, group: &str) -> impl Iterator<Item = &'c Group> {
        self.groups.iter().filter(move |shard| shard.name.as_str() == group)
    }

    /// Sets the gate of the list, whose taint all groups tolerate from then on.
    pub fn set_node_gate(&mut self, node_gate: Option<NodeGate>) {
        let taint = node_gate.as_ref().and_then(|gate| gate.taint.as_ref());
        self.tolerate_gates(&taint.into_iter().cloned().collect());
        self.node_gate = node_gate;
    }

    /// Leaves out a gate that the installation does not allow. Returns whether there was one. Groups of a list with a gate tolerate all
    /// taints that are allowed: a node may have several, and would otherwise wait with each for the pods of the other's lists.
    pub fn restrict_node_gate(&mut self, allowed: &GateTaints) -> bool {
        let Some(gate) = &self.node_gate else { return false };
        let refused = !allowed.allow(gate);
        if refused {
            self.set_node_gate(None);
        } else if let GateTaints::Only(keys) = allowed {
            self.tolerate_gates(keys);
        }
        refused
    }

    fn tolerate_gates(&mut self, taints: &BTreeSet<TaintKey>) {
        self.groups.iter_mut().for_each(|group| group.placement.gate_taints.clone_from(taints));
    }
}

impl Group {
    /// Whether both are the same shard of the same group.
    pub fn is_same_shard(&self, other: &Self) -> bool {
        self.name == other.name && self.shard == other.shard
    }

    /// The valid numbers of images in a pod.
    pub const IMAGES_PER_POD: RangeInclusive<u32> = 1..=100;
    /// How many images a pod has at most, if the list does not say.
    pub const DEFAULT_IMAGES_PER_POD: u32 = 100;
    /// The valid numbers of parallel pulls.
    pub const PARALLEL_PULLS: RangeInclusive<u32> = 1..=10;
    /// The number of parallel pulls, if the list does not say.
    pub const DEFAULT_PARALLEL_PULLS: u32 = 1;

    /// How many images a pod has at most.
    pub fn images_per_pod(&self) -> usize {
        self.images_per_pod.unwrap_or(Self::DEFAULT_IMAGES_PER_POD) as usize
    }

    /// How many shards the group's images become when nothing exists of them yet.
    pub fn new_shards(&self) -> usize {
        let parallel = (self.parallel_pulls as usize).min(self.images.len());
        self.images.len().div_ceil(self.images_per_pod()).max(parallel)
    }

    /// A shard of this group with these of its images.
    #[must_use]
    pub fn shard_of(&self, shard: u32, images: Vec<Image>) -> Self {
        // Without `..self.clone()`, which would copy all images.
        Self {
            name: self.name.clone(),
            images,
            placement: self.placement.clone(),
            image_pull_secrets: self.image_pull_secrets.clone(),
            service_account_name: self.service_account_name.clone(),
            resources: self.resources.clone(),
            priority_class_name: self.priority_class_name.clone(),
            runtime_class_name: self.runtime_class_name.clone(),
            host_users: self.host_users,
            pod_labels: self.pod_labels.clone(),
            pod_annotations: self.pod_annotations.clone(),
            images_per_pod: self.images_per_pod,
            parallel_pulls: self.parallel_pulls,
            discover: None,
            shard,
        }
    }
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_true(value: &bool) -> bool {
    *value
}

/// One image of a group and the container that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The container's name, unique in the group.
    pub name: ResourceName,
    /// The image, as the user spells it.
    pub reference: ImageReference,
    /// The user's choice, if any, whether nodes ask the registry for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
}

impl Image {
    /// Whether the tag may move. A digest cannot, and an image that is taken from the nodes' disks is never resolved.
    pub fn may_move(&self) -> bool {
        !self.reference.is_pinned() && self.pull_policy != Some(PullPolicy::IfNotPresent)
    }
}

/// Whether nodes ask the registry for an image that they have. Same values as a pod's `imagePullPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PullPolicy {
    /// In every rollout.
    Always,
    /// Never, for example for images that were imported into the nodes.
    IfNotPresent,
}

impl PullPolicy {
    /// All values, with their names.
    pub const ALL: [(&'static str, Self); 2] = [("Always", Self::Always), ("IfNotPresent", Self::IfNotPresent)];
}

/// Which nodes a group belongs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// The affinity that the user wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// The tolerations of the pods.
    pub tolerations: Vec<Toleration>,
    /// The architectures that the images exist for; empty: any.
    pub architectures: BTreeSet<Architecture>,
    /// The taints of gates, which the pods of a list with a gate tolerate too. They are no part of the content of a group: whether new
    /// nodes wait changes nothing for those that are there.
    #[serde(skip)]
    pub gate_taints: BTreeSet<TaintKey>,
}

impl Placement {
    /// Whether a taint with that key is one of a gate, which the pods tolerate.
    pub fn is_gate_taint(&self, key: &str) -> bool {
        self.gate_taints.iter().any(|taint| taint.as_str() == key)
    }
}

/// A node's architecture, in Go's spelling as in the label `kubernetes.io/arch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // The names say it.
pub enum Architecture {
    Amd64,
    Arm,
    Arm64,
    Ppc64le,
    Riscv64,
    S390x,
}

impl Architecture {
    /// All values, with their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("amd64", Self::Amd64),
        ("arm", Self::Arm),
        ("arm64", Self::Arm64),
        ("ppc64le", Self::Ppc64le),
        ("riscv64", Self::Riscv64),
        ("s390x", Self::S390x),
    ];

    /// The value of the label `kubernetes.io/arch`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, architecture)| *architecture == self).map_or("unknown", |(name, _)| name)
    }
}

/// What each container requests and may use at most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resources {
    /// CPU that each container reserves.
    pub cpu_request: Quantity,
    /// Memory that each container reserves.
    pub memory_request: Quantity,
    /// CPU that a container may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<Quantity>,
    /// Memory that a container may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Quantity>,
    /// Ephemeral storage that each container reserves, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage_request: Option<Quantity>,
    /// Ephemeral storage that a container may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage_limit: Option<Quantity>,
}

impl Default for Resources {
    /// 1m CPU and 1Mi, and no limits: runc needs 6 to 10 MiB for a moment while it starts a container, so a tight limit
    /// kills it. Requests are always set, because a LimitRange would otherwise add its own.
    fn default() -> Self {
        Self {
            cpu_request: Quantity("1m".to_owned()),
            memory_request: Quantity("1Mi".to_owned()),
            cpu_limit: None,
            memory_limit: None,
            ephemeral_storage_request: None,
            ephemeral_storage_limit: None,
        }
    }
}

/// When tags are checked, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Refresh {
    /// When tags are checked.
    pub schedule: Schedule,
    /// What a due refresh does.
    pub mode: RefreshMode,
}

/// What a due refresh does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshMode {
    /// Check the tags, and start a rollout only if one has moved.
    #[default]
    OnChange,
    /// Start a rollout each time.
    Always,
    /// Delete and recreate the DaemonSets, with a gap in which nothing is held.
    Recreate,
}

impl Default for Refresh {
    fn default() -> Self {
        Self { schedule: Schedule::Every(SignedDuration::from_hours(1)), mode: RefreshMode::default() }
    }
}

/// How many nodes may start a rollout per minute; 0 means all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullRate(pub u32);

impl PullRate {
    /// The highest accepted rate. Higher rates would equal 0.
    pub const MAX: u32 = 100_000;

    /// The time over which `nodes` start their pulls, in seconds.
    pub fn spread_seconds(self, nodes: usize) -> u64 {
        match self.0 {
            0 => 0,
            rate => (nodes as u64).saturating_mul(60) / u64::from(rate),
        }
    }
}

impl Default for PullRate {
    /// 300 a minute: 5 manifest requests per image and second for a registry, and 1,000 nodes in about three minutes.
    fn default() -> Self {
        Self(300)
    }
}

/// The `ImageCache` of `eci.alibabacloud.com` that a list asks for. Virtual nodes start pods from it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageCache {
    /// The groups whose images it holds; at least one.
    pub groups: BTreeSet<GroupName>,
    /// One ImageCache for each of these; empty: one for all images, built for what ECI takes as the default.
    pub platforms: Vec<PlatformSettings>,
    /// Its size in GiB; `None`: computed from the sizes that nodes report.
    pub size: Option<u32>,
    /// After how many days it expires; `None`: never.
    pub retention_days: Option<u32>,
    /// Annotations for the ImageCaches.
    pub annotations: BTreeMap<String, String>,
    /// Pull secrets in the list's namespace, in addition to those of the groups.
    pub image_pull_secrets: Vec<ResourceName>,
    /// How long the previous one is kept after the new one is ready, because pods may name it explicitly.
    pub keep_previous_for: SignedDuration,
}

impl ImageCache {
    /// The valid sizes, in GiB.
    pub const SIZES: RangeInclusive<u32> = 20..=32_768;
    /// The valid retentions, in days.
    pub const RETENTIONS: RangeInclusive<u32> = 1..=65_536;
    /// The default of `keep_previous_for`.
    pub const KEEP_PREVIOUS_FOR: SignedDuration = SignedDuration::from_hours(1);
}

/// What keeps pods off new nodes until the images of the list are there.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGate {
    /// The taint that is removed from a node once it is warm; `None`: only the condition says so.
    pub taint: Option<TaintKey>,
    /// Whether a condition of the nodes says if the images are there.
    pub condition: bool,
    /// The names of the images that count; empty: all.
    pub wait_for: BTreeSet<String>,
    /// How long after its creation a node is freed, even if it is not warm.
    pub timeout: SignedDuration,
}

impl NodeGate {
    /// The default of `timeout`.
    pub const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);
    /// The valid timeouts. An autoscaler does not wait for a day.
    pub const TIMEOUTS: RangeInclusive<SignedDuration> = SignedDuration::from_secs(1)..=SignedDuration::from_hours(24);

    /// Whether the gate waits for the image of that name.
    pub fn waits_for(&self, image: &str) -> bool {
        self.wait_for.is_empty() || self.wait_for.contains(image)
    }
}

/// The key of a taint that a gate may remove: a valid one, and none that means something to Kubernetes itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaintKey(String);

impl TaintKey {
    /// The prefixes of taints of Kubernetes and of autoscalers: to remove one of these would say that a node is ready, healthy,
    /// registered or no control plane.
    const RESERVED: [&str; 4] =
        ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "node-role.kubernetes.io/", "karpenter.sh/"];

    /// Wraps a key, unless it is malformed or reserved.
    pub fn new(key: &str) -> Option<Self> {
        let reserved = Self::RESERVED.iter().any(|prefix| key.starts_with(prefix));
        (!reserved && super::labels::qualified_name(key).is_ok()).then(|| Self(key.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The toleration of this taint, whatever its value and its effect are.
    pub fn toleration(&self) -> Toleration {
        Toleration { key: Some(self.0.clone()), operator: Some("Exists".to_owned()), ..Toleration::default() }
    }
}

/// The taints that the gates of lists may remove: the choice of those who run the controller, because whoever removes a taint decides
/// where pods run.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum GateTaints {
    /// Unknown, as without a cluster.
    #[default]
    Unknown,
    /// These. If there are none, the controller has no rights for gates.
    Only(BTreeSet<TaintKey>),
}

impl GateTaints {
    /// Whether a list may have that gate, as far as is known.
    pub fn allow(&self, gate: &NodeGate) -> bool {
        match self {
            Self::Unknown => true,
            Self::Only(keys) => !keys.is_empty() && gate.taint.iter().all(|taint| keys.contains(taint)),
        }
    }

    /// The keys, as far as they are known.
    pub fn keys(&self) -> impl Iterator<Item = &TaintKey> {
        let keys = match self {
            Self::Unknown => None,
            Self::Only(keys) => Some(keys),
        };
        keys.into_iter().flatten()
    }
}

impl fmt::Display for TaintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the ImageCache of one platform is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct PlatformSettings {
    /// The platform. No other one of the list has the same.
    pub platform: CachePlatform,
    /// The groups whose images it holds; at least one.
    pub groups: BTreeSet<GroupName>,
    /// All of its annotations: those of all ImageCaches, its own, and those that tell ECI the platform.
    pub annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_nodes_by_rate() {
        assert_eq!(PullRate(300).spread_seconds(1000), 200);
        assert_eq!(PullRate(300).spread_seconds(1), 0);
        assert_eq!(PullRate(0).spread_seconds(5000), 0);
    }

    #[test]
    fn every_architecture_has_a_name() {
        for (name, architecture) in Architecture::ALL {
            assert_eq!(architecture.name(), name);
        }
    }
}
