//! Whether any node at all can match a placement. The labels that it requires are enough to say so, without a cluster.
//!
//! The semantics are those of `k8s.io/component-helpers/scheduling/corev1/nodeaffinity` and of `Requirement.Matches` in
//! `k8s.io/apimachinery/pkg/labels`.

mod requirement;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use super::config::Placement;
use super::problem::{Code, quoted};
use super::reader::{Place, Problems};
use super::real_nodes::NODE_RULES;
use requirement::{LabelRequirement, RequiredBy, Test, excluding};

/// How many requirements of one label are named.
const NAMED: usize = 4;

/// Go's names of architectures that Linux runs on. A kubelet labels its node with one of them (`updateDefaultLabels` in
/// `k8s.io/kubernetes/pkg/kubelet`).
const GO_ARCHITECTURES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "sparc64",
];
const OS: &str = "kubernetes.io/os";
const ARCHITECTURE: &str = "kubernetes.io/arch";
/// The field of a node that terms may select by.
const NAME_FIELD: &str = "metadata.name";

/// Requirements that exclude each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The part of the placement that cannot be met.
    pub part: PlacementPart,
    /// Which requirements exclude each other.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
    /// Whether it is that nodes of another OS than Linux are selected.
    pub of_os: bool,
}

/// A part of a placement.
#[derive(Debug, PartialEq, Eq)]
pub enum PlacementPart {
    /// A label of the node selector.
    NodeSelector(String),
    /// A term of the required node affinity, by its index.
    Term(usize),
}

/// Warns of each part of a placement that no node can match. `os_is_right`: nodes of another OS than Linux are meant.
pub fn check(
    placement: &Placement,
    os_is_right: bool,
    place: impl Fn(&PlacementPart) -> Place,
    problems: &mut Problems,
) {
    let found = contradictions(placement).into_iter().filter(|it| !(os_is_right && it.of_os));
    for Contradiction { part, message, remedy, .. } in found {
        problems.warning(place(&part), Code::SelectsNothing, message, remedy);
    }
}

/// Finds the parts of a placement that no node can match. A node has to match the node selector, all of kube-prepull's own
/// requirements, and one of the terms.
pub fn contradictions(placement: &Placement) -> Vec<Contradiction> {
    let base = base(placement);
    let of_label = |key: &str| base.get(canonical(key)).map_or(&[][..], Vec::as_slice);
    // Two names of one label contradict each other once.
    let mut seen = BTreeSet::new();
    let labels = placement.node_selector.keys().filter(|key| seen.insert(canonical(key)));
    let in_selector = labels.filter_map(|key| {
        let excluded = excluding(&of_label(key).iter().collect::<Vec<_>>())?;
        let by_selector = excluded.iter().find(|it| it.origin == RequiredBy::NodeSelector);
        let key = by_selector.map_or(key.as_str(), |it| it.key);
        let part = PlacementPart::NodeSelector(key.to_owned());
        let message = in_words("no node can match", key, &excluded);
        Some(Contradiction { part, message, remedy: remedy(&excluded), of_os: is_of_os(key, &excluded) })
    });
    let in_selector: Vec<_> = in_selector.collect();
    if !in_selector.is_empty() {
        return in_selector;
    }
    let required = placement.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = required.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.map_or(&[][..], |selector| &selector.node_selector_terms);
    let what = if terms.len() == 1 { "no node can match" } else { "no node can match this term" };
    let of_terms =
        terms.iter().enumerate().filter_map(|(index, term)| in_term(term, PlacementPart::Term(index), what, of_label));
    of_terms.collect()
}

/// The first label of a term, or the name, whose requirements exclude each other or those outside the term.
fn in_term<'b>(
    term: &NodeSelectorTerm,
    part: PlacementPart,
    what: &str,
    of_label: impl Fn(&str) -> &'b [LabelRequirement<'b>],
) -> Option<Contradiction> {
    let expressions = term.match_expressions.iter().flatten().filter_map(LabelRequirement::of_term);
    let fields = term.match_fields.iter().flatten().filter(|field| is_well_formed(field));
    let fields = fields.filter_map(LabelRequirement::of_term);
    let mut own: BTreeMap<(bool, &str), Vec<LabelRequirement>> = BTreeMap::new();
    for (is_field, requirement) in expressions.map(|it| (false, it)).chain(fields.map(|it| (true, it))) {
        own.entry((is_field, canonical(requirement.key))).or_default().push(requirement);
    }
    let (message, remedy, of_os) = own.iter().find_map(|((is_field, key), requirements)| {
        let outside = if *is_field { &[][..] } else { of_label(key) };
        let excluded = excluding(&requirements.iter().chain(outside).collect::<Vec<_>>())?;
        let written = requirements.first().map_or(*key, |requirement| requirement.key);
        Some((in_words(what, written, &excluded), remedy(&excluded), is_of_os(key, &excluded)))
    })?;
    Some(Contradiction { part, message, remedy, of_os })
}

fn is_of_os(key: &str, excluded: &[&LabelRequirement]) -> bool {
    canonical(key) == OS && excluded.iter().any(|it| matches!(it.origin, RequiredBy::Program { .. }))
}

/// Terms may select by the name only, with one value.
fn is_well_formed(field: &NodeSelectorRequirement) -> bool {
    field.key == NAME_FIELD && field.values.as_ref().is_some_and(|values| values.len() == 1)
}

/// The requirements outside of terms, by label.
fn base(placement: &Placement) -> BTreeMap<&str, Vec<LabelRequirement<'_>>> {
    let selected = placement.node_selector.iter().map(|(key, value)| LabelRequirement {
        key,
        test: Test::In(vec![value]),
        origin: RequiredBy::NodeSelector,
    });
    let rules = NODE_RULES.iter().map(|rule| LabelRequirement {
        key: rule.key,
        test: if rule.operator == "In" { Test::In(vec![rule.value]) } else { Test::NotIn(vec![rule.value]) },
        origin: RequiredBy::Program { why: rule.why, remedy: rule.remedy },
    });
    let names = placement.architectures.iter().map(|architecture| architecture.name()).collect::<Vec<_>>();
    let architectures = (!names.is_empty()).then_some(LabelRequirement {
        key: ARCHITECTURE,
        test: Test::In(names),
        origin: RequiredBy::Architectures,
    });
    let existing = LabelRequirement {
        key: ARCHITECTURE,
        test: Test::In(GO_ARCHITECTURES.to_vec()),
        origin: RequiredBy::Program {
            why: "kubelets write Go's names of architectures",
            remedy: "write the name that `kubectl get nodes -L kubernetes.io/arch` shows, such as amd64",
        },
    };
    let mut by_label: BTreeMap<&str, Vec<LabelRequirement>> = BTreeMap::new();
    for requirement in selected.chain(rules).chain(architectures).chain([existing]) {
        by_label.entry(canonical(requirement.key)).or_default().push(requirement);
    }
    by_label
}

/// Nodes have both labels, with the same value (`labelReconcileInfo` in `k8s.io/kubernetes/pkg/controller/nodelifecycle`).
fn canonical(key: &str) -> &str {
    match key {
        "beta.kubernetes.io/os" => OS,
        "beta.kubernetes.io/arch" => ARCHITECTURE,
        _ => key,
    }
}

fn in_words(what: &str, key: &str, excluded: &[&LabelRequirement]) -> String {
    let written = excluded.iter().filter(|it| matches!(it.origin, RequiredBy::NodeSelector | RequiredBy::Affinity));
    let keys: Vec<String> = written.map(|it| it.key).collect::<BTreeSet<_>>().into_iter().map(quoted).collect();
    let subject = match key {
        NAME_FIELD => "the node's name".to_owned(),
        _ if keys.len() > 1 => format!("the labels {}, which have one value on every node,", keys.join(" and ")),
        _ => format!("the label {}", quoted(key)),
    };
    let words: Vec<String> = excluded.iter().take(NAMED).map(|requirement| requirement.in_words()).collect();
    let more = if excluded.len() > NAMED { ", and more" } else { "" };
    format!("{what}: {subject} {}{more}", words.join(" and "))
}

fn remedy(excluded: &[&LabelRequirement]) -> &'static str {
    let of_program = excluded.iter().find_map(|requirement| match requirement.origin {
        RequiredBy::Program { remedy, .. } => Some(remedy),
        _ => None,
    });
    match (of_program, excluded) {
        (Some(remedy), _) => remedy,
        (None, [_]) => "change or remove it",
        (None, _) => "change or remove one of them",
    }
}

#[cfg(test)]
mod tests;
