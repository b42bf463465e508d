//! Holders that are evicted repeatedly under disk pressure.
//!
//! An evicted holder releases its images, the kubelet deletes them, the DaemonSet controller creates another pod, and that pulls
//! them again until the disk is full. Only more disk or a shorter list helps, so the user must know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::pod::SlimPod;

/// The number of evictions of a generation's pods on one node within [`WINDOW`] that count as a loop.
pub const ENOUGH: usize = 3;
/// The time within which [`ENOUGH`] evictions are a loop.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// How many pairs of node and generation are stored: those with the latest evictions.
const MAX_PLACES: usize = 2_000;

/// The latest evictions, by node and generation. The order in which they are inserted, and repetitions, do not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evictions(BTreeMap<(Arc<str>, Arc<str>), BTreeSet<Eviction>>);

/// The time and the pod's uid.
type Eviction = (Timestamp, Arc<str>);

/// A node on which a generation's holder is evicted repeatedly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EvictionLoop<'a> {
    /// The node.
    pub node: &'a str,
    /// The name of the generation's DaemonSet.
    pub generation: &'a str,
    /// The last eviction.
    pub last: Timestamp,
}

impl Evictions {
    /// Adds an eviction.
    pub fn insert(&mut self, node: &Arc<str>, generation: &Arc<str>, uid: &str, time: Timestamp) {
        let here = self.0.entry((Arc::clone(node), Arc::clone(generation))).or_default();
        here.insert((time, uid.into()));
        if here.len() > ENOUGH {
            here.pop_first();
        }
        if self.0.len() > MAX_PLACES {
            self.forget_the_oldest();
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        for ((node, generation), evictions) in other.0 {
            evictions.into_iter().for_each(|(time, uid)| self.insert(&node, &generation, &uid, time));
        }
    }

    /// The nodes with enough evictions within the window before `now`.
    pub fn eviction_loops(&self, now: Timestamp) -> impl Iterator<Item = EvictionLoop<'_>> {
        let since = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
        self.0.iter().filter_map(move |((node, generation), evictions)| {
            let ((first, _), (last, _)) = (evictions.first()?, evictions.last()?);
            let enough = evictions.len() >= ENOUGH && *first >= since;
            enough.then_some(EvictionLoop { node, generation, last: *last })
        })
    }

    fn forget_the_oldest(&mut self) {
        let last = |evictions: &BTreeSet<Eviction>| evictions.last().map(|(time, _)| *time);
        let oldest = self.0.iter().min_by_key(|(_, evictions)| last(evictions)).map(|(place, _)| place.clone());
        oldest.into_iter().for_each(|place| drop(self.0.remove(&place)));
    }
}

/// When the kubelet evicted the pod because the node's disk was full; `None` if it did not.
///
/// The messages come from `k8s.io/kubernetes/pkg/kubelet/eviction`: `The node was low on resource: ephemeral-storage. …`, the same
/// with `inodes`, and `The node had condition: [DiskPressure]. ` for a pod that is rejected meanwhile, with the prefix
/// `Pod was rejected: ` from newer kubelets. A pod that exceeds its own limit gets another message.
pub fn evicted_for_disk(pod: &SlimPod) -> Option<Timestamp> {
    const WORDS: [&str; 2] = ["low on resource: ephemeral-storage", "low on resource: inodes"];
    let status = pod.status.as_ref().filter(|status| status.phase == "Failed" && status.reason == "Evicted")?;
    let rejected = status.message.contains("The node had condition:") && status.message.contains("DiskPressure");
    if !rejected && !WORDS.iter().any(|words| status.message.contains(words)) {
        return None;
    }
    // Since Kubernetes 1.26 the kubelet dates an eviction. A rejected pod ended when it was created.
    let dated = status.condition("DisruptionTarget").and_then(|condition| condition.last_transition_time.as_ref());
    dated.or(pod.metadata.creation_timestamp.as_ref()).map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).expect("a time")
    }

    fn evictions(of: &[(&str, &str, i64)]) -> Evictions {
        let mut evictions = Evictions::default();
        for (node, uid, at) in of {
            evictions.insert(&(*node).into(), &"tools-a".into(), uid, minute(*at));
        }
        evictions
    }

    #[test]
    fn three_evictions_on_a_node_within_an_hour_are_an_eviction_loop_until_the_hour_is_over() {
        let evictions = evictions(&[("n", "p", 0), ("n", "q", 20), ("n", "r", 50), ("m", "s", 50), ("m", "t", 51)]);
        let found: Vec<_> = evictions.eviction_loops(minute(55)).collect();
        assert_eq!(found, [EvictionLoop { node: "n", generation: "tools-a", last: minute(50) }]);
        assert_eq!(evictions.eviction_loops(minute(61)).count(), 0);
    }

    #[test]
    fn evictions_that_are_far_apart_are_none() {
        let evictions = evictions(&[("n", "p", 0), ("n", "q", 50), ("n", "r", 100), ("n", "s", 150)]);
        assert_eq!(evictions.eviction_loops(minute(150)).count(), 0);
    }

    #[test]
    fn one_eviction_that_is_reported_three_times_is_one() {
        let evictions = evictions(&[("n", "p", 0), ("n", "p", 0), ("n", "p", 0)]);
        assert_eq!(evictions.eviction_loops(minute(1)).count(), 0);
    }

    #[test]
    fn only_the_latest_places_are_remembered() {
        let mut evictions = Evictions::default();
        for node in 0..MAX_PLACES + 10 {
            evictions.insert(&node.to_string().into(), &"tools-a".into(), "p", minute(node as i64));
        }
        assert_eq!(evictions.0.len(), MAX_PLACES);
        assert!(evictions.0.keys().all(|(node, _)| &**node != "0"));
    }

    #[test]
    fn an_eviction_for_the_disk_is_distinguished_from_others_by_the_kubelets_words() {
        let pod = |phase: &str, reason: &str, message: &str| -> SlimPod {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "p", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {},
                "status": {"phase": phase, "reason": reason, "message": message, "conditions": [{
                    "type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-01T01:00:00Z",
                }]},
            }))
            .expect("a pod")
        };
        let dated: Option<Timestamp> = "2026-01-01T01:00:00Z".parse().ok();
        let low = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 9Mi. ";
        for (phase, reason, message, expected) in [
            ("Failed", "Evicted", low, dated),
            ("Failed", "Evicted", "The node was low on resource: inodes. ", dated),
            ("Failed", "Evicted", "The node had condition: [MemoryPressure DiskPressure]. ", dated),
            ("Failed", "Evicted", "Pod was rejected: The node had condition: [DiskPressure]. ", dated),
            ("Failed", "Evicted", "The node was low on resource: memory. ", None),
            (
                "Failed",
                "Evicted",
                "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
                None,
            ),
            ("Failed", "OutOfpods", low, None),
            ("Running", "Evicted", low, None),
        ] {
            assert_eq!(evicted_for_disk(&pod(phase, reason, message)), expected, "{phase} {reason} {message}");
        }
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_matters(
            reported in prop::collection::vec((0usize..3, 0usize..8, 0i64..120), 0..40),
            seed in any::<prop::sample::Index>(),
        ) {
            let nodes = ["n", "m", "o"];
            // A pod is evicted once, at one time.
            let of: Vec<_> = reported.iter().map(|(node, pod, at)| (nodes[*node], format!("{pod}-{at}"), *at)).collect();
            let borrowed: Vec<_> = of.iter().map(|(node, uid, at)| (*node, uid.as_str(), *at)).collect();
            let mut other: Vec<_> = borrowed.iter().rev().chain(&borrowed).copied().collect();
            let by = if other.is_empty() { 0 } else { seed.index(other.len()) };
            other.rotate_left(by);
            prop_assert_eq!(evictions(&borrowed), evictions(&other));
        }
    }
}
