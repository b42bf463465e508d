//! What is known of namespaces and of the workloads in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::core::{Selector, SelectorExt};

use super::workload::Workload;
use crate::list::discover::Discover;

/// What is known of the workloads of a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceWorkloads {
    /// Whether these are all, as far as the API server has said by now.
    pub complete: bool,
    /// The workloads of all kinds.
    pub workloads: Vec<Arc<Workload>>,
}

/// What is known of the labels of namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownNamespaces {
    /// Whether these are all, as far as the API server has said by now.
    pub complete: bool,
    /// The labels, by the names of the namespaces.
    pub labels: BTreeMap<String, Arc<BTreeMap<String, String>>>,
}

impl KnownNamespaces {
    /// The names of those whose labels match.
    fn selected_by<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a str> {
        self.labels.iter().filter(move |(_, labels)| selector.matches(labels)).map(|(name, _)| name.as_str())
    }
}

/// What is known of workloads and of the namespaces that they are in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workloads {
    /// The workloads by namespace. A namespace that is missing here is not watched.
    pub by_namespace: BTreeMap<String, NamespaceWorkloads>,
    /// The namespaces, at least those that a group selects; `None` if they are not watched.
    pub namespaces: Option<KnownNamespaces>,
}

impl Workloads {
    /// The namespaces that a group selects by their labels, as far as these are known.
    pub fn selected<'a>(&'a self, discover: &'a Discover) -> BTreeSet<&'a str> {
        let known = self.namespaces.as_ref().zip(discover.namespace_selector.as_ref());
        known.into_iter().flat_map(|(namespaces, selector)| namespaces.selected_by(selector)).collect()
    }

    /// The namespaces whose workloads count for a group: those that it names, and those that it selects.
    pub fn counting<'a>(&'a self, discover: &'a Discover) -> BTreeSet<&'a str> {
        let named = discover.namespaces.iter().map(|namespace| namespace.as_str());
        named.chain(self.selected(discover)).collect()
    }
}
