//! The accepted form of a list: types that cannot hold nonsense.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Affinity, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;

use super::names::{ObjectName, ResourceName};
use super::reference::ImageReference;
use super::schedule::Schedule;

/// What a list asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the names of the generations begin with: `DAEMONSET_NAME`, or the list's own name.
    pub name: ObjectName,
    /// Annotations for the DaemonSets, not for their pods.
    pub daemon_set_annotations: BTreeMap<String, String>,
    /// At least one, in the order of the list, with distinct names.
    pub groups: Vec<Group>,
    /// When tags are checked.
    pub refresh: Refresh,
    /// How many nodes may start a rollout per minute.
    pub pull_rate: PullRate,
    /// What virtual nodes start pods from, where the list asks for it.
    pub image_cache: Option<ImageCache>,
}

/// Images and the nodes they belong on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The group's name; [`GroupName::DEFAULT`] for images that stand in no group.
    pub name: GroupName,
    /// At least one, in the order of the list: kubelets pull in that order.
    pub images: Vec<Image>,
    /// Which nodes.
    pub placement: Placement,
    /// Secrets that the kubelet pulls with. They are only named, never read.
    pub image_pull_secrets: Vec<ResourceName>,
    /// The ServiceAccount of the pods; the controller's default for pods where there is none.
    pub service_account_name: Option<ResourceName>,
    /// What every container reserves.
    pub resources: Resources,
    /// The PriorityClass of the pods.
    pub priority_class_name: Option<ResourceName>,
    /// Labels for the pods.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations for the pods.
    pub pod_annotations: BTreeMap<String, String>,
}

/// One image of a group and the container that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The container's name, unique in the group.
    pub name: ResourceName,
    /// The image, as the user spells it.
    pub reference: ImageReference,
    /// Whether nodes ask the registry for it, if the user decides that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
}

impl Image {
    /// Whether the reference may come to stand for something else in the registry: a digest cannot, and an image that is
    /// taken from the nodes' disks is never looked up.
    pub fn may_move(&self) -> bool {
        !self.reference.is_pinned() && self.pull_policy != Some(PullPolicy::IfNotPresent)
    }
}

/// Whether nodes ask the registry for an image that they have. A pod's `imagePullPolicy` of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PullPolicy {
    /// In every rollout.
    Always,
    /// Never: for images that were imported into the nodes, say.
    IfNotPresent,
}

impl PullPolicy {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 2] = [("Always", Self::Always), ("IfNotPresent", Self::IfNotPresent)];
}

/// Which nodes a group belongs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// The user's own affinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Taints that do not keep the pods away.
    pub tolerations: Vec<Toleration>,
    /// The architectures that the images exist for; empty: any.
    pub architectures: BTreeSet<Architecture>,
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
    /// All of them, with their names.
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
}

impl Default for Resources {
    /// 1m CPU and 1Mi, and no limits: runc needs 6 to 10 MiB for a moment while it starts a container, so a tight limit
    /// kills it. Requests are always set, since a LimitRange fills in its own where they are missing.
    fn default() -> Self {
        Self {
            cpu_request: Quantity("1m".to_owned()),
            memory_request: Quantity("1Mi".to_owned()),
            cpu_limit: None,
            memory_limit: None,
        }
    }
}

/// When tags are checked, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Refresh {
    /// When.
    pub schedule: Schedule,
    /// What a due refresh does.
    pub mode: RefreshMode,
}

/// What a due refresh does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum RefreshMode {
    /// A tag check asks what the tags are now; a rollout follows only where one has moved.
    #[default]
    OnChange,
    /// A rollout at every tick.
    Always,
    /// The DaemonSets are deleted and recreated, with a gap in which nothing is held.
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
    /// The highest rate that is accepted; above it, 0 says the same.
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
    /// 300 a minute: 5 manifest requests per image and second for a registry, 1,000 nodes in some three minutes.
    fn default() -> Self {
        Self(300)
    }
}

/// What a list asks of the serverless side: an `ImageCache` of `eci.alibabacloud.com`, from which virtual nodes start pods.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageCache {
    /// The groups whose images it holds; at least one.
    pub groups: BTreeSet<GroupName>,
    /// Its size in GiB; otherwise it follows from the sizes that nodes report.
    pub size: Option<u32>,
    /// After how many days it expires; never where this is not given.
    pub retention_days: Option<u32>,
    /// Annotations for the ImageCaches.
    pub annotations: BTreeMap<String, String>,
    /// Secrets of the list's namespace to pull with, besides those of the groups.
    pub image_pull_secrets: Vec<ResourceName>,
    /// How long the previous one stays when the new one is ready, since pods may name it explicitly.
    pub keep_previous_for: SignedDuration,
}

impl ImageCache {
    /// The sizes that the resource takes, in GiB.
    pub const SIZES: RangeInclusive<u32> = 20..=32_768;
    /// The retentions that the resource takes, in days.
    pub const RETENTIONS: RangeInclusive<u32> = 1..=65_536;
    /// How long the previous one stays where the list does not say.
    pub const KEEP_PREVIOUS_FOR: SignedDuration = SignedDuration::from_hours(1);
}

/// The name of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct GroupName(ResourceName);

impl GroupName {
    /// The group of the images that stand in no group.
    pub const DEFAULT: &'static str = "default";

    /// The group of the images that stand in no group.
    pub fn default_group() -> Self {
        Self(ResourceName::literal(Self::DEFAULT))
    }

    /// A group of that name.
    pub fn new(name: ResourceName) -> Self {
        Self(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether this is the group of images that stand in no group.
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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
