//! The DaemonSets of lists as their watch has seen them.
//!
//! kube's store finds objects by name only, and each list that woke up would look at the DaemonSets of all lists.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use kube::runtime::watcher::Event;

use crate::naming::labels;
use crate::plan::SlimDaemonSet;

/// The DaemonSets of one namespace, by the list that their label names. Those that name none are left out.
#[derive(Clone, Default)]
pub struct DaemonSetsByList(Arc<Mutex<KnownDaemonSets>>);

#[derive(Default)]
struct KnownDaemonSets {
    current: ByList,
    /// What a listing has found so far. What was known before stays in use until it is complete.
    listing: ByList,
}

#[derive(Default)]
struct ByList {
    lists: HashMap<String, BTreeMap<String, Arc<SlimDaemonSet>>>,
    list_of: HashMap<String, String>,
}

impl DaemonSetsByList {
    /// Records what the watch saw. Returns the DaemonSet as it was before, if the event is about one that is known.
    pub fn record(&self, event: &Event<SlimDaemonSet>) -> Option<Arc<SlimDaemonSet>> {
        let mut known = self.lock();
        match event {
            Event::Init => known.listing = ByList::default(),
            Event::InitDone => known.current = std::mem::take(&mut known.listing),
            Event::InitApply(daemon_set) => return known.listing.set(daemon_set),
            Event::Apply(daemon_set) => return known.current.set(daemon_set),
            Event::Delete(daemon_set) => return known.current.remove(&daemon_set.name_any()),
        }
        None
    }

    /// Those of a list, in the order of their names.
    pub fn of(&self, list: &str) -> Vec<Arc<SlimDaemonSet>> {
        self.lock().current.lists.get(list).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<SlimDaemonSet>> {
        self.lock().current.lists.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The list of the DaemonSet of that name.
    pub fn list_of(&self, name: &str) -> Option<String> {
        self.lock().current.list_of.get(name).cloned()
    }

    /// The lists that have any.
    pub fn lists(&self) -> Vec<String> {
        self.lock().current.lists.keys().cloned().collect()
    }

    /// Every change is complete before another can be seen, so a panic of a holder leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, KnownDaemonSets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ByList {
    fn set(&mut self, daemon_set: &SlimDaemonSet) -> Option<Arc<SlimDaemonSet>> {
        let name = daemon_set.name_any();
        let before = self.remove(&name);
        if let Some(list) = daemon_set.labels().get(labels::LIST) {
            self.list_of.insert(name.clone(), list.clone());
            self.lists.entry(list.clone()).or_default().insert(name, Arc::new(daemon_set.clone()));
        }
        before
    }

    fn remove(&mut self, name: &str) -> Option<Arc<SlimDaemonSet>> {
        let list = self.list_of.remove(name)?;
        let daemon_sets = self.lists.get_mut(&list)?;
        let before = daemon_sets.remove(name);
        if daemon_sets.is_empty() {
            self.lists.remove(&list);
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn daemon_set(name: &str, list: Option<&str>) -> SlimDaemonSet {
        let labels = list.map(|list| json!({ labels::LIST: list }));
        let object = json!({"metadata": {"name": name, "namespace": "prepull", "labels": labels}, "spec": {}});
        serde_json::from_value(object).expect("a DaemonSet")
    }

    fn names(known: &DaemonSetsByList, list: &str) -> Vec<String> {
        known.of(list).iter().map(|daemon_set| daemon_set.name_any()).collect()
    }

    #[test]
    fn what_was_known_stays_until_a_listing_is_complete() {
        let known = DaemonSetsByList::default();
        known.record(&Event::Apply(daemon_set("old", Some("a"))));
        known.record(&Event::Init);
        known.record(&Event::InitApply(daemon_set("new", Some("a"))));
        assert_eq!(names(&known, "a"), ["old"]);
        known.record(&Event::InitDone);
        assert_eq!(names(&known, "a"), ["new"]);
        assert_eq!(known.list_of("old"), None);
    }

    proptest! {
        #[test]
        fn each_is_found_with_the_list_that_its_label_names_now(
            changes in prop::collection::vec(("[xyz]", prop::option::of("[ab]"), any::<bool>()), 0..30),
        ) {
            let (known, mut plain) = (DaemonSetsByList::default(), BTreeMap::new());
            for (name, list, exists) in changes {
                if exists {
                    known.record(&Event::Apply(daemon_set(&name, list.as_deref())));
                    plain.insert(name, list);
                } else {
                    known.record(&Event::Delete(daemon_set(&name, list.as_deref())));
                    plain.remove(&name);
                }
                for list in ["a", "b"] {
                    let of_list = plain.iter().filter(|(_, of)| of.as_deref() == Some(list)).map(|(name, _)| name.clone());
                    prop_assert_eq!(names(&known, list), of_list.collect::<Vec<_>>());
                    prop_assert_eq!(known.lists().iter().any(|it| it == list), plain.values().flatten().any(|it| it == list));
                }
            }
        }
    }
}
