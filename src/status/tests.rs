//! What a report says about a cluster that is half warm, in both of its forms.

use serde_json::{Value, json};

use super::{Facts, ListFacts, ListState, Report, print};
use crate::coverage::tests::world::{Fate, Life, Pod, config, generations, node};
use crate::coverage::{Coverage, Node};

fn facts(pods: &[Pod], nodes: Option<Vec<Node>>) -> (Facts, Coverage) {
    let mut coverage = Coverage::default();
    pods.iter().for_each(|pod| coverage.apply(&pod.as_sent()));
    let list = ListFacts {
        name: "tools".to_owned(),
        state: ListState::Accepted,
        problems: Vec::new(),
        config: Some(config()),
        generations: generations(),
    };
    let facts = Facts {
        namespace: "prepull".to_owned(),
        lists: vec![list],
        nodes,
        now: "2026-03-01T12:10:00Z".parse().expect("a time"),
    };
    (facts, coverage)
}

fn report((facts, coverage): &(Facts, Coverage)) -> Report {
    Report::new(facts, coverage)
}

fn half_warm() -> (Facts, Coverage) {
    let pods = [
        Pod::new(1, 2, "n0").with([Fate::Held, Fate::Held]),
        Pod::new(2, 2, "n1").with([Fate::Held, Fate::Failed]),
        Pod { life: Life::NoRoom, ..Pod::new(3, 2, "n2") },
        Pod::new(4, 3, "n0").with([Fate::Held, Fate::Held]),
        Pod::new(5, 3, "n1").with([Fate::Crashed, Fate::Failed]),
        Pod::new(6, 3, "n2").with([Fate::Pulling, Fate::Pulling]),
    ];
    facts(&pods, Some(["n0", "n1", "n2"].map(node).to_vec()))
}

fn printed(report: &Report) -> String {
    let mut output = anstream::StripStream::new(Vec::new());
    print(report, &mut output).expect("a vector takes everything");
    String::from_utf8(output.into_inner()).expect("UTF-8")
}

#[test]
fn people_see_what_is_behind_and_why() {
    insta::assert_snapshot!(printed(&report(&half_warm())));
}

#[test]
fn programs_see_the_same_as_numbers() {
    let report = serde_json::to_value(report(&half_warm())).expect("JSON");
    assert_eq!((&report["version"], &report["warm"], &report["nodesKnown"]), (&json!(1), &json!(false), &json!(true)));
    let image = &report["lists"][0]["groups"][0]["images"][1];
    assert_eq!(image["reference"], "b:1");
    assert_eq!(image["nodes"]["total"], 3);
    let of = |state: &str| image["nodes"][state].clone();
    assert_eq!([of("warm"), of("failed"), of("noRoom"), of("pulling")], [1, 1, 0, 1].map(Value::from));
    assert_eq!(image["digests"], json!({"amd64": {"sha256:3": 1, "sha256:4": 1}}));
    let behind = json!({"state": "failed", "reason": "ErrImagePull", "message": "401", "nodes": ["n1"]});
    assert_eq!(image["behind"][0], behind);
}

#[test]
fn a_list_is_warm_only_if_it_is_accepted_and_nothing_is_behind() {
    let held = |uid, generation| Pod::new(uid, generation, "n0").with([Fate::Held, Fate::Held]);
    let mut facts = facts(&[held(1, 2), held(2, 3)], Some(vec![node("n0")]));
    assert!(report(&facts).warm);
    facts.0.lists[0].state = ListState::Rejected;
    facts.0.lists[0].problems = vec!["images[0]: no such\u{1b}[31m thing".to_owned()];
    let report = report(&facts);
    assert!(!report.warm);
    let printed = printed(&report);
    assert!(printed.contains("rejected; what was accepted before is in force"), "{printed}");
    assert!(printed.contains("problem: images[0]: no such [31m thing"), "control characters stay out: {printed}");
}

#[test]
fn without_nodes_it_says_so() {
    let report = report(&facts(&[Pod::new(1, 2, "n0")], None));
    assert!(!report.nodes_known);
    assert!(printed(&report).contains("Nodes may not be read"));
}
