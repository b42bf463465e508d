//! Whether any node at all can match a placement. The labels that it requires are enough to say so, without a cluster.
//!
//! The semantics are those of `k8s.io/component-helpers/scheduling/corev1/nodeaffinity` and of `Requirement.Matches` in
//! `k8s.io/apimachinery/pkg/labels`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use super::config::Placement;
use super::problem::{Code, quoted};
use super::reader::{Place, Problems};
use super::real_nodes::NODE_RULES;

/// The longest value of a label.
const MAX_VALUE: usize = 63;
/// How many requirements of one label are compared in pairs, and how many are named.
const COMPARED: usize = 30;
const NAMED: usize = 4;

/// Go's names of architectures that Linux runs on. A kubelet labels its node with one of them (`updateDefaultLabels` in
/// `k8s.io/kubernetes/pkg/kubelet`).
const GO_ARCHITECTURES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "sparc64",
];
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
}

/// A part of a placement.
#[derive(Debug, PartialEq, Eq)]
pub enum PlacementPart {
    /// A label of the node selector.
    NodeSelector(String),
    /// A term of the required node affinity, by its index.
    Term(usize),
}

/// Warns of each part of a placement that no node can match.
pub fn check(placement: &Placement, place: impl Fn(&PlacementPart) -> Place, problems: &mut Problems) {
    for Contradiction { part, message, remedy } in contradictions(placement) {
        problems.warning(place(&part), Code::SelectsNothing, message, remedy);
    }
}

/// Finds the parts of a placement that no node can match. A node has to match the node selector, all of kube-prepull's own
/// requirements, and one of the terms.
pub fn contradictions(placement: &Placement) -> Vec<Contradiction> {
    let base = base(placement);
    let of_label = |key: &str| base.get(canonical(key)).map_or(&[][..], Vec::as_slice);
    let in_selector = placement.node_selector.keys().filter_map(|key| {
        let excluded = excluding(&of_label(key).iter().collect::<Vec<_>>())?;
        let part = PlacementPart::NodeSelector(key.clone());
        Some(Contradiction { part, message: in_words("no node can match", key, &excluded), remedy: remedy(&excluded) })
    });
    let in_selector: Vec<_> = in_selector.collect();
    if !in_selector.is_empty() {
        return in_selector;
    }
    let required = placement.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = required.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.map_or(&[][..], |selector| &selector.node_selector_terms);
    let what = if terms.len() == 1 { "no node can match" } else { "no node can match this term" };
    let of_terms = terms.iter().enumerate().filter_map(|(index, term)| {
        let (message, remedy) = in_term(term, what, of_label)?;
        Some(Contradiction { part: PlacementPart::Term(index), message, remedy })
    });
    of_terms.collect()
}

/// The first label of a term, or the name, whose requirements exclude each other or those outside the term.
fn in_term<'b>(
    term: &NodeSelectorTerm,
    what: &str,
    of_label: impl Fn(&str) -> &'b [LabelRequirement<'b>],
) -> Option<(String, &'static str)> {
    let expressions = term.match_expressions.iter().flatten().filter_map(LabelRequirement::of_term);
    let fields = term.match_fields.iter().flatten().filter(|field| is_well_formed(field));
    let fields = fields.filter_map(LabelRequirement::of_term);
    let mut own: BTreeMap<(bool, &str), Vec<LabelRequirement>> = BTreeMap::new();
    for (is_field, requirement) in expressions.map(|it| (false, it)).chain(fields.map(|it| (true, it))) {
        own.entry((is_field, canonical(requirement.key))).or_default().push(requirement);
    }
    own.iter().find_map(|((is_field, key), requirements)| {
        let outside = if *is_field { &[][..] } else { of_label(key) };
        let excluded = excluding(&requirements.iter().chain(outside).collect::<Vec<_>>())?;
        let written = requirements.first().map_or(*key, |requirement| requirement.key);
        Some((in_words(what, written, &excluded), remedy(&excluded)))
    })
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
    let architectures = (!names.is_empty()).then(|| LabelRequirement {
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
        "beta.kubernetes.io/os" => "kubernetes.io/os",
        "beta.kubernetes.io/arch" => ARCHITECTURE,
        _ => key,
    }
}

/// A requirement of one label.
#[derive(Debug)]
struct LabelRequirement<'a> {
    key: &'a str,
    test: Test<'a>,
    origin: RequiredBy,
}

#[derive(Debug)]
enum Test<'a> {
    In(Vec<&'a str>),
    NotIn(Vec<&'a str>),
    Exists,
    DoesNotExist,
    Gt(i64),
    Lt(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequiredBy {
    NodeSelector,
    Affinity,
    Architectures,
    Program { why: &'static str, remedy: &'static str },
}

impl<'a> LabelRequirement<'a> {
    /// `None` for a malformed one, which is reported elsewhere.
    fn of_term(requirement: &'a NodeSelectorRequirement) -> Option<Self> {
        let values: Vec<&str> = requirement.values.iter().flatten().map(String::as_str).collect();
        let number = || values.first().and_then(|value| value.parse().ok());
        let test = match requirement.operator.as_str() {
            "In" if !values.is_empty() => Test::In(values),
            "NotIn" => Test::NotIn(values),
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::DoesNotExist,
            "Gt" => Test::Gt(number()?),
            "Lt" => Test::Lt(number()?),
            _ => return None,
        };
        Some(Self { key: &requirement.key, test, origin: RequiredBy::Affinity })
    }

    fn in_words(&self) -> String {
        let test = match &self.test {
            Test::In(values) if values.len() > 1 => format!("must be one of {}", some(values)),
            Test::In(values) => format!("must be {}", some(values)),
            Test::NotIn(values) => format!("must not be {}", some(values)),
            Test::Exists => "must exist".to_owned(),
            Test::DoesNotExist => "must not exist".to_owned(),
            Test::Gt(bound) => format!("must be greater than {bound}"),
            Test::Lt(bound) => format!("must be less than {bound}"),
        };
        let origin = match self.origin {
            RequiredBy::NodeSelector => "node selector",
            RequiredBy::Affinity => "affinity",
            RequiredBy::Architectures => "architectures",
            RequiredBy::Program { why, .. } => why,
        };
        format!("{test} ({origin})")
    }
}

fn some(values: &[&str]) -> String {
    const MAX: usize = 6;
    let named: Vec<String> = values.iter().take(MAX).map(|value| quoted(value)).collect();
    let more = if values.len() > MAX { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// A smallest part of the requirements of one label that no node meets; `None` if a node can meet all of them.
fn excluding<'r, 'a>(all: &[&'r LabelRequirement<'a>]) -> Option<Vec<&'r LabelRequirement<'a>>> {
    if satisfiable(all) {
        return None;
    }
    let few = &all[..all.len().min(COMPARED)];
    let alone = few.iter().map(|it| vec![*it]);
    let pairs = few.iter().enumerate().flat_map(|(index, one)| few[index + 1..].iter().map(|other| vec![*one, *other]));
    Some(alone.chain(pairs).find(|part| !satisfiable(part)).unwrap_or_else(|| all.to_vec()))
}

/// Whether a label can meet all requirements, or can be absent.
fn satisfiable(requirements: &[&LabelRequirement]) -> bool {
    let tests = || requirements.iter().map(|requirement| &requirement.test);
    if !tests().any(|test| matches!(test, Test::In(_) | Test::Exists | Test::Gt(_) | Test::Lt(_))) {
        return true;
    }
    if tests().any(|test| matches!(test, Test::DoesNotExist)) {
        return false;
    }
    let excluded: HashSet<&str> =
        tests().flat_map(|test| if let Test::NotIn(values) = test { &values[..] } else { &[] }).copied().collect();
    let above = tests().filter_map(|test| if let Test::Gt(bound) = test { Some(*bound) } else { None }).max();
    let below = tests().filter_map(|test| if let Test::Lt(bound) = test { Some(*bound) } else { None }).min();
    let in_range = |value: &str| {
        (above.is_none() && below.is_none())
            || value.parse::<i64>().is_ok_and(|number| {
                above.is_none_or(|bound| number > bound) && below.is_none_or(|bound| number < bound)
            })
    };
    let mut listed = tests().filter_map(|test| if let Test::In(values) = test { Some(values) } else { None });
    let Some(first) = listed.next() else {
        return (above.is_none() && below.is_none()) || some_number(above, below, &excluded);
    };
    let others: Vec<BTreeSet<&str>> = listed.map(|values| values.iter().copied().collect()).collect();
    let fits = |value: &str| {
        !excluded.contains(value) && in_range(value) && others.iter().all(|values| values.contains(value))
    };
    first.iter().any(|value| fits(value))
}

/// Whether a label can have a number in the range as its value. It cannot be negative, because a value begins with a letter or a
/// digit, but it may have leading zeros.
fn some_number(above: Option<i64>, below: Option<i64>, excluded: &HashSet<&str>) -> bool {
    let first = match above {
        None => 0,
        Some(bound) => bound.saturating_add(1).max(0),
    };
    let last = below.map_or(i64::MAX, |bound| bound.saturating_sub(1));
    if above == Some(i64::MAX) || below == Some(i64::MIN) {
        return false;
    }
    let spellings = |number: i64| {
        let digits = number.to_string();
        (digits.len()..=MAX_VALUE).map(move |width| format!("{digits:0>width$}"))
    };
    (first..=last).flat_map(spellings).any(|value| !excluded.contains(value.as_str()))
}

fn in_words(what: &str, key: &str, excluded: &[&LabelRequirement]) -> String {
    let subject = if key == NAME_FIELD { "the node's name".to_owned() } else { format!("the label {}", quoted(key)) };
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
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::list::config::Architecture;

    fn placement(selector: &[(&str, &str)], terms: Value) -> Placement {
        let node_selector = selector.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        let affinity = serde_json::from_value(json!({"nodeAffinity": required})).expect("an affinity");
        let affinity = terms.as_array().is_some_and(|terms| !terms.is_empty()).then_some(affinity);
        Placement { node_selector, affinity, ..Placement::default() }
    }

    fn messages(placement: &Placement) -> Vec<String> {
        contradictions(placement).into_iter().map(|it| format!("{}; {}", it.message, it.remedy)).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({"key": key, "operator": operator, "values": values})
    }

    #[test]
    fn a_node_selector_that_excludes_what_is_required_of_every_node_matches_none() {
        for (label, words) in [
            (
                ("kubernetes.io/os", "windows"),
                "must be \"linux\" (kube-prepull runs on Linux nodes only); select Linux",
            ),
            (
                ("beta.kubernetes.io/os", "windows"),
                "the label \"beta.kubernetes.io/os\" must be \"windows\" (node selector)",
            ),
            (
                ("type", "virtual-kubelet"),
                "must not be \"virtual-kubelet\" (virtual nodes keep no images); select real",
            ),
            (("eks.amazonaws.com/compute-type", "fargate"), "(Fargate nodes keep no images)"),
            (("kubernetes.io/arch", "x86_64"), "such as amd64"),
        ] {
            let found = messages(&placement(&[label], json!([])));
            assert!(found.len() == 1 && found[0].contains(words), "{label:?}: {found:?}");
        }
        for label in [("kubernetes.io/os", "linux"), ("type", "gpu"), ("kubernetes.io/arch", "riscv64"), ("disk", "")] {
            assert!(messages(&placement(&[label], json!([]))).is_empty(), "{label:?}");
        }
    }

    #[test]
    fn architectures_and_selectors_must_have_one_in_common() {
        let with = |mut placement: Placement| {
            placement.architectures = [Architecture::Amd64, Architecture::S390x].into();
            messages(&placement)
        };
        let selector = with(placement(&[("kubernetes.io/arch", "arm64")], json!([])));
        assert_eq!(
            selector,
            [
                "no node can match: the label \"kubernetes.io/arch\" must be \"arm64\" (node selector) and must be one of \"amd64\", \
              \"s390x\" (architectures); change or remove one of them"
            ]
        );
        let term =
            |values: &[&str]| json!([{"matchExpressions": [expression("beta.kubernetes.io/arch", "In", values)]}]);
        assert_eq!(with(placement(&[], term(&["arm64", "arm"]))).len(), 1);
        assert!(with(placement(&[], term(&["arm64", "amd64"]))).is_empty());
    }

    #[test]
    fn each_term_is_compared_with_the_node_selector_and_within_itself() {
        let one = |selector: &[(&str, &str)], expressions: &[Value]| {
            messages(&placement(selector, json!([{"matchExpressions": expressions}])))
        };
        for (expressions, matches) in [
            (vec![expression("disk", "NotIn", &["ssd"])], false),
            (vec![expression("disk", "In", &["hdd", "nvme"])], false),
            (vec![expression("disk", "DoesNotExist", &[])], false),
            (vec![expression("disk", "In", &["hdd", "ssd"]), expression("disk", "Exists", &[])], true),
            (vec![expression("a", "In", &["x", "y"]), expression("a", "NotIn", &["x", "y", "z"])], false),
            (vec![expression("a", "In", &["x", "y"]), expression("a", "NotIn", &["x"])], true),
            (vec![expression("a", "Exists", &[]), expression("a", "DoesNotExist", &[])], false),
            (vec![expression("a", "NotIn", &["x"]), expression("a", "DoesNotExist", &[])], true),
            (vec![expression("a", "In", &["x", "y"]), expression("a", "In", &["y", "z"])], true),
            (
                vec![
                    expression("a", "In", &["x", "y"]),
                    expression("a", "In", &["y", "z"]),
                    expression("a", "In", &["z", "x"]),
                ],
                false,
            ),
            (vec![expression("a", "Gt", &["5"]), expression("a", "Lt", &["6"])], false),
            (vec![expression("a", "Gt", &["5"]), expression("a", "Lt", &["7"])], true),
            (
                vec![expression("a", "Gt", &["5"]), expression("a", "Lt", &["7"]), expression("a", "NotIn", &["6"])],
                true,
            ),
            (vec![expression("a", "Lt", &["0"])], false),
            (vec![expression("a", "Gt", &["-7"]), expression("a", "Lt", &["1"])], true),
            (vec![expression("a", "Gt", &["9223372036854775807"])], false),
            (vec![expression("a", "In", &["ten"]), expression("a", "Gt", &["1"])], false),
            (vec![expression("a", "In", &["010"]), expression("a", "Gt", &["9"])], true),
            (vec![expression("a", "Gt", &["1"]), expression("a", "DoesNotExist", &[])], false),
            (vec![expression("type", "In", &["virtual-kubelet"])], false),
            (vec![expression("type", "Exists", &[])], true),
            (vec![expression("kubernetes.io/os", "NotIn", &["linux"])], false),
            (vec![expression("kubernetes.io/os", "DoesNotExist", &[])], false),
            (vec![expression("kubernetes.io/arch", "DoesNotExist", &[])], false),
        ] {
            let found = one(&[("disk", "ssd")], &expressions);
            assert_eq!(found.is_empty(), matches, "{expressions:?}: {found:?}");
        }
    }

    #[test]
    fn every_number_may_be_excluded_in_one_spelling_but_not_in_all() {
        let spelled: Vec<String> = (1..=MAX_VALUE).map(|width| format!("{:0>width$}", "6")).collect();
        let between = |excluded: &[String]| {
            let not: Vec<&str> = excluded.iter().map(String::as_str).collect();
            let expressions =
                [expression("a", "Gt", &["5"]), expression("a", "Lt", &["7"]), expression("a", "NotIn", &not)];
            messages(&placement(&[], json!([{"matchExpressions": expressions}]))).is_empty()
        };
        assert!(between(&spelled[1..]) && !between(&spelled));
    }

    #[test]
    fn terms_that_can_match_make_up_for_nothing_but_themselves() {
        let terms = json!([
            {"matchExpressions": [expression("disk", "In", &["ssd"])]},
            {"matchExpressions": [expression("kubernetes.io/os", "In", &["windows"])]},
            {},
            {"matchFields": [expression(NAME_FIELD, "In", &["a"]), expression(NAME_FIELD, "NotIn", &["a"])]},
        ]);
        let found = contradictions(&placement(&[], terms));
        assert_eq!(
            found.iter().map(|it| &it.part).collect::<Vec<_>>(),
            [&PlacementPart::Term(1), &PlacementPart::Term(3)]
        );
        assert!(found[0].message.starts_with("no node can match this term: the label"), "{found:?}");
        assert!(
            found[1].message.contains("the node's name must be \"a\" (affinity) and must not be \"a\""),
            "{found:?}"
        );
    }
}
