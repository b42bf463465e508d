//! Keeping pods off nodes that no holder can run on, whatever the tolerations say.

use k8s_openapi::api::core::v1::{Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};

use crate::list::config::Placement;

/// The group's own affinity with our requirements in each of its terms: Kubernetes takes a node that meets any one term,
/// so a term without them would let virtual nodes in.
pub fn on_real_linux_nodes(placement: &Placement) -> Affinity {
    let mut affinity = placement.affinity.clone().unwrap_or_default();
    let mut node = affinity.node_affinity.take().unwrap_or_default();
    node.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: terms(&node, &requirements(placement)) });
    affinity.node_affinity = Some(node);
    affinity
}

fn terms(node: &NodeAffinity, ours: &[NodeSelectorRequirement]) -> Vec<NodeSelectorTerm> {
    let Some(selector) = &node.required_during_scheduling_ignored_during_execution else {
        return vec![NodeSelectorTerm { match_expressions: Some(ours.to_vec()), match_fields: None }];
    };
    selector.node_selector_terms.iter().map(|term| with(term, ours)).collect()
}

/// An empty term selects nothing, and would select nearly everything if ours were put into it.
fn with(term: &NodeSelectorTerm, ours: &[NodeSelectorRequirement]) -> NodeSelectorTerm {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return term.clone();
    }
    NodeSelectorTerm { match_expressions: Some([expressions, ours].concat()), match_fields: term.match_fields.clone() }
}

fn requirements(placement: &Placement) -> Vec<NodeSelectorRequirement> {
    let mut requirements = vec![
        requirement("kubernetes.io/os", "In", ["linux"]),
        requirement("type", "NotIn", ["virtual-kubelet"]),
        requirement("eks.amazonaws.com/compute-type", "NotIn", ["fargate"]),
    ];
    if !placement.architectures.is_empty() {
        let names = placement.architectures.iter().map(|architecture| architecture.name());
        requirements.push(requirement("kubernetes.io/arch", "In", names));
    }
    requirements
}

fn requirement<'a>(key: &str, operator: &str, values: impl IntoIterator<Item = &'a str>) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: Some(values.into_iter().map(str::to_owned).collect()),
    }
}
