//! The node affinity that keeps pods off nodes that cannot run a holder, whatever they tolerate.

use k8s_openapi::api::core::v1::{Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};

use crate::list::config::Placement;
use crate::list::real_nodes::NODE_RULES;

/// The group's own affinity, with kube-prepull's requirements added to each of its terms. A node only has to match one
/// term, so a term without them would allow virtual nodes.
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

/// An empty term selects nothing, but would select nearly everything once requirements are added.
fn with(term: &NodeSelectorTerm, ours: &[NodeSelectorRequirement]) -> NodeSelectorTerm {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return term.clone();
    }
    NodeSelectorTerm { match_expressions: Some([expressions, ours].concat()), match_fields: term.match_fields.clone() }
}

fn requirements(placement: &Placement) -> Vec<NodeSelectorRequirement> {
    let rules = NODE_RULES.iter().map(|rule| requirement(rule.key, rule.operator, [rule.value]));
    let mut requirements: Vec<_> = rules.collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Node;
    use crate::list::satisfiable;

    fn placement(affinity: serde_json::Value) -> Placement {
        let affinity = serde_json::from_value(affinity).expect("an affinity");
        Placement { affinity: Some(affinity), ..Placement::default() }
    }

    fn required(terms: serde_json::Value) -> Placement {
        placement(serde_json::json!({
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}},
        }))
    }

    /// Whether the affinity alone lets a pod onto the node.
    fn lets_onto(affinity: Affinity, node: &Node) -> bool {
        let required = affinity.node_affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution);
        required.is_none_or(|selector| selector.node_selector_terms.iter().any(|term| node.meets(term)))
    }

    fn node(name: &str, labels: &[(&str, &str)]) -> Node {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Node { name: name.to_owned(), labels: labels.collect(), ..Node::default() }
    }

    #[test]
    fn every_term_gets_the_requirements() {
        let placement = required(serde_json::json!([
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
        ]));
        let onto = |node: Node| lets_onto(on_real_linux_nodes(&placement), &node);
        assert!(onto(node("m", &[("kubernetes.io/os", "linux"), ("zone", "a")])));
        assert!(onto(node("n", &[("kubernetes.io/os", "linux")])));
        assert!(!onto(node("m", &[("kubernetes.io/os", "linux"), ("zone", "b")])));
        for kept_out in [("type", "virtual-kubelet"), ("eks.amazonaws.com/compute-type", "fargate")] {
            assert!(!onto(node("n", &[("kubernetes.io/os", "linux"), kept_out])), "{kept_out:?} by name");
            assert!(
                !onto(node("m", &[("kubernetes.io/os", "linux"), ("zone", "a"), kept_out])),
                "{kept_out:?} by zone"
            );
        }
        assert!(!onto(node("n", &[("kubernetes.io/os", "windows")])));
    }

    /// Requirements of one label, in all combinations of up to three, and nodes with all of its values that could matter.
    #[test]
    fn a_term_is_said_to_match_no_node_exactly_if_none_of_all_nodes_matches() {
        let tests = [
            ("In", vec!["1"]),
            ("In", vec!["1", "2"]),
            ("In", vec!["2", "a"]),
            ("NotIn", vec!["1"]),
            ("NotIn", vec!["2", "a"]),
            ("Exists", vec![]),
            ("DoesNotExist", vec![]),
            ("Gt", vec!["1"]),
            ("Gt", vec!["-4"]),
            ("Lt", vec!["2"]),
            ("Lt", vec!["0"]),
        ];
        let labels = ["0", "1", "2", "01", "3", "a", "b"].map(|value| vec![("k", value)]);
        let nodes: Vec<Node> = labels
            .into_iter()
            .chain([vec![]])
            .map(|labels| {
                node("n", &[&labels[..], &[("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")]].concat())
            })
            .collect();
        let expression = |(operator, values): &(&str, Vec<&str>)| serde_json::json!({"key": "k", "operator": operator, "values": values});
        for one in &tests {
            for two in &tests {
                for three in &tests {
                    let expressions: Vec<_> = [one, two, three].map(expression).into();
                    let placement = required(serde_json::json!([{"matchExpressions": expressions}]));
                    let any = nodes.iter().any(|node| lets_onto(on_real_linux_nodes(&placement), node));
                    let none = !satisfiable::contradictions(&placement).is_empty();
                    assert_eq!(any, !none, "{expressions:?}");
                }
            }
        }
    }

    #[test]
    fn an_empty_term_still_selects_nothing() {
        let empty = required(serde_json::json!([{}]));
        assert!(!lets_onto(on_real_linux_nodes(&empty), &node("n", &[("kubernetes.io/os", "linux")])));
        let emptied = required(serde_json::json!([{"matchExpressions": [], "matchFields": []}]));
        assert!(!lets_onto(on_real_linux_nodes(&emptied), &node("n", &[("kubernetes.io/os", "linux")])));
    }

    #[test]
    fn the_rest_of_the_users_affinity_is_kept() {
        let preferred = serde_json::json!([{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]);
        let anti = serde_json::json!({"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]});
        let placement = placement(serde_json::json!({
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred},
            "podAntiAffinity": anti,
        }));
        let found = serde_json::to_value(on_real_linux_nodes(&placement)).expect("JSON");
        assert_eq!(found["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"], preferred);
        assert_eq!(found["podAntiAffinity"], anti);
        let terms = &found["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        assert_eq!(terms.as_array().map(Vec::len), Some(1));
    }
}
