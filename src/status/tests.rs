//! What a report says about a cluster that is half warm, in both of its forms.

use serde_json::{Value, json};

use super::{Facts, ListFacts, ListState, Report, print};
use crate::coverage::tests::world::{Fate, Life, Pod, config, generations, node};
use crate::coverage::{Coverage, Node, Sizes};

fn facts(pods: &[Pod], nodes: Option<Vec<Node>>) -> (Facts, Coverage) {
    let mut coverage = Coverage::default();
    pods.iter().for_each(|pod| coverage.apply(&pod.as_sent()));
    let list = ListFacts {
        name: "tools".to_owned(),
        state: ListState::Accepted,
        problems: Vec::new(),
        refresh_request: None,
        config: Some(config()),
        generations: generations(),
    };
    let facts = Facts {
        namespace: "prepull".to_owned(),
        lists: vec![list],
        nodes,
        sizes: Sizes::default(),
        now: "2026-03-01T12:10:00Z".parse().expect("a time"),
    };
    (facts, coverage)
}

pub(crate) fn report((facts, coverage): &(Facts, Coverage)) -> Report {
    Report::new(facts, coverage)
}

pub(crate) fn half_warm() -> (Facts, Coverage) {
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
fn programs_see_rounds_refreshes_and_what_is_reserved() {
    let (mut facts, coverage) = half_warm();
    let looks = &mut facts.lists[0].generations[2].looks;
    looks.looked = Some("2026-03-01T12:05:00Z".parse().expect("a time"));
    looks.failed.insert("b".to_owned(), "429 Too Many Requests".to_owned());
    let report = serde_json::to_value(Report::new(&facts, &coverage)).expect("JSON");
    let group = &report["lists"][0]["groups"][0];
    assert_eq!(
        group["round"],
        json!({
            "generation": "p-3", "startedAt": "1970-01-01T00:00:00Z", "turnsEndAt": "1970-01-01T00:00:00Z", "spreadSeconds": 0,
            "done": false,
        })
    );
    assert_eq!(
        group["refresh"],
        json!({
            "mode": "OnChange", "schedule": "every 1h", "due": true, "dueSince": "1970-01-01T01:00:00Z", "lastLookAt": "2026-03-01T12:05:00Z",
            "lastSuccessAt": "1970-01-01T00:00:00Z", "outcome": "deferred",
            "deferred": [{"name": "b", "reference": "b:1", "reason": "429 Too Many Requests"}],
        })
    );
    let nothing = json!({"cpuMillis": 0, "memoryBytes": 0});
    assert_eq!(group["requests"], json!({"perNode": nothing, "total": nothing}));
    assert_eq!(group["images"][0]["sizeBytes"], Value::Null, "unknown");
}

#[test]
fn a_round_is_done_when_nothing_older_is_left_and_nothing_moves() {
    let held = |uid| Pod::new(uid, 2, "n0").with([Fate::Held, Fate::Held]);
    let done = |(mut facts, coverage): (Facts, Coverage)| {
        facts.lists[0].generations.retain(|generation| generation.name == "p-3");
        Report::new(&facts, &coverage).lists[0].groups[0].round.clone().expect("a round").done
    };
    assert!(done(facts(&[held(1)], Some(vec![node("n0")]))));
    let failed = Pod::new(1, 2, "n0").with([Fate::Held, Fate::Failed]);
    assert!(done(facts(&[failed], Some(vec![node("n0")]))), "what cannot be pulled keeps no round from being done");
    let pulling = Pod::new(1, 2, "n0").with([Fate::Held, Fate::Pulling]);
    assert!(!done(facts(&[pulling], Some(vec![node("n0")]))));
    let report = report(&facts(&[held(1)], Some(vec![node("n0")])));
    assert!(!report.lists[0].groups[0].round.as_ref().expect("a round").done, "an older one is left");
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
