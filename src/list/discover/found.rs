//! What was found in workloads. It is stored with each accepted version of a list, so that it outlives the controller, its rights and
//! the workloads.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was found for the groups of a list, by the names of the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Found(pub BTreeMap<String, GroupFound>);

/// What was found for one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupFound {
    /// The images, by their references as workloads spell them.
    pub images: BTreeMap<String, FoundImage>,
    /// Why images were left out, by their references.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
}

/// An image that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FoundImage {
    /// The name of its container. It stays as long as the image does, whatever else is found.
    pub name: String,
    /// Workloads that name it, for example `Deployment shop/web`; no more than [`FoundImage::MAX_NAMED`]. Once none does, the last that did.
    pub by: BTreeSet<String>,
    /// The pull secrets of these workloads: hints for whoever has to create them in the namespace of the list. They are never read.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub pull_secrets: BTreeSet<String>,
    /// Since when no workload names it; `None` while one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unnamed_since: Option<Timestamp>,
}

impl Found {
    /// About how many bytes it takes to keep.
    pub fn bytes(&self) -> usize {
        let texts = |texts: &BTreeSet<String>| texts.iter().map(String::len).sum::<usize>();
        let image = |(reference, image): (&String, &FoundImage)| {
            reference.len() + image.name.len() + texts(&image.by) + texts(&image.pull_secrets)
        };
        let group = |group: &GroupFound| {
            let left_out = group.left_out.iter().map(|(reference, why)| reference.len() + why.len());
            group.images.iter().map(image).chain(left_out).sum::<usize>()
        };
        self.0.values().map(group).sum()
    }
}

impl FoundImage {
    /// The most workloads and pull secrets that are stored.
    pub const MAX_NAMED: usize = 3;

    fn is_same(&self, other: &Self) -> bool {
        let Self { name, by, pull_secrets, unnamed_since } = self;
        let is_named_alike = unnamed_since.is_some() == other.unnamed_since.is_some();
        is_named_alike && (name, by, pull_secrets) == (&other.name, &other.by, &other.pull_secrets)
    }
}

impl GroupFound {
    /// The most images that are stored as left out.
    pub const MAX_LEFT_OUT: usize = 20;

    fn is_same(&self, other: &Self) -> bool {
        let Self { images, left_out } = self;
        let is_same = |(one, other): (&FoundImage, &FoundImage)| one.is_same(other);
        *left_out == other.left_out
            && images.keys().eq(other.images.keys())
            && images.values().zip(other.images.values()).all(is_same)
    }
}

impl Found {
    /// Whether both ask for the same, and say the same of it. Times do not count: both are still named, or both are not.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&GroupFound, &GroupFound)| one.is_same(other);
        self.0.keys().eq(other.0.keys()) && self.0.values().zip(other.0.values()).all(is_same)
    }
}
