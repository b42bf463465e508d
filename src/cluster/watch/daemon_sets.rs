//! The DaemonSets of lists.

use kube::Api;
use kube::runtime::watcher::{self, Event};

use super::follow::{Watches, concerned, list_of};
use crate::cluster::daemon_sets_by_list::DaemonSetsByList;
use crate::plan::{Generation, SlimDaemonSet};

impl Watches<'_> {
    pub fn daemon_sets(&mut self, api: Api<SlimDaemonSet>, config: watcher::Config) -> DaemonSetsByList {
        let stream = self.listings.watch(api, config);
        let shared = DaemonSetsByList::default();
        let by_list = shared.clone();
        self.follow("DaemonSets", stream, move |event| {
            let matters = matters(event, by_list.record(event).as_deref());
            concerned(event, |daemon_set: &SlimDaemonSet| list_of(&daemon_set.metadata)).filter(|_| matters)
        });
        shared
    }
}

/// Whether plans may depend on what changed. As pods come and go, the DaemonSet controller keeps updating the status of their DaemonSet,
/// and mostly nothing has changed that they depend on.
fn matters(event: &Event<SlimDaemonSet>, before: Option<&SlimDaemonSet>) -> bool {
    let Event::Apply(daemon_set) = event else { return true };
    let now = Generation::from_daemon_set(daemon_set);
    now.is_none() || before.and_then(Generation::from_daemon_set) != now
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

    fn is_new(known: &DaemonSetsByList, event: &Event<SlimDaemonSet>) -> bool {
        matters(event, known.record(event).as_deref())
    }

    #[test]
    fn pods_that_become_ready_are_no_change_of_their_daemon_set() {
        let known = DaemonSetsByList::default();
        assert!(is_new(&known, &event(1, 3, 0)));
        assert!(!is_new(&known, &event(1, 3, 1)));
        assert!(!is_new(&known, &event(1, 3, 3)));
    }

    #[test]
    fn a_node_more_and_a_changed_spec_are() {
        let known = DaemonSetsByList::default();
        known.record(&event(1, 3, 3));
        assert!(is_new(&known, &event(1, 4, 3)));
        assert!(is_new(&known, &event(2, 4, 3)));
    }

    #[test]
    fn one_that_was_deleted_is_new_when_it_comes_again() {
        let known = DaemonSetsByList::default();
        let Event::Apply(daemon_set) = event(1, 3, 3) else { unreachable!() };
        known.record(&Event::Apply(daemon_set.clone()));
        assert!(is_new(&known, &Event::Delete(daemon_set.clone())));
        assert!(is_new(&known, &Event::Apply(daemon_set)));
    }
}
