//! Which failures of images are reported, and from when.
//!
//! A node that starts reports failures that pass by themselves: its containers have ended, sandboxes cannot be created yet, and the registry
//! cannot be reached before the node's network works. An image that never ran on the node and is held nowhere has no such excuse: it is
//! reported at once, since the list is probably wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::coverage::{CoveringPod, FailureCause, Node};
use crate::plan::generation::conditions::{Extent, ReportedCondition, StoredCause};

/// How long a failure must last if it may come from the start of its node. Kubelets try again after 10, 20, 40 and 80 seconds.
pub const STARTING: SignedDuration = SignedDuration::from_mins(3);

/// The number of failing nodes stored by name, on which recovery is checked.
pub const MAX_SAMPLE: usize = 3;

/// The failures of one image, on nodes that can run it.
#[derive(Debug, Default)]
pub struct ImageFailures<'a> {
    /// The failures that count, by cause, and the nodes that report each.
    pub lasting: BTreeMap<ObservedFailure<'a>, Vec<&'a str>>,
    /// Whether there are failures that may pass by themselves.
    starting: bool,
}

/// Whether the image was pulled, and the kubelet's words.
pub type ObservedFailure<'a> = (bool, FailureCause<'a>);

impl<'a> ImageFailures<'a> {
    /// Adds the failure on a node, which counts unless it may pass by itself until then.
    pub fn add(&mut self, node: &'a str, cause: FailureCause<'a>, passes_until: Option<Timestamp>) {
        // An image that is still there may have to be pulled again all the same.
        let pulled = !cause.is_of_pull();
        match passes_until {
            Some(_) => self.starting = true,
            None => self.lasting.entry((pulled, cause)).or_default().push(node),
        }
    }

    /// What there is to report of the image, if anything. What was reported goes on as long as there is any failure.
    pub fn extent(&self, image: &str, reported: Option<&ReportedCondition>) -> Option<Extent> {
        let known = reported.and_then(|reported| reported.extents.get(image));
        if self.lasting.is_empty() && !(self.starting && known.is_some()) {
            return None;
        }
        let said = self.lasting.iter().map(|((_, cause), nodes)| (*cause, nodes.len()));
        Some(extent_of(&self.lasting, stored_cause(said, known)))
    }
}

/// The stored cause while any node reports it or none says another, so that it is seldom written again. `said` has the number of nodes
/// that report each cause.
pub fn stored_cause<'a>(
    said: impl Iterator<Item = (FailureCause<'a>, usize)> + Clone,
    known: Option<&Extent>,
) -> Option<StoredCause> {
    let said = said.filter(|(cause, _)| cause.is_known());
    let known = known.and_then(|known| known.cause.clone());
    let still_said = said.clone().any(|(cause, _)| Some(StoredCause::of(cause)) == known);
    let most = said.max_by_key(|(_, nodes)| *nodes).map(|(cause, _)| StoredCause::of(cause));
    if still_said { known } else { most.or(known) }
}

/// How many nodes have any of these failures, and some of them. No node has two: one pod counts on each.
pub fn extent_of<Failure>(by_failure: &BTreeMap<Failure, Vec<&str>>, cause: Option<StoredCause>) -> Extent {
    let mut first = BTreeSet::new();
    for node in by_failure.values().flatten() {
        if first.len() < MAX_SAMPLE || first.last().is_some_and(|last| node < last) {
            first.insert(*node);
            if first.len() > MAX_SAMPLE {
                first.pop_last();
            }
        }
    }
    let sample = first.into_iter().map(str::to_owned).collect();
    Extent { nodes: by_failure.values().map(Vec::len).sum(), sample, until: None, cause }
}

/// Until when a failure may pass by itself; `None` if it counts now. `ran_before` is whether the container that fails ran in this pod
/// before, `held` whether the image is or was held elsewhere or, for an init container, whether other pods got past theirs, and
/// `node` is `None` if nodes may not be read.
pub fn passes_until(
    ran_before: bool,
    held: bool,
    pod: &CoveringPod,
    node: Option<&Node>,
    now: Timestamp,
) -> Option<Timestamp> {
    let started = node.and_then(|node| node.ready_since).filter(|_| ran_before || held);
    let ended = pod.not_ready_since.filter(|_| ran_before);
    let until = started.into_iter().chain(ended).max()?.checked_add(STARTING).ok()?;
    // These times are by the clocks of the node and of the API server. One that is far ahead delays nothing.
    (now < until && until.duration_since(now) <= 2 * STARTING).then_some(until)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::coverage::{Coverage, SlimPod};
    use crate::naming::labels;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).expect("a time")
    }

    /// Until which minute a failure may pass, at the minute 0.
    fn passes(status: serde_json::Value, not_ready: i64, node_ready: Option<i64>, held: bool) -> Option<i64> {
        let pod: SlimPod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "uid": "p", "labels": {labels::LIST: "tools"},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "tools-a", "uid": "d", "controller": true},
                ],
            },
            "spec": {"nodeName": "n", "containers": [{"name": "one", "image": "one:1"}]},
            "status": {
                "conditions": [
                    {"type": "ContainersReady", "status": "False", "lastTransitionTime": minute(not_ready)},
                ],
                "containerStatuses": [status],
            },
        }))
        .expect("a pod");
        let mut coverage = Coverage::default();
        coverage.apply(&pod);
        let pod = coverage.pods_of("tools").next().expect("the pod");
        let node = node_ready.map(|ready| Node { ready: true, ready_since: Some(minute(ready)), ..Node::default() });
        let until = passes_until(pod.images[0].ran_before, held, pod, node.as_ref(), minute(0));
        until.map(|until| until.duration_since(minute(0)).as_secs() / 60)
    }

    #[test]
    fn a_failure_counts_at_once_unless_it_may_come_from_the_start_of_its_node() {
        let waiting = json!({"name": "one", "state": {"waiting": {"reason": "ErrImagePull"}}});
        let restarted = json!({"name": "one", "restartCount": 1, "state": {"waiting": {"reason": "ErrImagePull"}}});
        let terminated = json!({"containerID": "c", "exitCode": 255, "reason": "Unknown"});
        let dead = json!({"name": "one", "state": {"terminated": terminated}});
        let unstartable = json!({"containerID": "c", "exitCode": 128, "reason": "StartError"});
        let unstartable = json!({"name": "one", "state": {"terminated": unstartable}});
        // An image that never ran there.
        assert_eq!(passes(waiting.clone(), 0, Some(-60), false), None, "a wrong list");
        assert_eq!(passes(waiting.clone(), 0, Some(-60), true), None, "a node that has been there for long");
        assert_eq!(passes(waiting.clone(), 0, Some(0), false), None, "a new cluster with a wrong list");
        assert_eq!(passes(waiting.clone(), 0, Some(-1), true), Some(2), "a node that has just joined");
        assert_eq!(passes(waiting, 0, None, true), None);
        assert_eq!(passes(unstartable, -60, Some(-60), true), None, "its first container");
        // One that ran there.
        for status in [restarted, dead] {
            assert_eq!(passes(status.clone(), 0, Some(-60), false), Some(3), "a node that was away for a few seconds");
            assert_eq!(passes(status.clone(), 0, None, false), Some(3));
            assert_eq!(passes(status.clone(), -2, Some(-1), true), Some(2), "it was not ready longer than the pod");
            assert_eq!(passes(status.clone(), -3, Some(-60), true), None);
            assert_eq!(passes(status.clone(), 3, None, true), Some(6), "a clock that is ahead");
            assert_eq!(passes(status, 4, None, true), None, "a clock that nobody can rely on");
        }
    }

    #[test]
    fn what_was_reported_goes_on_while_its_nodes_start_again() {
        let cause = FailureCause { reason: "ErrImagePull", message: "503" };
        let mut failures = ImageFailures::default();
        failures.add("n0", cause, Some(minute(1)));
        assert_eq!(failures.extent("one", None), None);
        let stored = Some(StoredCause::of(cause));
        let known = Extent { nodes: 4, cause: stored.clone(), ..Extent::default() };
        let reported = ReportedCondition { at: minute(-9), extents: BTreeMap::from([("one".to_owned(), known)]) };
        assert_eq!(
            failures.extent("one", Some(&reported)),
            Some(Extent { nodes: 0, cause: stored.clone(), ..Extent::default() })
        );
        failures.add("n1", FailureCause { reason: "ImagePullBackOff", message: "" }, None);
        let extent = failures.extent("one", Some(&reported)).expect("it lasts");
        assert_eq!((extent.nodes, extent.cause), (1, stored), "the cause stays known");
        let other = FailureCause { reason: "ErrImagePull", message: "401" };
        failures.add("n2", other, None);
        assert_eq!(failures.extent("one", Some(&reported)).and_then(|it| it.cause), Some(StoredCause::of(other)));
        failures.add("n3", cause, None);
        assert_eq!(
            failures.extent("one", Some(&reported)).and_then(|it| it.cause),
            Some(StoredCause::of(cause)),
            "it is not written again while any node says it"
        );
    }
}
