//! The nodes that pods are kept off, whatever a list says: those that keep no images for other pods.

/// A requirement that kube-prepull adds to every placement.
#[derive(Debug)]
pub struct NodeRule {
    /// The label.
    pub key: &'static str,
    /// `In` or `NotIn`.
    pub operator: &'static str,
    /// The only value.
    pub value: &'static str,
    /// Why it is required.
    pub why: &'static str,
    /// What to do about a list that excludes it.
    pub remedy: &'static str,
}

/// The rules, in the order in which pods have them.
pub const NODE_RULES: [NodeRule; 3] = [
    NodeRule {
        key: "kubernetes.io/os",
        operator: "In",
        value: "linux",
        why: "kube-prepull runs on Linux nodes only",
        remedy: "select Linux nodes",
    },
    NodeRule {
        key: "type",
        operator: "NotIn",
        value: "virtual-kubelet",
        why: "virtual nodes keep no images",
        remedy: "select real nodes; images for virtual nodes belong in an ImageCache",
    },
    NodeRule {
        key: "eks.amazonaws.com/compute-type",
        operator: "NotIn",
        value: "fargate",
        why: "Fargate nodes keep no images",
        remedy: "select other nodes",
    },
];
