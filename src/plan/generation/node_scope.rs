//! The nodes that a generation is still on, out of those that its DaemonSet selects.
//!
//! A retiring generation that is needed on few nodes is scoped down to them by name, in its DaemonSet's node affinity.
//! A scope only ever shrinks, so requirements are only added to the existing terms.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};

use crate::naming::labels;

/// The only field of a node that `matchFields` supports.
const NAME: &str = "metadata.name";

/// The nodes that a generation is still on, out of those that its DaemonSet selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodeScope {
    /// All nodes: the generation was never scoped down.
    #[default]
    Everywhere,
    /// These nodes only.
    Only(BTreeSet<String>),
    /// All nodes but these.
    Without(BTreeSet<String>),
}

impl NodeScope {
    /// Whether the scope includes a node.
    pub fn includes(&self, node: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Only(nodes) => nodes.contains(node),
            Self::Without(nodes) => !nodes.contains(node),
        }
    }

    /// The scope without these nodes.
    pub fn without(&self, removed: &BTreeSet<String>) -> Self {
        match self {
            Self::Everywhere => Self::Without(removed.clone()),
            Self::Only(nodes) => Self::Only(nodes - removed),
            Self::Without(nodes) => Self::Without(nodes | removed),
        }
    }

    /// Formats the annotation [`labels::NODE_SCOPE`]: `only` or `without`, then the nodes. Node names cannot contain
    /// spaces.
    pub fn to_text(&self) -> Option<String> {
        let (word, nodes) = match self {
            Self::Everywhere => return None,
            Self::Only(nodes) => ("only", nodes),
            Self::Without(nodes) => ("without", nodes),
        };
        Some(std::iter::once(word).chain(nodes.iter().map(String::as_str)).collect::<Vec<_>>().join(" "))
    }

    /// Parses the annotation. An invalid value counts as none.
    pub fn from_text(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let word = words.next();
        let nodes = words.map(str::to_owned).collect();
        match word {
            Some("only") => Self::Only(nodes),
            Some("without") => Self::Without(nodes),
            _ => Self::Everywhere,
        }
    }

    /// Restricts node selector terms to this scope. `None` means no terms, which select every node. Terms are ORed, and
    /// a `matchFields` requirement takes exactly one value.
    pub fn terms(&self, own: Option<&[NodeSelectorTerm]>) -> Option<Vec<NodeSelectorTerm>> {
        let anything = [NodeSelectorTerm::default()];
        // An empty term selects nothing, but would select a node once its name is added.
        let terms = own.map_or(anything.to_vec(), |own| own.iter().filter(|term| !is_empty(term)).cloned().collect());
        let terms: Vec<NodeSelectorTerm> = match self {
            Self::Everywhere => return own.map(<[_]>::to_vec),
            Self::Without(nodes) if nodes.is_empty() => return own.map(<[_]>::to_vec),
            Self::Only(nodes) => {
                nodes.iter().flat_map(|node| terms.iter().filter_map(move |term| with(term, "In", node))).collect()
            }
            Self::Without(nodes) => {
                let without = |term| nodes.iter().try_fold(term, |term, node| with(&term, "NotIn", node));
                terms.into_iter().filter_map(without).collect()
            }
        };
        // Kubernetes requires at least one term; an empty term selects nothing.
        Some(if terms.is_empty() { anything.to_vec() } else { terms })
    }

    /// Scopes down a DaemonSet that was built without a scope.
    pub fn scope_down(&self, daemon_set: &mut DaemonSet) {
        let Some(text) = self.to_text() else { return };
        daemon_set.metadata.annotations.get_or_insert_default().insert(labels::NODE_SCOPE.to_owned(), text);
        let Some(pod) = daemon_set.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()) else { return };
        let node_affinity = pod.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
        let required = &mut node_affinity.required_during_scheduling_ignored_during_execution;
        let own = required.as_ref().map(|required| required.node_selector_terms.as_slice());
        *required = self.terms(own).map(|node_selector_terms| NodeSelector { node_selector_terms });
    }
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.as_deref().unwrap_or_default().is_empty()
        && term.match_fields.as_deref().unwrap_or_default().is_empty()
}

/// The term with an additional requirement on the node's name, or `None` if no node can meet it.
fn with(term: &NodeSelectorTerm, operator: &str, node: &str) -> Option<NodeSelectorTerm> {
    let mut fields = term.match_fields.clone().unwrap_or_default();
    let named = |operator: &str, name: &str| {
        let is_it = |it: &&NodeSelectorRequirement| it.key == NAME && it.operator == operator;
        fields.iter().filter(is_it).any(|it| it.values.iter().flatten().any(|value| value == name))
    };
    let pinned = fields.iter().any(|it| it.key == NAME && it.operator == "In");
    let opposite = if operator == "In" { "NotIn" } else { "In" };
    if named(opposite, node) || (operator == "In" && pinned && !named("In", node)) {
        return None;
    }
    // A term that already requires another node excludes this one anyway.
    if !pinned && !named(operator, node) {
        fields.push(NodeSelectorRequirement {
            key: NAME.to_owned(),
            operator: operator.to_owned(),
            values: Some(vec![node.to_owned()]),
        });
    }
    Some(NodeSelectorTerm { match_fields: Some(fields), ..term.clone() })
}
