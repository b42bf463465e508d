//! Which images a pod template pulls with `Always`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::list::config::{Group, Image, PullPolicy};
use crate::naming::hash::short_hash;

/// Names of the containers whose images a pod template pulls with `Always`. All others are pulled with `IfNotPresent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PulledAlways(Arc<BTreeSet<String>>);

impl PulledAlways {
    /// Creates a set of containers.
    pub fn of<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(Arc::new(names.into_iter().map(Into::into).collect()))
    }

    /// All images of a group whose policy allows `Always`. A first generation and a tag check pull these.
    pub fn all_of(group: &Group) -> Self {
        Self::of(group.images.iter().filter(|image| asks_registry(image, false)).map(|image| image.name.as_str()))
    }

    /// Whether the container's image is pulled with `Always`.
    pub fn contains(&self, container: &str) -> bool {
        self.0.contains(container)
    }

    /// Whether no image is pulled with `Always`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of the containers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The set without the sealed containers.
    pub fn without(&self, sealed: &BTreeSet<&str>) -> Self {
        Self::of(self.names().filter(|name| !sealed.contains(name)))
    }

    /// Formats the annotation [`crate::naming::labels::PULLED_ALWAYS`]. Container names cannot contain `;`.
    pub fn to_text(&self) -> String {
        self.names().collect::<Vec<_>>().join(";")
    }

    /// Parses the annotation.
    pub fn from_text(text: &str) -> Self {
        Self::of(text.split(';').filter(|name| !name.is_empty()))
    }

    /// The value of the annotation [`crate::naming::labels::PULL_POLICIES`], which all pods of one template share.
    pub fn hash(&self) -> String {
        short_hash(self.to_text().as_bytes())
    }
}

/// Whether a rollout pulls an image with `Always`. `carried` means that every relevant node has already tried it.
pub fn asks_registry(image: &Image, carried: bool) -> bool {
    match image.pull_policy {
        Some(PullPolicy::Always) => true,
        Some(PullPolicy::IfNotPresent) => false,
        // A digest never moves, so asking the registry again is pointless.
        None => !image.reference.is_pinned() && !carried,
    }
}
