//! The workloads whose images lists discover, as the watches have seen them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::discovery::{NamespaceWorkloads, Workload};
use crate::list::discover::WorkloadKind;

/// What one watch sees: workloads of one kind, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadWatch {
    /// The kind.
    pub kind: WorkloadKind,
    /// The namespace; `None`: all.
    pub namespace: Option<String>,
}

impl WorkloadWatch {
    fn covers(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

/// The workloads. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ObservedWorkloads(Arc<Mutex<WorkloadTable>>);

#[derive(Debug, Default)]
struct WorkloadTable {
    /// Whether each watch has listed what exists, and has not failed since.
    watches: BTreeMap<WorkloadWatch, bool>,
    workloads: BTreeMap<String, BTreeMap<(WorkloadKind, String), Arc<Workload>>>,
}

impl WorkloadTable {
    /// Whether all workloads of a namespace are there; `None` if nobody watches it. There may be many watches, so it asks only for
    /// those that cover the namespace.
    fn is_complete(&self, namespace: &str) -> Option<bool> {
        let covering = [None, Some(namespace.to_owned())].into_iter().flat_map(|namespace| {
            WorkloadKind::ALL.map(|(_, kind)| WorkloadWatch { kind, namespace: namespace.clone() })
        });
        covering.filter_map(|watch| self.watches.get(&watch).copied()).reduce(|one, other| one && other)
    }

    fn insert(&mut self, workload: Workload) -> bool {
        let of_namespace = self.workloads.entry(workload.namespace.clone()).or_default();
        let key = (workload.kind, workload.name.clone());
        let is_known = of_namespace.get(&key).is_some_and(|known| **known == workload);
        if !is_known {
            of_namespace.insert(key, Arc::new(workload));
        }
        !is_known
    }

    fn remove(&mut self, namespace: &str, key: &(WorkloadKind, String)) -> bool {
        let Some(of_namespace) = self.workloads.get_mut(namespace) else { return false };
        let was_there = of_namespace.remove(key).is_some();
        if of_namespace.is_empty() {
            self.workloads.remove(namespace);
        }
        was_there
    }

    /// The workloads that a watch has seen, by namespace and key.
    fn of(&self, watch: &WorkloadWatch) -> Vec<(String, (WorkloadKind, String))> {
        let covered = self.workloads.iter().filter(|(namespace, _)| watch.covers(namespace));
        let keys = covered.flat_map(|(namespace, workloads)| workloads.keys().map(move |key| (namespace, key)));
        let own = keys.filter(|(_, (kind, _))| *kind == watch.kind);
        own.map(|(namespace, key)| (namespace.clone(), key.clone())).collect()
    }
}

impl ObservedWorkloads {
    /// Announces a watch, which has seen nothing yet.
    pub fn expect(&self, watch: WorkloadWatch) {
        self.lock().watches.insert(watch, false);
    }

    /// Replaces what a watch has seen, after a listing.
    pub fn replace(&self, watch: &WorkloadWatch, listed: Vec<Workload>) {
        let mut table = self.lock();
        let exist: BTreeSet<_> = listed.iter().map(|it| (it.namespace.clone(), (it.kind, it.name.clone()))).collect();
        for (namespace, key) in table.of(watch).into_iter().filter(|known| !exist.contains(known)) {
            table.remove(&namespace, &key);
        }
        for workload in listed {
            table.insert(workload);
        }
        table.watches.insert(watch.clone(), true);
    }

    /// Records a workload as it is now. Returns whether anything of it changed.
    pub fn apply(&self, workload: Workload) -> bool {
        self.lock().insert(workload)
    }

    /// Records that a workload was deleted. Returns whether it was known.
    pub fn delete(&self, namespace: &str, kind: WorkloadKind, name: &str) -> bool {
        self.lock().remove(namespace, &(kind, name.to_owned()))
    }

    /// Records that a watch failed. What it has seen stays, but may be outdated.
    pub fn failed(&self, watch: &WorkloadWatch) {
        self.lock().watches.insert(watch.clone(), false);
    }

    /// What is known of the workloads of these namespaces. Those that nobody watches are left out.
    pub fn of<'n>(&self, namespaces: impl IntoIterator<Item = &'n str>) -> BTreeMap<String, NamespaceWorkloads> {
        let table = self.lock();
        let known = namespaces.into_iter().filter_map(|namespace| {
            let complete = table.is_complete(namespace)?;
            let workloads = table.workloads.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect();
            Some((namespace.to_owned(), NamespaceWorkloads { complete, workloads }))
        });
        known.collect()
    }

    fn lock(&self) -> MutexGuard<'_, WorkloadTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(namespace: &str, name: &str, image: &str) -> Workload {
        Workload {
            kind: WorkloadKind::Deployment,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            images: [image.to_owned()].into(),
            pull_secrets: BTreeSet::new(),
        }
    }

    fn watch(kind: WorkloadKind, namespace: Option<&str>) -> WorkloadWatch {
        WorkloadWatch { kind, namespace: namespace.map(str::to_owned) }
    }

    /// Each namespace with its workloads: `shop: web`, or `shop?: web` if there may be others.
    fn shown(workloads: &BTreeMap<String, NamespaceWorkloads>) -> Vec<String> {
        let names =
            |of: &NamespaceWorkloads| of.workloads.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(" ");
        let mark = |of: &NamespaceWorkloads| if of.complete { "" } else { "?" };
        workloads.iter().map(|(namespace, of)| format!("{namespace}{}: {}", mark(of), names(of))).collect()
    }

    #[test]
    fn a_namespace_is_complete_once_all_its_watches_have_listed_and_until_one_fails() {
        let (deployments, jobs) = (watch(WorkloadKind::Deployment, Some("shop")), watch(WorkloadKind::Job, None));
        let observed = ObservedWorkloads::default();
        observed.expect(deployments.clone());
        observed.expect(jobs.clone());
        observed.replace(&deployments, vec![workload("shop", "web", "a:1")]);
        assert_eq!(shown(&observed.of(["shop"])), ["shop?: web"]);
        observed.replace(&jobs, Vec::new());
        assert_eq!(shown(&observed.of(["shop"])), ["shop: web"]);
        observed.failed(&jobs);
        assert_eq!(shown(&observed.of(["shop"])), ["shop?: web"], "what was seen stays");
    }

    #[test]
    fn a_namespace_that_nobody_watches_is_not_known() {
        let observed = ObservedWorkloads::default();
        observed.replace(&watch(WorkloadKind::Deployment, Some("shop")), Vec::new());
        assert_eq!(shown(&observed.of(["shop", "other"])), ["shop: "]);
    }

    #[test]
    fn a_listing_replaces_what_its_watch_has_seen_and_no_more() {
        let observed = ObservedWorkloads::default();
        let (shop, other) =
            (watch(WorkloadKind::Deployment, Some("shop")), watch(WorkloadKind::Deployment, Some("other")));
        observed.replace(&shop, vec![workload("shop", "web", "a:1"), workload("shop", "old", "a:1")]);
        observed.replace(&other, vec![workload("other", "web", "a:1")]);
        observed.replace(&shop, vec![workload("shop", "web", "a:2")]);
        assert_eq!(shown(&observed.of(["other", "shop"])), ["other: web", "shop: web"]);
    }

    #[test]
    fn only_what_changes_is_a_change() {
        let observed = ObservedWorkloads::default();
        assert!(observed.apply(workload("shop", "web", "a:1")));
        assert!(!observed.apply(workload("shop", "web", "a:1")), "its status has changed");
        assert!(observed.apply(workload("shop", "web", "a:2")));
        assert!(observed.delete("shop", WorkloadKind::Deployment, "web"));
        assert!(!observed.delete("shop", WorkloadKind::Deployment, "web"));
    }
}
