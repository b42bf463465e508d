//! Placements that no node can match, and others.

use serde_json::{Value, json};

use super::*;
use crate::list::config::Architecture;
use crate::list::satisfiable::requirement::MAX_VALUE;

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
        (("kubernetes.io/os", "windows"), "must be \"linux\" (kube-prepull runs on Linux nodes only); select Linux"),
        (
            ("beta.kubernetes.io/os", "windows"),
            "the label \"beta.kubernetes.io/os\" must be \"windows\" (node selector)",
        ),
        (("type", "virtual-kubelet"), "must not be \"virtual-kubelet\" (virtual nodes keep no images); select real"),
        (("eks.amazonaws.com/compute-type", "fargate"), "(Fargate nodes keep no images)"),
        (("kubernetes.io/arch", "x86_64"), "such as amd64"),
    ] {
        let found = messages(&placement(&[label], json!([])));
        assert!(found.len() == 1 && found[0].contains(words), "{label:?}: {found:?}");
    }
    let twice =
        messages(&placement(&[("kubernetes.io/arch", "arm64"), ("beta.kubernetes.io/arch", "amd64")], json!([])));
    assert!(
        twice.len() == 1 && twice[0].contains("\"beta.kubernetes.io/arch\" and \"kubernetes.io/arch\""),
        "{twice:?}"
    );
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
    let term = |values: &[&str]| json!([{"matchExpressions": [expression("beta.kubernetes.io/arch", "In", values)]}]);
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
        (vec![expression("a", "Gt", &["5"]), expression("a", "Lt", &["7"]), expression("a", "NotIn", &["6"])], true),
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
    assert_eq!(found.iter().map(|it| &it.part).collect::<Vec<_>>(), [&PlacementPart::Term(1), &PlacementPart::Term(3)]);
    assert!(found[0].message.starts_with("no node can match this term: the label"), "{found:?}");
    assert!(found[1].message.contains("the node's name must be \"a\" (affinity) and must not be \"a\""), "{found:?}");
}
