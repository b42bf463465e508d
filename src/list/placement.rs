//! Selectors, tolerations and affinity, checked by the API's own rules (the validation of core/v1 in
//! `k8s.io/kubernetes/pkg/apis/core/validation`), so that a bad one is told at the edit and not by a failing DaemonSet.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Toleration,
};

use super::config::Architecture;
use super::problem::Code;
use super::reader::{At, Place, Problems};
use super::suggest;

/// The labels that a node must have.
pub fn node_selector(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    labels(at, problems)
}

/// A mapping of labels.
pub fn labels(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    let map = at.text_map(problems);
    for (key, value) in &map {
        let place = at.inside(key);
        if let Err(why) = qualified_name(key) {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{key:?} is not a label's key: it {why}"),
                KEY_FORM,
            );
        }
        if let Err(why) = label_value(value) {
            problems.error(
                place,
                Code::InvalidValue,
                format!("{value:?} is not a label's value: it {why}"),
                VALUE_FORM,
            );
        }
    }
    map
}

/// A mapping of annotations.
pub fn annotations(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    let map = at.text_map(problems);
    for key in map.keys() {
        if let Err(why) = qualified_name(&key.to_lowercase()) {
            problems.error(
                at.inside(key),
                Code::InvalidName,
                format!("{key:?} is not an annotation's key: it {why}"),
                KEY_FORM,
            );
        }
    }
    map
}

/// A sequence of tolerations.
pub fn tolerations(at: &At, problems: &mut Problems) -> Vec<Toleration> {
    let mut tolerations = Vec::new();
    for item in at.items(problems) {
        if let Some(toleration) = item.typed::<Toleration>(problems) {
            check_toleration(&item, &toleration, problems);
            tolerations.push(toleration);
        }
    }
    tolerations
}

fn check_toleration(at: &At, toleration: &Toleration, problems: &mut Problems) {
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let mut bad = |field: &str, message: String, remedy: &str| {
        problems.error(at.inside(field), Code::InvalidValue, message, remedy);
    };
    if !key.is_empty()
        && let Err(why) = qualified_name(key)
    {
        bad("key", format!("{key:?} is not a taint's key: it {why}"), KEY_FORM);
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" if !value.is_empty() => {
            bad("value", "Exists takes no value".to_owned(), "remove the value, or use the operator Equal")
        }
        "Exists" => {}
        "Equal" | "" => {
            if key.is_empty() {
                bad(
                    "operator",
                    "without a key the operator must be Exists".to_owned(),
                    "name the key, or write operator: Exists to tolerate every taint",
                );
            } else if let Err(why) = label_value(value) {
                bad("value", format!("{value:?} is not a taint's value: it {why}"), VALUE_FORM);
            }
        }
        other => bad("operator", format!("there is no operator {other:?}"), "write Exists or Equal"),
    }
    if !["", "NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        bad(
            "effect",
            format!("there is no effect {effect:?}"),
            "write NoSchedule, PreferNoSchedule or NoExecute, or leave it out for all",
        );
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        bad("tolerationSeconds", "it needs the effect NoExecute".to_owned(), "remove it, or write effect: NoExecute");
    }
}

/// An affinity.
pub fn affinity(at: &At, problems: &mut Problems) -> Option<Affinity> {
    let affinity: Affinity = at.typed(problems)?;
    if let Some(node) = &affinity.node_affinity {
        check_node_affinity(at, node, problems);
    }
    let pod = affinity.pod_affinity.iter().flat_map(|pod| {
        let required = pod.required_during_scheduling_ignored_during_execution.iter().flatten();
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        required.chain(preferred.map(|weighted| &weighted.pod_affinity_term))
    });
    let anti = affinity.pod_anti_affinity.iter().flat_map(|pod| {
        let required = pod.required_during_scheduling_ignored_during_execution.iter().flatten();
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        required.chain(preferred.map(|weighted| &weighted.pod_affinity_term))
    });
    pod.chain(anti).for_each(|term| check_pod_term(at, term, problems));
    (affinity != Affinity::default()).then_some(affinity)
}

fn check_pod_term(at: &At, term: &PodAffinityTerm, problems: &mut Problems) {
    if qualified_name(&term.topology_key).is_err() {
        problems.error(
            at.place(),
            Code::InvalidValue,
            format!("{:?} is not a topologyKey", term.topology_key),
            "name a node label, such as kubernetes.io/hostname",
        );
    }
}

fn check_node_affinity(at: &At, affinity: &NodeAffinity, problems: &mut Problems) {
    let base = "nodeAffinity";
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        let path = format!("{base}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        if required.node_selector_terms.is_empty() {
            problems.error(at.inside(&path), Code::InvalidValue, "there is no term", "add one, or remove the affinity");
        }
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            check_term(at, &format!("{path}[{index}]"), term, problems);
        }
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, preference) in preferred.enumerate() {
        let path = format!("{base}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
        if !(1..=100).contains(&preference.weight) {
            problems.error(
                at.inside(&format!("{path}.weight")),
                Code::OutOfRange,
                format!("{} is no weight", preference.weight),
                "write a number from 1 to 100",
            );
        }
        check_term(at, &format!("{path}.preference"), &preference.preference, problems);
    }
}

fn check_term(at: &At, path: &str, term: &NodeSelectorTerm, problems: &mut Problems) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let place = format!("{path}.matchExpressions[{index}]");
        if let Err(why) = qualified_name(&requirement.key) {
            problems.error(
                at.inside(&format!("{place}.key")),
                Code::InvalidName,
                format!("{:?} is not a label's key: it {why}", requirement.key),
                KEY_FORM,
            );
        }
        check_operator(at, &place, requirement, problems);
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        let place = format!("{path}.matchFields[{index}]");
        let one_value = requirement.values.as_ref().is_some_and(|values| values.len() == 1);
        if requirement.key != "metadata.name" || !["In", "NotIn"].contains(&requirement.operator.as_str()) || !one_value
        {
            problems.error(
                at.inside(&place),
                Code::InvalidValue,
                "a field can only be metadata.name, In or NotIn, with one value",
                "select nodes by labels, or by exactly one name",
            );
        }
    }
}

fn check_operator(at: &At, path: &str, requirement: &NodeSelectorRequirement, problems: &mut Problems) {
    let values = requirement.values.as_deref().unwrap_or_default();
    let problem = match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => Some(("needs values", "list at least one value")),
        "Exists" | "DoesNotExist" if !values.is_empty() => Some(("takes no values", "remove the values")),
        "Gt" | "Lt" if values.len() != 1 || values[0].parse::<i64>().is_err() => {
            Some(("takes one whole number", "write values: [\"…\"] with one number in it"))
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => None,
        _ => Some(("is no operator", "write In, NotIn, Exists, DoesNotExist, Gt or Lt")),
    };
    if let Some((message, remedy)) = problem {
        problems.error(
            at.inside(&format!("{path}.operator")),
            Code::InvalidValue,
            format!("{:?} {message}", requirement.operator),
            remedy,
        );
    }
}

/// A sequence of architectures.
pub fn architectures(at: &At, problems: &mut Problems) -> BTreeSet<Architecture> {
    let mut found = BTreeSet::new();
    for item in at.items(problems) {
        if let Some(text) = item.text(problems) {
            found.extend(architecture(item.place(), text, problems));
        }
    }
    found
}

/// One architecture by its name.
pub fn architecture(place: Place, name: &str, problems: &mut Problems) -> Option<Architecture> {
    let known = Architecture::ALL.map(|(name, _)| name);
    let found = Architecture::ALL.iter().find(|(known, _)| *known == name);
    if found.is_none() {
        problems.error(
            place,
            Code::InvalidValue,
            format!("there is no architecture {name:?}"),
            suggest::remedy(name, &known),
        );
    }
    found.map(|(_, architecture)| *architecture)
}

const KEY_FORM: &str = "write [prefix/]name with letters, digits, '-', '_' and '.', at most 63 characters in the name";
const VALUE_FORM: &str =
    "use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";

/// Labels' and annotations' keys: an optional DNS subdomain and `/`, then a name.
fn qualified_name(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            super::names::ResourceName::parse_subdomain(prefix).map_err(|why| format!("has a prefix that {why}"))?;
            name
        }
    };
    if name.is_empty() {
        return Err("has no name".to_owned());
    }
    label_value(name)
}

fn label_value(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    if value.len() > super::names::MAX_LABEL {
        return Err(format!("has more than {} characters", super::names::MAX_LABEL));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(bad) = value.chars().find(|c| !allowed(*c)) {
        return Err(format!("holds {bad:?}"));
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !edge(value.chars().next()) || !edge(value.chars().last()) {
        return Err("must begin and end with a letter or a digit".to_owned());
    }
    Ok(())
}
