//! The namespaces that have a controller of their own. One for all namespaces leaves their lists alone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tracing::info;

use super::affected_lists::{Change, Changed};

/// The Lease of a controller, without its content.
pub type SlimLease = PartialObjectMeta<Lease>;

/// The namespaces with a Lease of another controller. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct OtherControllers(Arc<Mutex<SeenLeases>>);

#[derive(Debug, Default)]
struct SeenLeases {
    namespaces: BTreeSet<String>,
    /// What a listing has found so far.
    listing: BTreeSet<String>,
}

impl OtherControllers {
    /// Whether a namespace has a controller of its own.
    pub fn are_in(&self, namespace: &str) -> bool {
        self.lock().namespaces.contains(namespace)
    }

    /// Records what the watch saw of Leases, but for that in `home`. Returns in which namespaces a controller came or went.
    pub fn record(&self, event: &Event<SlimLease>, home: &str) -> Vec<Change> {
        let namespace = |lease: &SlimLease| lease.namespace().filter(|namespace| namespace != home);
        let mut seen = self.lock();
        match event {
            Event::Init => seen.listing.clear(),
            Event::InitApply(lease) => seen.listing.extend(namespace(lease)),
            Event::InitDone => return seen.listed(),
            // Each renewal is one.
            Event::Apply(lease) => {
                let new = namespace(lease).filter(|namespace| seen.namespaces.insert(namespace.clone()));
                return new.iter().map(|namespace| changed_in(namespace, true)).collect();
            }
            Event::Delete(lease) => {
                let gone = namespace(lease).filter(|namespace| seen.namespaces.remove(namespace));
                return gone.iter().map(|namespace| changed_in(namespace, false)).collect();
            }
        }
        Vec::new()
    }

    fn lock(&self) -> MutexGuard<'_, SeenLeases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeenLeases {
    /// Takes what the listing has found for what there is. As for the other watches, whatever has waited for it may begin.
    fn listed(&mut self) -> Vec<Change> {
        let before = std::mem::replace(&mut self.namespaces, std::mem::take(&mut self.listing));
        let changed = self.namespaces.symmetric_difference(&before);
        let changed = changed.map(|namespace| changed_in(namespace, self.namespaces.contains(namespace)));
        changed.chain([Change::anywhere(Changed::Everything)]).collect()
    }
}

fn changed_in(namespace: &str, is_there: bool) -> Change {
    match is_there {
        true => info!(namespace, "this namespace has a controller of its own: leaving its lists to that"),
        false => info!(namespace, "this namespace has no controller of its own any more: keeping its lists warm"),
    }
    Change::within(&namespace.into(), Changed::Everything)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(namespace: &str) -> SlimLease {
        serde_json::from_value(json!({"metadata": {"name": "kube-prepull", "namespace": namespace}})).expect("a Lease")
    }

    #[test]
    fn a_namespace_has_a_controller_of_its_own_while_there_is_a_lease() {
        let others = OtherControllers::default();
        let namespaces = |event| {
            let changes = others.record(&event, "prepull").into_iter();
            changes.filter_map(|change| change.namespace).map(|it| it.to_string()).collect::<Vec<_>>()
        };
        for (event, changed) in [
            (Event::Apply(lease("shop")), vec!["shop"]),
            (Event::Apply(lease("shop")), vec![]),
            (Event::Apply(lease("prepull")), vec![]),
            (Event::Init, vec![]),
            (Event::InitApply(lease("checkout")), vec![]),
            (Event::InitDone, vec!["checkout", "shop"]),
            (Event::Delete(lease("checkout")), vec!["checkout"]),
        ] {
            assert_eq!(namespaces(event), changed);
        }
        assert!(!others.are_in("shop") && !others.are_in("prepull"));
    }
}
