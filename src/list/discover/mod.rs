//! Groups that take images from workloads: what such a group asks for, and what was found.
//!
//! - [`fields`]: reads what the user wrote, and checks it
//! - [`found`]: what was found, as it is stored with each accepted version of the list
//! - [`merge`]: adds the images that were found to those that the user wrote

mod fields;
pub mod found;
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::SignedDuration;
use kube::core::{Selector, SelectorExt};

use super::names::{GroupName, ResourceName};
use super::policy::repository::RepositoryPattern;

pub use fields::KEYS;
pub(super) use fields::parse;
pub use merge::{free_name, merged};

/// Which workloads a group takes images from, and which images.
#[derive(Clone, Debug, PartialEq)]
pub struct Discover {
    /// The namespaces of the workloads; at least one, unless there is a selector.
    pub namespaces: BTreeSet<ResourceName>,
    /// Further namespaces of workloads, by the labels of the namespaces.
    pub namespace_selector: Option<Selector>,
    /// Which workloads, by their labels; by default all.
    pub selector: Selector,
    /// The kinds of the workloads; at least one.
    pub kinds: BTreeSet<WorkloadKind>,
    /// Images that are left out.
    pub exclude: Vec<RepositoryPattern>,
    /// How long an image stays after the last workload stopped naming it.
    pub keep_for: SignedDuration,
    /// The most images.
    pub max: u32,
    /// How long workloads must not change before a change counts.
    pub settle: SignedDuration,
}

impl Discover {
    /// The default of `keep_for`: a rollback within a day finds its images warm.
    pub const KEEP_FOR: SignedDuration = SignedDuration::from_hours(24);
    /// The valid values of `keep_for`.
    pub const KEEP_FORS: RangeInclusive<SignedDuration> =
        SignedDuration::from_secs(0)..=SignedDuration::from_hours(8784);
    /// The default of `max`.
    pub const MAX: u32 = 100;
    /// The valid values of `max`: no list has more images.
    pub const MAXES: RangeInclusive<u32> = 1..=1000;
    /// The default of `settle`.
    pub const SETTLE: SignedDuration = SignedDuration::from_secs(30);
    /// The valid values of `settle`.
    pub const SETTLES: RangeInclusive<SignedDuration> = SignedDuration::from_secs(1)..=SignedDuration::from_hours(1);

    /// Whether the workloads of a namespace count. Without its labels, it is not selected.
    pub fn asks_for(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let is_selected = |selector: &Selector| labels.is_some_and(|labels| selector.matches(labels));
        self.namespaces.iter().any(|name| name.as_str() == namespace)
            || self.namespace_selector.as_ref().is_some_and(is_selected)
    }
}

/// A kind of workload whose pod template names images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The names say it.
pub enum WorkloadKind {
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    StatefulSet,
}

impl WorkloadKind {
    /// All values, with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("CronJob", Self::CronJob),
        ("DaemonSet", Self::DaemonSet),
        ("Deployment", Self::Deployment),
        ("Job", Self::Job),
        ("StatefulSet", Self::StatefulSet),
    ];

    /// The kind, as manifests spell it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("unknown", |(name, _)| name)
    }
}

/// The namespaces whose workloads the controller may read: the choice of those who run it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DiscoveryScope {
    /// Unknown, as without a cluster.
    #[default]
    Unknown,
    /// These; none if discovery is off.
    Namespaces(BTreeSet<ResourceName>),
    /// All.
    All,
}

impl DiscoveryScope {
    /// Whether workloads of that namespace may be read, as far as is known.
    pub fn allows(&self, namespace: &ResourceName) -> bool {
        match self {
            Self::Unknown | Self::All => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }

    /// Whether the labels of namespaces may be read, as far as is known.
    pub fn allows_selectors(&self) -> bool {
        !matches!(self, Self::Namespaces(_))
    }

    /// Whether no workloads may be read at all.
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Namespaces(names) if names.is_empty())
    }
}

/// What one group of a list discovers.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovery {
    /// The name of the group.
    pub group: GroupName,
    /// What it asks for.
    pub discover: Discover,
    /// The images that the user wrote into the group, in the normal form: they need no discovery.
    pub own: BTreeSet<String>,
}
