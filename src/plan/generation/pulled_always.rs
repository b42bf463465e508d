//! Which images a pod template pulls with `Always`.

use std::collections::BTreeSet;

use crate::list::config::{Group, Image, PullPolicy};
use crate::naming::hash::short_hash;

/// The containers whose images a pod template pulls with `Always`, by name. All others are pulled with `IfNotPresent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PulledAlways(BTreeSet<String>);

impl PulledAlways {
    /// These containers.
    pub fn of<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// All images of a group, but for those that never leave the disk: what a first generation and a tag check pull.
    pub fn all_of(group: &Group) -> Self {
        Self::of(group.images.iter().filter(|image| asks_registry(image, false)).map(|image| image.name.as_str()))
    }

    /// Whether the container's image is pulled with `Always`.
    pub fn contains(&self, container: &str) -> bool {
        self.0.contains(container)
    }

    /// Whether every image is taken from the disk if it is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the containers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The same without these.
    pub fn without(&self, sealed: &BTreeSet<&str>) -> Self {
        Self::of(self.names().filter(|name| !sealed.contains(name)))
    }

    /// The text of the annotation [`crate::naming::labels::PULLED_ALWAYS`]. No container's name holds a `;`.
    pub fn to_text(&self) -> String {
        self.names().collect::<Vec<_>>().join(";")
    }

    /// What the annotation says.
    pub fn from_text(text: &str) -> Self {
        Self::of(text.split(';').filter(|name| !name.is_empty()))
    }

    /// The text of the annotation [`crate::naming::labels::PULL_POLICIES`]: pods of the same template have the same.
    pub fn hash(&self) -> String {
        short_hash(self.to_text().as_bytes())
    }
}

/// Whether a rollout asks the registry for an image; `carried` says that every node that counts has tried it already.
pub fn asks_registry(image: &Image, carried: bool) -> bool {
    match image.pull_policy {
        Some(PullPolicy::Always) => true,
        Some(PullPolicy::IfNotPresent) => false,
        // A digest can never move, so the registry need not be asked again.
        None => !image.reference.is_pinned() && !carried,
    }
}
