//! The scheduler's messages.
//!
//! A message is like `0/5 nodes are available: 1 Too many pods, 4 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: …`
//! (`FitError` in `k8s.io/kubernetes/pkg/scheduler/framework`). A DaemonSet's pod names its node, so all but the words about
//! that one node say nothing.

/// The scheduler's words for a node that a pod's node selector or affinity excludes (`ErrReasonPod` in
/// `k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity`).
const OF_AFFINITY: &str = "didn't match Pod's node affinity";

/// The causes that keep a DaemonSet's pod off its node, without the number of nodes.
fn causes(message: &str) -> impl Iterator<Item = &str> {
    let causes = message.split_once("nodes are available: ").map_or(message, |(_, causes)| causes);
    let causes = causes.split(". ").next().unwrap_or(causes).trim_end_matches('.');
    // Nodes that the scheduler leaves out before it looks at them.
    let of_other_nodes = |cause: &str| cause.contains("didn't satisfy plugin");
    // Older schedulers look at every node, and say this of all others.
    let has_another =
        causes.split(", ").any(|cause| !of_other_nodes(cause) && !cause.contains(OF_AFFINITY) && !cause.is_empty());
    let is_other = move |cause: &str| of_other_nodes(cause) || (has_another && cause.contains(OF_AFFINITY));
    causes.split(", ").filter(move |cause| !is_other(cause)).map(without_count)
}

fn without_count(cause: &str) -> &str {
    cause.split_once(' ').filter(|(count, _)| count.parse::<u32>().is_ok()).map_or(cause, |(_, cause)| cause)
}

/// The first cause that keeps a DaemonSet's pod off its node.
pub fn scheduler_cause(message: &str) -> &str {
    causes(message).next().unwrap_or(message)
}

/// Whether the node has too little of something for the pod (`k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources/fit.go`).
pub fn is_at_pod_limit(message: &str) -> bool {
    causes(message).any(|cause| cause.contains("Too many pods"))
}

/// The same for CPU, memory and other resources.
pub fn lacks_resources(message: &str) -> bool {
    causes(message).any(|cause| cause.contains("Insufficient "))
}

/// Whether the node has a taint that the pod does not tolerate (`plugins/tainttoleration`).
pub fn is_tainted(message: &str) -> bool {
    let cause = scheduler_cause(message);
    cause.contains("untolerated taint") || cause.contains("taints that the pod didn't tolerate")
}

/// Whether the pod's node selector or affinity excludes the node for which the DaemonSet controller created it.
pub fn is_excluded(message: &str) -> bool {
    scheduler_cause(message).contains(OF_AFFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedulers_words_about_other_nodes_are_left_out() {
        for (said, expected) in [
            (
                "0/5 nodes are available: 1 Too many pods, 4 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/5 nodes are available: …",
                "Too many pods",
            ),
            ("0/2 nodes are available: 1 Insufficient cpu. no new claims to deallocate", "Insufficient cpu"),
            (
                "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint {gpu: }.",
                "node(s) had untolerated taint {gpu: }",
            ),
            (
                "0/5 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 4 node(s) didn't satisfy plugin(s) [NodeAffinity]. \
                 preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.",
                "node(s) didn't match Pod's node affinity/selector",
            ),
            (
                "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
                "node(s) didn't match pod topology spread constraints",
            ),
            ("running PreBind plugin", "running PreBind plugin"),
            ("", ""),
        ] {
            assert_eq!(scheduler_cause(said), expected, "{said}");
        }
    }

    #[test]
    fn only_what_the_scheduler_says_of_the_node_itself_is_its_lack_of_capacity() {
        let said = |of_node: &str, preemption: &str| {
            let others = "4 node(s) didn't satisfy plugin(s) [NodeAffinity]";
            format!("0/5 nodes are available: {of_node}, {others}. preemption: 0/5 nodes are available: {preemption}.")
        };
        let excluded =
            said("1 node(s) didn't match Pod's node affinity/selector", "1 Insufficient cpu, 1 Too many pods");
        assert!(is_excluded(&excluded) && !lacks_resources(&excluded) && !is_at_pod_limit(&excluded), "{excluded}");
        let full = said("1 Insufficient cpu, 1 Too many pods", "1 No preemption victims found for incoming pod");
        assert!(!is_excluded(&full) && lacks_resources(&full) && is_at_pod_limit(&full), "{full}");
        let tainted = said("1 node(s) had untolerated taint(s)", "5 Preemption is not helpful for scheduling");
        assert!(is_tainted(&tainted) && !is_excluded(&tainted) && !lacks_resources(&tainted), "{tainted}");
    }
}
