//! The table of bad lists: each with exactly the problems that it has.

use std::collections::{BTreeMap, BTreeSet};

use kube_prepull::list::{self, Code, ListData, Parsed, Severity};
use serde::Deserialize;

use super::{list, yaml_list};

#[derive(Deserialize)]
struct Case {
    /// What is wrong, in words.
    case: String,
    /// The ConfigMap's data.
    data: BTreeMap<String, String>,
    /// Whether the list is accepted all the same, with warnings.
    #[serde(default)]
    accepted: bool,
    /// Every problem, as [`shown`] writes it.
    problems: Vec<String>,
}

fn cases() -> Vec<Case> {
    [include_str!("validation_results/yaml.yaml"), include_str!("validation_results/flat.yaml")]
        .into_iter()
        .flat_map(|text| serde_yaml::from_str::<Vec<Case>>(text).expect("a table of cases"))
        .collect()
}

/// Every `images.yaml` of the table that is rejected, with the codes of its problems.
pub fn rejected_yaml() -> Vec<(String, Vec<Code>)> {
    let rejected = cases().into_iter().filter(|case| !case.accepted && case.data.len() == 1);
    let texts = rejected.filter_map(|mut case| case.data.remove("images.yaml"));
    let codes = |text: &str| list::parse(&yaml_list(text)).problems.iter().map(|problem| problem.code).collect();
    texts.map(|text| (text.clone(), codes(&text))).collect()
}

/// The data of every flat list of the table.
pub fn flat_data() -> Vec<BTreeMap<String, String>> {
    cases().into_iter().map(|case| case.data).filter(|data| !data.contains_key("images.yaml")).collect()
}

fn shown(parsed: &Parsed) -> Vec<String> {
    let line = |problem: &list::Problem| {
        let severity = if problem.severity == Severity::Error { "" } else { "warning " };
        format!("{severity}{} {problem}", problem.code)
    };
    parsed.problems.iter().map(line).collect()
}

#[test]
fn each_bad_list_has_exactly_the_problems_of_the_table() {
    let cases = cases();
    let mut wrong = String::new();
    for case in &cases {
        let data = case.data.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let parsed = list::parse(&list(data));
        let found = shown(&parsed);
        if found != case.problems || parsed.config.is_some() != case.accepted {
            wrong.push_str(&format!("{} (accepted: {})\n", case.case, parsed.config.is_some()));
            found.iter().for_each(|line| wrong.push_str(&format!("    - {line:?}\n")));
        }
    }
    assert!(wrong.is_empty(), "these came out otherwise:\n{wrong}");
}

#[test]
fn only_a_list_whose_one_mistake_is_that_it_has_no_image_is_empty() {
    let is_empty = |data: &[(&str, &str)]| list::parse(&list(data.iter().copied())).empty;
    for empty in [
        &[][..],
        &[("README", "to be filled")],
        &[("IMAGES", "")],
        &[("IMAGES", " ;\n"), ("CACHING_INTERVAL_HOURS", "1"), ("KIP_IMAGE", "x")],
        &[("images.yaml", "")],
        &[("images.yaml", "# nothing yet\n")],
        &[("images.yaml", "~")],
        &[("images.yaml", "[]")],
        &[("images.yaml", "{}")],
        &[("images.yaml", "images:")],
        &[("images.yaml", "images: \"\"\nrefresh: {every: 6h}")],
        &[("images.yaml", "images: []\ngroups: []")],
        &[("images.yaml", "groups: [{name: gpu, images: []}]")],
        &[("images.yaml", ""), ("IMAGES", "")],
        &[("images.yaml", "images: []"), ("PULL_RATE", "7")],
    ] {
        assert!(is_empty(empty), "{empty:?}");
    }
    for (other, why) in [
        (&[("images.yaml", "[a:1]")][..], "it has an image"),
        (&[("images.yaml", "images: [a:1]\ngroups: [{name: b}]")], "it has an image, and a mistake"),
        (&[("IMAGES", ""), ("images.yml", "[a:1]")], "its images are under another key"),
        (&[("images.yaml", ""), ("images.yml", "[a:1]")], "its images are under another key"),
        (&[("images.yaml", "image: [a:1]")], "it has a misspelt key"),
        (&[("images.yml", "[a:1]")], "it has a misspelt key"),
        (&[("images.yaml", "images: [")], "it is no YAML"),
        (&[("images.yaml", "images: [Bad]")], "its only image is malformed"),
        (&[("IMAGES", ""), ("CACHING_INTERVAL_HOURS", "often")], "another key is wrong"),
        (&[("images.yaml", "refresh: {every: 6h}"), ("PULL_RATE", "7")], "it has both formats"),
        (&[("images.yaml", "discover: {namespaces: [shop]}")], "it discovers images"),
        (
            &[("images.yaml", "groups: [{name: a, images: []}, {name: b, discover: {namespaces: [shop]}}]")],
            "one group discovers images",
        ),
        (&[("images.yaml", "discover: {}")], "it would discover images, and has a mistake"),
    ] {
        assert!(!is_empty(other), "{why}: {other:?}");
    }
}

#[test]
fn the_table_has_sixty_bad_lists_and_no_name_twice() {
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.case.as_str()).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.iter().filter(|case| !case.accepted).count() >= 60);
}

#[test]
fn data_beyond_the_limit_of_a_configmap_is_rejected() {
    let parsed = list::parse(&too_large());
    assert_eq!(
        shown(&parsed),
        ["TooLarge data: 1048588 bytes exceed the limit of 1048576; split it into several lists"]
    );
}

#[test]
fn the_first_thousand_problems_are_reported_and_the_others_counted() {
    let parsed = list::parse(&too_many_problems());
    assert_eq!(parsed.problems.len(), 1001);
    assert_eq!(
        shown(&parsed)[0],
        "TooManyProblems data: there are 500 more problems beyond these 1000; correct these first"
    );
}

fn too_large() -> ListData {
    yaml_list(&"#".repeat(list::MAX_BYTES + 1))
}

fn too_many_problems() -> ListData {
    let group = |number: usize| format!("- name: g{number}\n  images:\n{}", "  - A\n".repeat(500));
    yaml_list(&format!("groups:\n{}", (0..3).map(group).collect::<String>()))
}

#[test]
fn every_code_is_produced_by_a_case() {
    let of_table = cases().into_iter().map(|case| ListData { data: case.data, ..list([]) });
    let produced: BTreeSet<Code> = of_table
        .chain([too_large(), too_many_problems()])
        .flat_map(|list| list::parse(&list).problems)
        .map(|problem| problem.code)
        .collect();
    // Only a policy finds what it does not allow: policy.rs.
    let of_policy = |code: &Code| *code == Code::NotAllowed;
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !produced.contains(code) && !of_policy(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
