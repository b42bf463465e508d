//! The few fields of a node that matter, and which groups belong on it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration};
use kube::core::Object;
use serde::Deserialize;

use crate::list::config::Placement;

/// A node, decoded without everything that does not matter here.
pub type SlimNode = Object<NodeSpec, NodeStatus>;

/// The part of a node's spec that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// What keeps pods away that do not tolerate it.
    pub taints: Vec<Taint>,
}

/// The part of a node's status that is needed: none of it yet.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NodeStatus {}

/// A node as the plan sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
}

impl From<&SlimNode> for Node {
    fn from(node: &SlimNode) -> Self {
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            labels: node.metadata.labels.clone().unwrap_or_default(),
            taints: node.spec.taints.clone(),
        }
    }
}

/// Taints that every DaemonSet's pods tolerate (`k8s.io/kubernetes/pkg/controller/daemon/util`).
const ALWAYS_TOLERATED: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

impl Node {
    /// Whether a group's pods belong on this node: selector, affinity, architectures and taints, and none of the nodes
    /// that are always left out.
    pub fn takes(&self, placement: &Placement) -> bool {
        self.is_real_linux()
            && self.selected_by(placement)
            && self
                .taints
                .iter()
                .all(|taint| tolerated_by_default(taint) || placement.tolerations.iter().any(|t| tolerates(t, taint)))
    }

    /// Virtual nodes have no disk to warm, and Windows runs none of our containers.
    fn is_real_linux(&self) -> bool {
        let label = |key: &str| self.labels.get(key).map(String::as_str);
        label("type") != Some("virtual-kubelet")
            && label("eks.amazonaws.com/compute-type") != Some("fargate")
            && label("kubernetes.io/os") == Some("linux")
    }

    fn selected_by(&self, placement: &Placement) -> bool {
        let architecture = self.labels.get("kubernetes.io/arch");
        let architecture_fits = placement.architectures.is_empty()
            || placement.architectures.iter().any(|wanted| architecture.is_some_and(|label| label == wanted.name()));
        let required = placement
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.node_affinity.as_ref())
            .and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
        architecture_fits
            && placement.node_selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
            && required.is_none_or(|selector| selector.node_selector_terms.iter().any(|term| self.meets(term)))
    }

    /// A term without requirements selects nothing (API documentation of `NodeSelectorTerm`).
    fn meets(&self, term: &NodeSelectorTerm) -> bool {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        let fields = term.match_fields.as_deref().unwrap_or_default();
        let by_name = |requirement: &NodeSelectorRequirement| {
            requirement.key == "metadata.name" && satisfied(requirement, Some(&self.name))
        };
        !(expressions.is_empty() && fields.is_empty())
            && expressions.iter().all(|requirement| satisfied(requirement, self.labels.get(&requirement.key)))
            && fields.iter().all(by_name)
    }
}

fn satisfied(requirement: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.contains(value));
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    let bound = || values.first().and_then(|bound| bound.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => matches!((number(), bound()), (Some(number), Some(bound)) if number > bound),
        "Lt" => matches!((number(), bound()), (Some(number), Some(bound)) if number < bound),
        _ => false,
    }
}

fn tolerated_by_default(taint: &Taint) -> bool {
    taint.effect == "PreferNoSchedule" || ALWAYS_TOLERATED.contains(&taint.key.as_str())
}

/// The rule of core/v1's `Toleration.ToleratesTaint`.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let matches_or_any =
        |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w.is_empty() || w == value);
    matches_or_any(&toleration.effect, &taint.effect)
        && matches_or_any(&toleration.key, &taint.key)
        && match toleration.operator.as_deref() {
            Some("Exists") => true,
            _ => toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default(),
        }
}
