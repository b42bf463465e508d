//! The DaemonSets of lists.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};

use super::follow::{Watches, concerned, list_of};
use crate::cluster::daemon_sets_by_list::DaemonSetsByList;
use crate::plan::{Generation, SlimDaemonSet};

impl Watches<'_> {
    pub fn daemon_sets(&mut self, api: Api<SlimDaemonSet>, config: watcher::Config) -> DaemonSetsByList {
        let stream = self.listings.watch(api, config);
        let shared = DaemonSetsByList::default();
        let (by_list, mut known) = (shared.clone(), Known::default());
        self.follow("DaemonSets", stream, move |event| {
            by_list.record(event);
            let is_new = known.record(event);
            concerned(event, |daemon_set: &SlimDaemonSet| list_of(&daemon_set.metadata)).filter(|_| is_new)
        });
        shared
    }
}

/// Hashes of the generations as they were seen last, by name. As pods come and go, the DaemonSet controller keeps updating the status of
/// their DaemonSet, and mostly nothing has changed that plans depend on.
#[derive(Default)]
struct Known {
    hashes: HashMap<String, u64>,
    hasher: RandomState,
}

impl Known {
    /// Records an event. Returns whether plans may depend on what changed.
    fn record(&mut self, event: &Event<SlimDaemonSet>) -> bool {
        match event {
            Event::Init => self.hashes.clear(),
            Event::InitDone => {}
            Event::Delete(daemon_set) => drop(self.hashes.remove(&daemon_set.name_any())),
            Event::InitApply(daemon_set) | Event::Apply(daemon_set) => return self.apply(daemon_set),
        }
        true
    }

    fn apply(&mut self, daemon_set: &SlimDaemonSet) -> bool {
        let name = daemon_set.name_any();
        let now = Generation::from_daemon_set(daemon_set).map(|generation| self.hasher.hash_one(generation));
        let before = match now {
            Some(now) => self.hashes.insert(name, now),
            None => self.hashes.remove(&name),
        };
        now.is_none() || before != now
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::naming::labels;

    /// A DaemonSet that should have `desired` pods, of which `ready` are ready.
    fn event(metadata_generation: i64, desired: u32, ready: u32) -> Event<SlimDaemonSet> {
        let labels = json!({labels::LIST: "tools", labels::GROUP: "default", labels::MANAGED_BY: labels::PROGRAM});
        let daemon_set = serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {
                "name": "tools-1", "uid": "1", "labels": labels, "generation": metadata_generation,
                "resourceVersion": format!("{desired}{ready}"),
            },
            "spec": {"template": {"spec": {"containers": []}}},
            "status": {
                "observedGeneration": metadata_generation, "desiredNumberScheduled": desired, "currentNumberScheduled": desired,
                "numberMisscheduled": 0, "numberReady": ready,
            },
        }));
        Event::Apply(daemon_set.expect("a DaemonSet"))
    }

    #[test]
    fn pods_that_become_ready_are_no_change_of_their_daemon_set() {
        let mut known = Known::default();
        assert!(known.record(&event(1, 3, 0)));
        assert!(!known.record(&event(1, 3, 1)));
        assert!(!known.record(&event(1, 3, 3)));
    }

    #[test]
    fn a_node_more_and_a_changed_spec_are() {
        let mut known = Known::default();
        known.record(&event(1, 3, 3));
        assert!(known.record(&event(1, 4, 3)));
        assert!(known.record(&event(2, 4, 3)));
    }

    #[test]
    fn one_that_was_deleted_is_new_when_it_comes_again() {
        let mut known = Known::default();
        let Event::Apply(daemon_set) = event(1, 3, 3) else { unreachable!() };
        known.record(&Event::Apply(daemon_set.clone()));
        assert!(known.record(&Event::Delete(daemon_set.clone())));
        assert!(known.record(&Event::Apply(daemon_set)));
    }
}
