//! The node pool of a node.

use crate::coverage::Node;

/// The labels in which clouds and autoscalers name the node pool. The first that a node has counts.
const POOL_LABELS: [&str; 12] = [
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "alibabacloud.com/nodepool-id",
    "karpenter.sh/nodepool",
    "hypershift.openshift.io/nodePool",
    "doks.digitalocean.com/node-pool",
    "ibm-cloud.kubernetes.io/worker-pool-name",
    "k8s.scaleway.com/pool-name",
    "lke.linode.com/pool-id",
    "worker.gardener.cloud/pool",
    "node.kubernetes.io/instance-type",
];

/// The name of the node pool; empty if no label says it.
pub fn pool_of(node: &Node) -> &str {
    POOL_LABELS.iter().find_map(|label| node.labels.get(label)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled<const N: usize>(labels: [(&str, &str); N]) -> Node {
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Node { labels, ..Node::default() }
    }

    #[test]
    fn a_pool_comes_before_the_type_of_the_machine() {
        let both = [("node.kubernetes.io/instance-type", "m7i.large"), ("eks.amazonaws.com/nodegroup", "gpu")];
        assert_eq!(pool_of(&labelled(both)), "gpu");
        assert_eq!(pool_of(&labelled([("node.kubernetes.io/instance-type", "m7i.large")])), "m7i.large");
        assert_eq!(pool_of(&labelled([("kubernetes.io/arch", "amd64")])), "");
    }
}
