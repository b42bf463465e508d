//! What a pod's status says about its node: whether it has capacity for the pod, and whether it still reports.

use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::pod::PodStatus;
use super::scheduler::{is_at_pod_limit, lacks_resources};

/// What a node has too little of for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortage {
    /// Its pod limit is reached.
    Pods,
    /// Its CPU, memory or other resources are taken.
    Resources,
    /// The pod's sandbox is not created: no address is left, or the node's network does not work.
    Addresses,
}

/// A node has no capacity for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCapacity {
    /// What it has too little of.
    pub shortage: Shortage,
    /// Since when, if known.
    pub since: Option<Timestamp>,
}

/// Whether the node has no capacity for the pod. Every new pod lacks its sandbox for a moment, so callers must check the time.
///
/// The messages are the scheduler's (`k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources/fit.go`) and the
/// kubelet's (`pkg/kubelet/lifecycle/predicate.go`). A DaemonSet's pod names its node, so they are about that node.
pub fn no_capacity(metadata: &ObjectMeta, status: &PodStatus) -> Option<NoCapacity> {
    let created = metadata.creation_timestamp.as_ref();
    if status.phase == "Failed" {
        let shortage = match status.reason.strip_prefix("OutOf")? {
            "pods" => Shortage::Pods,
            _ => Shortage::Resources,
        };
        return Some(NoCapacity { shortage, since: created.map(|time| time.0) });
    }
    status.conditions.iter().filter(|condition| condition.status == "False").find_map(|condition| {
        let shortage = match condition.type_.as_str() {
            "PodScheduled" if is_at_pod_limit(&condition.message) => Shortage::Pods,
            "PodScheduled" if lacks_resources(&condition.message) => Shortage::Resources,
            "PodReadyToStartContainers" => Shortage::Addresses,
            _ => return None,
        };
        let since = condition.last_transition_time.as_ref().or(created).map(|time| time.0);
        Some(NoCapacity { shortage, since })
    })
}

/// Whether the pod's node has stopped reporting: the node lifecycle controller then marks the pod, but not its containers, as not
/// ready (`k8s.io/kubernetes/pkg/controller/util/node`, `MarkPodsNotReady`).
pub fn node_is_lost(status: &PodStatus) -> bool {
    let is = |type_: &str, value: &str| status.conditions.iter().any(|it| it.type_ == type_ && it.status == value);
    is("Ready", "False") && is("ContainersReady", "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::coverage::SlimPod;

    fn read(status: Value) -> (Option<NoCapacity>, bool) {
        let pod: SlimPod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "creationTimestamp": "2026-03-01T12:00:00Z"},
            "spec": {}, "status": status,
        }))
        .expect("a pod");
        let status = pod.status.unwrap_or_default();
        (no_capacity(&pod.metadata, &status), node_is_lost(&status))
    }

    fn condition(type_: &str, status: &str, message: &str) -> Value {
        let since = "2026-03-01T12:03:00Z";
        json!({"conditions": [{"type": type_, "status": status, "message": message, "lastTransitionTime": since}]})
    }

    #[test]
    fn the_scheduler_says_what_there_is_too_little_of_and_what_else_keeps_a_pod_waiting_is_no_lack_of_capacity() {
        let preemption = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
        for (words, expected) in [
            ("1 Too many pods, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]", Some(Shortage::Pods)),
            ("1 Insufficient cpu, 1 Insufficient memory", Some(Shortage::Resources)),
            ("1 node(s) had untolerated taint(s)", None),
            ("1 node(s) were unschedulable", None),
            ("1 node(s) didn't match Pod's node affinity/selector", None),
            ("1 node(s) didn't match pod topology spread constraints", None),
        ] {
            let message = format!("0/3 nodes are available: {words}. {preemption}");
            let found = read(condition("PodScheduled", "False", &message)).0;
            assert_eq!(found.as_ref().map(|it| it.shortage), expected, "{words}");
            let since = found.and_then(|it| it.since).map(|since| since.to_string());
            assert_eq!(since, expected.map(|_| "2026-03-01T12:03:00Z".to_owned()));
        }
    }

    #[test]
    fn the_kubelet_rejects_pods_for_lack_of_capacity_and_for_other_reasons() {
        for (reason, expected) in [
            ("OutOfpods", Some(Shortage::Pods)),
            ("OutOfcpu", Some(Shortage::Resources)),
            ("OutOfmemory", Some(Shortage::Resources)),
            ("Evicted", None),
            ("NodeAffinity", None),
        ] {
            let found = read(json!({"phase": "Failed", "reason": reason})).0;
            assert_eq!(found.map(|it| it.shortage), expected, "{reason}");
        }
    }

    #[test]
    fn a_pod_without_a_sandbox_lacks_an_address_since_its_condition_says_so() {
        let found = read(condition("PodReadyToStartContainers", "False", "")).0;
        assert_eq!(found.map(|it| it.shortage), Some(Shortage::Addresses));
        assert_eq!(read(condition("PodReadyToStartContainers", "True", "")).0, None);
    }

    #[test]
    fn a_pod_that_is_not_ready_although_its_containers_are_is_on_a_lost_node() {
        let conditions = |ready: &str, containers: &str| {
            let of = |type_: &str, status: &str| json!({"type": type_, "status": status});
            json!({"conditions": [of("Ready", ready), of("ContainersReady", containers)]})
        };
        assert!(read(conditions("False", "True")).1);
        assert!(!read(conditions("False", "False")).1, "an image may be missing");
        assert!(!read(conditions("True", "True")).1);
    }
}
