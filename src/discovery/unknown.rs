//! Namespaces of which it is not known what their workloads name.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{NamespaceWorkloads, Workloads};
use super::workload::Workload;
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
    /// The installation does not allow to read the labels of namespaces, so none can be selected. It is about
    /// [`Unknown::SELECTED`].
    NamespacesNotWatched,
    /// Not all namespaces were listed, or not all workloads of those that are selected, or a watch fails. It is about
    /// [`Unknown::SELECTED`].
    NamespacesNotListed,
}

impl Unknown {
    /// Stands for all namespaces that are or were selected by their labels. No namespace has this name.
    pub const SELECTED: &'static str = "";

    /// Whether something is still to be listed, so that it may be known soon. The other reasons last.
    pub fn is_listing(self) -> bool {
        matches!(self, Self::NotListed | Self::NamespacesNotListed)
    }
}

/// The namespaces of a group of which that is not known, and those of which it is.
pub struct UnknownNamespaces<'a> {
    /// Why it is not known.
    pub reasons: BTreeMap<String, Unknown>,
    known: BTreeSet<&'a str>,
}

impl<'a> UnknownNamespaces<'a> {
    /// Those of the namespaces that a group asks for. `found`: what was found for it.
    pub fn of(discover: &'a Discover, found: Option<&GroupFound>, seen: &'a Workloads) -> Self {
        let images = found.into_iter().flat_map(|group| group.images.values());
        let workloads = images.flat_map(|image| &image.by);
        let found_in: BTreeSet<&str> = workloads.filter_map(|workload| Workload::namespace_in(workload)).collect();
        let why = |namespace: &str| why_named(seen.by_namespace.get(namespace), found_in.contains(namespace));
        let named: BTreeSet<&str> = discover.namespaces.iter().map(|namespace| namespace.as_str()).collect();
        let selected: BTreeSet<&str> = &seen.selected(discover) - &named;
        let of_named = named.iter().filter_map(|namespace| Some(((*namespace).to_owned(), why(namespace)?)));
        let mut reasons: BTreeMap<String, Unknown> = of_named.collect();
        let is_listed = |namespace: &str| seen.by_namespace.get(namespace).is_some_and(|known| known.complete);
        let (listed, unlisted): (BTreeSet<&str>, BTreeSet<&str>) =
            selected.into_iter().partition(|namespace| is_listed(namespace));
        if discover.namespace_selector.is_some() {
            let why = why_selected(seen, unlisted.is_empty());
            reasons.extend(why.map(|why| (Unknown::SELECTED.to_owned(), why)));
        }
        let known = named.into_iter().filter(|namespace| !reasons.contains_key(*namespace)).chain(listed).collect();
        Self { reasons, known }
    }

    /// Whether it is not known if that workload still exists and counts, as [`FoundImage::by`] names it.
    pub fn may_have(&self, workload: &str) -> bool {
        let is_unknown = |namespace: &str| {
            let may_be_selected = self.reasons.contains_key(Unknown::SELECTED);
            !self.known.contains(namespace) && (may_be_selected || self.reasons.contains_key(namespace))
        };
        Workload::namespace_in(workload).is_some_and(is_unknown)
    }

    /// Whether workloads may name an image although none is seen to do so. Not all of its workloads are stored, so
    /// until everything is listed there may be one anywhere. The other reasons last: then only what is stored counts,
    /// or nothing of the group would ever go.
    pub fn may_name(&self, image: &FoundImage) -> bool {
        let is_listing = self.reasons.values().any(|why| why.is_listing());
        is_listing || image.by.iter().any(|workload| self.may_have(workload))
    }
}

/// Why that is not known of a namespace that the list names. `was_found`: whether images were found there.
fn why_named(known: Option<&NamespaceWorkloads>, was_found: bool) -> Option<Unknown> {
    match known {
        None => Some(Unknown::NotWatched),
        Some(known) if !known.complete => Some(Unknown::NotListed),
        Some(known) if known.workloads.is_empty() && was_found => Some(Unknown::NoWorkloads),
        Some(_) => None,
    }
}

/// The same of all together that it selects, since there may be very many. `all_listed`: whether all workloads of those
/// that are known were listed.
fn why_selected(seen: &Workloads, all_listed: bool) -> Option<Unknown> {
    match &seen.namespaces {
        None => Some(Unknown::NamespacesNotWatched),
        Some(namespaces) if namespaces.complete && all_listed => None,
        Some(_) => Some(Unknown::NamespacesNotListed),
    }
}
