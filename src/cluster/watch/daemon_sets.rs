//! The DaemonSets of lists.

use std::collections::HashMap;

use kube::runtime::reflector;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::{Watches, daemon_set_resource, list_of, of};
use crate::plan::{Generation, SlimDaemonSet};

impl Watches<'_> {
    pub(super) fn daemon_sets(&mut self, api: Api<SlimDaemonSet>, config: watcher::Config) -> Store<SlimDaemonSet> {
        let writer = Writer::new(daemon_set_resource());
        let store = writer.as_reader();
        let stream = reflector(writer, watcher(api, config));
        let mut known = Known::default();
        self.follow("DaemonSets", stream, move |event| {
            let is_new = known.take_in(event);
            of(event, |daemon_set: &SlimDaemonSet| list_of(&daemon_set.metadata)).filter(|_| is_new)
        });
        store
    }
}

/// The generations as they were seen last. While pods come and go, the DaemonSet controller writes the status of their DaemonSet
/// again and again, and mostly nothing has changed of what matters.
#[derive(Default)]
struct Known(HashMap<String, Generation>);

impl Known {
    /// Takes in what happened, and says whether that is messages.
    fn take_in(&mut self, event: &Event<SlimDaemonSet>) -> bool {
        match event {
            Event::Init => self.0.clear(),
            Event::InitDone => {}
            Event::Delete(daemon_set) => drop(self.0.remove(&daemon_set.name_any())),
            Event::InitApply(daemon_set) | Event::Apply(daemon_set) => return self.apply(daemon_set),
        }
        true
    }

    fn apply(&mut self, daemon_set: &SlimDaemonSet) -> bool {
        let (name, now) = (daemon_set.name_any(), Generation::from_daemon_set(daemon_set));
        let before = match now.clone() {
            Some(now) => self.0.insert(name, now),
            None => self.0.remove(&name),
        };
        now.is_none() || before != now
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::naming::labels;

    /// With that many nodes that should have a pod, and so many pods that are ready.
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
        assert!(known.take_in(&event(1, 3, 0)));
        assert!(!known.take_in(&event(1, 3, 1)));
        assert!(!known.take_in(&event(1, 3, 3)));
    }

    #[test]
    fn a_node_more_and_a_changed_spec_are() {
        let mut known = Known::default();
        known.take_in(&event(1, 3, 3));
        assert!(known.take_in(&event(1, 4, 3)));
        assert!(known.take_in(&event(2, 4, 3)));
    }

    #[test]
    fn one_that_was_deleted_is_new_when_it_comes_again() {
        let mut known = Known::default();
        let Event::Apply(daemon_set) = event(1, 3, 3) else { unreachable!() };
        known.take_in(&Event::Apply(daemon_set.clone()));
        assert!(known.take_in(&Event::Delete(daemon_set.clone())));
        assert!(known.take_in(&Event::Apply(daemon_set)));
    }
}
