//! Affinity, checked by the API's own rules (`validateAffinity` in `k8s.io/kubernetes/pkg/apis/core/validation`), so that a
//! bad one is reported when the list is edited, and not by a failing DaemonSet.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::group::namespace_name;
use super::labels::{KEY_FORM, VALUE_FORM, check_label, label_value, qualified_name};
use super::names::ResourceName;
use super::problem::{Code, quoted};
use super::reader::{At, Place, Problems};
use super::tree::Value;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The operators of a label selector.
const LABEL_OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
/// The operators of a node selector.
const NODE_OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

/// Parses an affinity; `None` if it is empty.
pub fn affinity(at: &At, problems: &mut Problems) -> Option<Affinity> {
    let affinity: Affinity = at.typed(problems)?;
    if let Some(node) = &affinity.node_affinity {
        check_node_affinity(&at.child("nodeAffinity"), node, problems);
    }
    if let Some(pod) = &affinity.pod_affinity {
        let required = pod.required_during_scheduling_ignored_during_execution.as_deref();
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.as_deref();
        check_pod_affinity(&at.child("podAffinity"), required, preferred, problems);
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        let required = pod.required_during_scheduling_ignored_during_execution.as_deref();
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.as_deref();
        check_pod_affinity(&at.child("podAntiAffinity"), required, preferred, problems);
    }
    (affinity != Affinity::default()).then_some(affinity)
}

/// The place of a term of the required node affinity, by its index.
pub fn place_of_term(at: &At, index: usize) -> Place {
    at.child("nodeAffinity").child(REQUIRED).child("nodeSelectorTerms").item(index).place()
}

/// The path of a term of the required node affinity inside an affinity.
pub fn path_of_term(index: usize) -> String {
    format!("nodeAffinity.{REQUIRED}.nodeSelectorTerms[{index}]")
}

fn check_node_affinity(at: &At, affinity: &NodeAffinity, problems: &mut Problems) {
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        let terms = at.child(REQUIRED).child("nodeSelectorTerms");
        if required.node_selector_terms.is_empty() {
            problems.error(
                terms.place(),
                Code::InvalidValue,
                "the list of terms is empty",
                "add one, or remove the affinity",
            );
        }
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            let at = terms.item(index);
            check_node_term(&at, term, problems);
            if is_empty(term) {
                problems.warning(
                    at.place(),
                    Code::SelectsNothing,
                    "an empty term selects no node",
                    "remove it, or say which nodes it selects",
                );
            }
        }
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, preference) in preferred.enumerate() {
        let at = at.child(PREFERRED).item(index);
        check_weight(&at, preference.weight, problems);
        check_node_term(&at.child("preference"), &preference.preference, problems);
    }
}

fn is_empty(term: &NodeSelectorTerm) -> bool {
    term.match_expressions.iter().flatten().next().is_none() && term.match_fields.iter().flatten().next().is_none()
}

fn check_weight(at: &At, weight: i32, problems: &mut Problems) {
    if !(1..=100).contains(&weight) {
        problems.error(
            at.child("weight").place(),
            Code::OutOfRange,
            format!("{weight} is not a valid weight"),
            "write a number from 1 to 100",
        );
    }
}

fn check_node_term(at: &At, term: &NodeSelectorTerm, problems: &mut Problems) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let at = at.child("matchExpressions").item(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        check_requirement(&at, &requirement.key, &requirement.operator, values, &NODE_OPERATORS, problems);
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        check_field(&at.child("matchFields").item(index), requirement, problems);
    }
}

/// Checks a term's fields. Kubernetes accepts only the node's name.
fn check_field(at: &At, requirement: &NodeSelectorRequirement, problems: &mut Problems) {
    let known = requirement.key == "metadata.name" && ["In", "NotIn"].contains(&requirement.operator.as_str());
    match requirement.values.as_deref() {
        Some([name]) if known => {
            if let Err(why) = ResourceName::parse_subdomain(name) {
                problems.error(
                    at.child("values").place(),
                    Code::InvalidName,
                    format!("{} cannot be the name of a node: it {why}", quoted(name)),
                    "write the name as `kubectl get nodes` shows it",
                );
            }
        }
        _ => problems.error(
            at.place(),
            Code::InvalidValue,
            "matchFields supports only metadata.name with In or NotIn and exactly one value",
            "select nodes by labels, or by exactly one name",
        ),
    }
}

fn check_requirement(
    at: &At,
    key: &str,
    operator: &str,
    values: &[String],
    operators: &[&str],
    problems: &mut Problems,
) {
    check_key(&at.child("key"), key, problems);
    let number = || matches!(values, [value] if value.parse::<i64>().is_ok());
    let wrong = match operator {
        _ if !operators.contains(&operator) => {
            let remedy = format!("write one of {}", operators.join(", "));
            problems.error(
                at.child("operator").place(),
                Code::InvalidValue,
                format!("unknown operator {}", quoted(operator)),
                remedy,
            );
            return;
        }
        "In" | "NotIn" if values.is_empty() => Some(("needs values", "list at least one value")),
        "Exists" | "DoesNotExist" if !values.is_empty() => Some(("takes no values", "remove the values")),
        "Gt" | "Lt" if !number() => Some(("takes one whole number", "write values: [\"…\"] with one number in it")),
        _ => None,
    };
    if let Some((message, remedy)) = wrong {
        let place = at.child("values").place();
        problems.error(place, Code::InvalidValue, format!("the operator {operator} {message}"), remedy);
        return;
    }
    for (index, value) in values.iter().enumerate().filter(|_| operator.ends_with("In")) {
        if let Err(why) = label_value(value) {
            problems.error(
                at.child("values").item(index).place(),
                Code::InvalidValue,
                format!("{} is not a label's value: it {why}", quoted(value)),
                VALUE_FORM,
            );
        }
    }
}

fn check_key(at: &At, key: &str, problems: &mut Problems) {
    if let Err(why) = qualified_name(key) {
        problems.error(
            at.place(),
            Code::InvalidName,
            format!("{} is not a label's key: it {why}", quoted(key)),
            KEY_FORM,
        );
    }
}

fn check_pod_affinity(
    at: &At,
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    problems: &mut Problems,
) {
    for (index, term) in required.unwrap_or_default().iter().enumerate() {
        check_pod_term(&at.child(REQUIRED).item(index), term, problems);
    }
    for (index, weighted) in preferred.unwrap_or_default().iter().enumerate() {
        let at = at.child(PREFERRED).item(index);
        check_weight(&at, weighted.weight, problems);
        check_pod_term(&at.child("podAffinityTerm"), &weighted.pod_affinity_term, problems);
    }
}

fn check_pod_term(at: &At, term: &PodAffinityTerm, problems: &mut Problems) {
    if let Err(why) = qualified_name(&term.topology_key) {
        problems.error(
            at.child("topologyKey").place(),
            Code::InvalidValue,
            format!("{} is not a topologyKey: it {why}", quoted(&term.topology_key)),
            "name a node label, such as kubernetes.io/hostname",
        );
    }
    for (index, namespace) in term.namespaces.iter().flatten().enumerate() {
        namespace_name(&at.child("namespaces").item(index).place(), namespace, problems);
    }
    for (name, selector) in [("labelSelector", &term.label_selector), ("namespaceSelector", &term.namespace_selector)] {
        if let Some(selector) = selector {
            check_selector(&at.child(name), selector, problems);
        }
    }
    check_label_keys(at, term, problems);
}

/// Checks a selector by labels.
pub fn check_selector(at: &At, selector: &LabelSelector, problems: &mut Problems) {
    for (key, value) in at.child("matchLabels").children() {
        if let Value::Text(text) = &value.node().value {
            check_label(key, text, &value.place(), problems);
        }
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let at = at.child("matchExpressions").item(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        check_requirement(&at, &requirement.key, &requirement.operator, values, &LABEL_OPERATORS, problems);
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys` extend a label selector. They must not share keys, and the former must not have
/// keys of the selector.
fn check_label_keys(at: &At, term: &PodAffinityTerm, problems: &mut Problems) {
    let matched = term.match_label_keys.as_deref().unwrap_or_default();
    let mismatched = term.mismatch_label_keys.as_deref().unwrap_or_default();
    for (name, keys) in [("matchLabelKeys", matched), ("mismatchLabelKeys", mismatched)] {
        if term.label_selector.is_none() && !keys.is_empty() {
            problems.error(
                at.child(name).place(),
                Code::InvalidValue,
                "it has no effect without a labelSelector",
                "add a labelSelector, or remove it",
            );
        }
        for (index, key) in keys.iter().enumerate() {
            check_key(&at.child(name).item(index), key, problems);
        }
    }
    let selector = term.label_selector.as_ref();
    let labels = selector.and_then(|selector| selector.match_labels.as_ref()).into_iter().flat_map(|map| map.keys());
    let expressions = selector.and_then(|selector| selector.match_expressions.as_ref()).into_iter().flatten();
    let taken: BTreeSet<&String> =
        labels.chain(expressions.map(|expression| &expression.key)).chain(mismatched).collect();
    for (index, key) in matched.iter().enumerate().filter(|(_, key)| taken.contains(key)) {
        problems.error(
            at.child("matchLabelKeys").item(index).place(),
            Code::Conflict,
            format!("{} is also in the labelSelector or in mismatchLabelKeys", quoted(key)),
            "keep it in one place",
        );
    }
}
