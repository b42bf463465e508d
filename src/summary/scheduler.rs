//! The scheduler's messages.

/// The part of the scheduler's message about the one node that a DaemonSet's pod can run on. The message is like `0/5 nodes are
/// available: 1 Too many pods, 4 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: …` (`FitError` in
/// `k8s.io/kubernetes/pkg/scheduler/framework`); the pod's own affinity excludes all other nodes.
pub fn scheduler_cause(message: &str) -> &str {
    let causes = message.split_once("nodes are available: ").map_or(message, |(_, causes)| causes);
    let causes = causes.split(". ").next().unwrap_or(causes).trim_end_matches('.');
    let of_other_nodes = |cause: &&str| cause.contains("NodeAffinity") || cause.contains("node affinity");
    let cause = causes.split(", ").find(|cause| !of_other_nodes(cause)).unwrap_or(causes);
    cause.split_once(' ').filter(|(count, _)| count.parse::<u32>().is_ok()).map_or(cause, |(_, cause)| cause)
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
            ("running PreBind plugin", "running PreBind plugin"),
            ("", ""),
        ] {
            assert_eq!(scheduler_cause(said), expected, "{said}");
        }
    }
}
