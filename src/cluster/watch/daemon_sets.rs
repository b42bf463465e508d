//! The DaemonSets of lists.

use kube::runtime::watcher::Event;

use crate::plan::{Generation, SlimDaemonSet};

/// Whether plans may depend on what changed. As pods come and go, the DaemonSet controller keeps updating the status of their DaemonSet,
/// and mostly nothing has changed that they depend on.
pub fn matters(event: &Event<SlimDaemonSet>, before: Option<&SlimDaemonSet>) -> bool {
    let Event::Apply(daemon_set) = event else { return true };
    let now = Generation::from_daemon_set(daemon_set);
    now.is_none() || before.and_then(Generation::from_daemon_set) != now
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::daemon_sets_by_list::DaemonSetsByList;
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
