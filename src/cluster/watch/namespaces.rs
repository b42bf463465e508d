//! The namespaces, by whose labels lists select them. No list depends on that this watch works: what was found before
//! stays in effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;

use super::follow::Watches;
use super::relisting::{FailureLog, relist};
use crate::cluster::affected_lists::{Change, Changed};
use crate::cluster::observed_namespaces::ObservedNamespaces;
use crate::list::discover::DiscoveryScope;

impl Watches<'_> {
    /// Watches the namespaces, if lists may discover images in all of them: only then may their labels be read.
    pub fn namespaces(&mut self, client: &Client, scope: &DiscoveryScope) -> ObservedNamespaces {
        let observed = ObservedNamespaces::default();
        if *scope == DiscoveryScope::All {
            observed.expect();
            let mut follower = NamespaceFollower {
                observed: observed.clone(),
                changed: self.listeners.changed.clone(),
                listing: BTreeMap::new(),
                failures: FailureLog::new("namespaces"),
            };
            let api = Api::<PartialObjectMeta<Namespace>>::all(client.clone());
            self.tasks.spawn(relist(self.listings.clone(), api, move |event| follower.see(event)));
        }
        observed
    }
}

/// Follows the watch.
struct NamespaceFollower {
    observed: ObservedNamespaces,
    changed: UnboundedSender<Change>,
    /// What was listed so far, until all is.
    listing: BTreeMap<String, Arc<BTreeMap<String, String>>>,
    failures: FailureLog,
}

impl NamespaceFollower {
    fn see(&mut self, event: watcher::Result<Event<PartialObjectMeta<Namespace>>>) {
        let changed = match event {
            Ok(Event::Init) => {
                self.listing.clear();
                false
            }
            Ok(Event::InitApply(namespace)) => {
                self.listing.insert(namespace.name_any(), Arc::new(namespace.labels().clone()));
                false
            }
            Ok(Event::InitDone) => {
                self.failures.listed();
                self.observed.replace(std::mem::take(&mut self.listing));
                true
            }
            Ok(Event::Apply(namespace)) => self.observed.apply(namespace.name_any(), namespace.labels().clone()),
            Ok(Event::Delete(namespace)) => self.observed.delete(&namespace.name_any()),
            Err(error) => {
                self.observed.failed();
                self.failures.failed(&error)
            }
        };
        if changed {
            drop(self.changed.send(Change::anywhere(Changed::Namespaces)));
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{Selector, Status};
    use serde_json::json;
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    use super::*;

    fn follower() -> (NamespaceFollower, UnboundedReceiver<Change>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let observed = ObservedNamespaces::default();
        observed.expect();
        (
            NamespaceFollower { observed, changed, listing: BTreeMap::new(), failures: FailureLog::new("namespaces") },
            changes,
        )
    }

    fn namespace(name: &str, team: &str) -> PartialObjectMeta<Namespace> {
        serde_json::from_value(json!({"metadata": {"name": name, "labels": {"team": team}}})).expect("a namespace")
    }

    fn failure() -> watcher::Result<Event<PartialObjectMeta<Namespace>>> {
        let status = Status::failure("", "Forbidden").with_code(403).boxed();
        Err(watcher::Error::WatchStartFailed(kube::Error::Api(status)))
    }

    /// How many changes were sent since the last call.
    fn sent(changes: &mut UnboundedReceiver<Change>) -> usize {
        std::iter::from_fn(|| changes.try_recv().ok()).filter(|change| change.what == Changed::Namespaces).count()
    }

    #[test]
    fn namespaces_are_known_once_all_were_listed_and_only_labels_concern_lists() {
        let (mut follower, mut changes) = follower();
        let known = |follower: &NamespaceFollower| {
            let known = follower.observed.selected_by(&[&Selector::default()]).expect("a watch");
            (known.labels.into_keys().collect::<Vec<_>>(), known.complete)
        };
        follower.see(Ok(Event::Init));
        follower.see(Ok(Event::InitApply(namespace("shop", "a"))));
        assert_eq!((known(&follower), sent(&mut changes)), ((Vec::new(), false), 0));
        follower.see(Ok(Event::InitDone));
        assert_eq!((known(&follower), sent(&mut changes)), ((vec!["shop".to_owned()], true), 1));
        follower.see(Ok(Event::Apply(namespace("shop", "a"))));
        assert_eq!(sent(&mut changes), 0);
        follower.see(Ok(Event::Apply(namespace("shop", "b"))));
        follower.see(Ok(Event::Delete(namespace("shop", "b"))));
        assert_eq!((known(&follower), sent(&mut changes)), ((Vec::new(), true), 2));
    }

    #[test]
    fn a_failure_concerns_lists_once_until_all_are_listed_again() {
        let (mut follower, mut changes) = follower();
        follower.see(failure());
        follower.see(failure());
        assert_eq!(sent(&mut changes), 1);
        for event in [Event::Init, Event::InitApply(namespace("shop", "a")), Event::InitDone] {
            follower.see(Ok(event));
        }
        follower.see(failure());
        assert_eq!(sent(&mut changes), 2);
        let known = follower.observed.selected_by(&[&Selector::default()]).expect("a watch");
        assert!(!known.complete && known.labels.contains_key("shop"), "what was seen stays");
    }
}
