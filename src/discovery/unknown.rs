//! Namespaces of which it is not known what their workloads name.

use std::collections::{BTreeMap, BTreeSet};

use super::workload::{Workload, Workloads};
use crate::list::discover::Discover;
use crate::list::discover::found::{FoundImage, GroupFound};

/// Why it is not known what the workloads of a namespace name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The installation does not allow discovery there.
    NotWatched,
    /// Not all workloads were listed, or the watch fails.
    NotListed,
    /// Images were found there, and now there is no workload of any kind. The namespace was deleted, or its workloads
    /// are about to come back.
    NoWorkloads,
}

/// The namespaces of a group of which that is not known.
pub struct UnknownNamespaces(pub BTreeMap<String, Unknown>);

impl UnknownNamespaces {
    /// Those of the namespaces that a group asks for. `found`: what was found for it.
    pub fn of(discover: &Discover, found: Option<&GroupFound>, seen: &Workloads) -> Self {
        let images = found.into_iter().flat_map(|group| group.images.values());
        let workloads = images.flat_map(|image| &image.by);
        let found_in: BTreeSet<&str> = workloads.filter_map(|workload| Workload::namespace_in(workload)).collect();
        let why = |namespace: &str| match seen.0.get(namespace) {
            None => Some(Unknown::NotWatched),
            Some(known) if !known.complete => Some(Unknown::NotListed),
            Some(known) if known.workloads.is_empty() && found_in.contains(namespace) => Some(Unknown::NoWorkloads),
            Some(_) => None,
        };
        let namespaces = discover.namespaces.iter().map(|namespace| namespace.as_str());
        Self(namespaces.filter_map(|namespace| Some((namespace.to_owned(), why(namespace)?))).collect())
    }

    /// Whether it is not known if that workload still exists, as [`FoundImage::by`] names it.
    pub fn may_have(&self, workload: &str) -> bool {
        Workload::namespace_in(workload).is_some_and(|namespace| self.0.contains_key(namespace))
    }

    /// Whether workloads may name an image although none is seen to do so. Not all of its workloads are stored, so
    /// until everything is listed there may be one anywhere. The other reasons last: then only what is stored counts,
    /// or nothing of the group would ever go.
    pub fn may_name(&self, image: &FoundImage) -> bool {
        let is_listing = self.0.values().any(|why| *why == Unknown::NotListed);
        is_listing || image.by.iter().any(|workload| self.may_have(workload))
    }
}
