//! What is written about lists, and what they come to.

use std::collections::BTreeMap;

use kube_prepull::list::{self, Code, ListData, Policy};

use super::{list, yaml_list};

const LISTS: &str = include_str!("../../docs/lists.md");
const DISCOVERY: &str = include_str!("../../docs/discovery.md");
const NODE_GATES: &str = include_str!("../../docs/node-gate.md");
const PRIVATE_IMAGES: &str = include_str!("../../docs/private-images.md");
const PROBLEMS: &str = include_str!("../../docs/problems.md");

/// The texts of fenced YAML blocks.
fn yaml_blocks(text: &str) -> Vec<&str> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// A block is a ConfigMap's data where its keys are flat or `images.yaml`, and otherwise the text of `images.yaml`.
fn list_of(block: &str) -> ListData {
    let first = block.split(':').next().unwrap_or_default();
    if first == "images.yaml" || first.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        let data: BTreeMap<String, String> =
            serde_yaml::from_str(block).unwrap_or_else(|error| panic!("{block}: {error}"));
        return ListData { data, ..list([]) };
    }
    yaml_list(block)
}

/// Every `images.yaml` of the documentation that is good: the examples of docs/lists.md, and one of each key.
pub fn accepted_yaml() -> Vec<String> {
    let blocks = yaml_blocks(LISTS).into_iter().map(list_of).filter_map(|mut list| list.data.remove("images.yaml"));
    blocks
        .chain(super::keys::example_lists().into_iter().filter_map(|mut list| list.data.remove("images.yaml")))
        .collect()
}

#[test]
fn every_example_of_a_list_is_accepted_without_a_problem() {
    let blocks = yaml_blocks(LISTS);
    // The other blocks of these pages are not for kube-prepull.
    let lists = |page: &'static str, key: &str| -> Vec<&'static str> {
        yaml_blocks(page).into_iter().filter(|block| block.contains(key)).collect()
    };
    let (gates, discoveries) = (lists(NODE_GATES, "nodeGate:"), lists(DISCOVERY, "discover:"));
    let private = lists(PRIVATE_IMAGES, "groups:");
    assert!(blocks.len() >= 3 && gates.len() == 2 && discoveries.len() >= 2 && private.len() == 2);
    for block in blocks.into_iter().chain(gates).chain(discoveries).chain(private) {
        let parsed = list::parse(&list_of(block));
        assert!(parsed.config.is_some() && parsed.problems.is_empty(), "{block}\n{:#?}", parsed.problems);
    }
}

#[test]
fn every_code_is_explained_in_order() {
    let headings: Vec<&str> = PROBLEMS.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, Code::ALL.map(|code| code.to_string()));
}

#[test]
fn every_example_of_a_problem_has_that_problem_only() {
    for section in PROBLEMS.split("\n## ").skip(1) {
        let code = section.lines().next().unwrap_or_default();
        let Some(block) = yaml_blocks(section).first().copied() else {
            assert!(["TooLarge", "TooManyProblems"].contains(&code), "{code} has no example");
            continue;
        };
        // What a policy does not allow is no problem of other examples.
        let found = match code {
            "NotAllowed" => list::parse_with_policy(&list_of(block), &Policy::default()).problems,
            _ => list::parse(&list_of(block)).problems,
        };
        assert!(found.iter().any(|problem| problem.code.to_string() == code), "{code}\n{block}\n{found:#?}");
        // A key that is no list's is named beside the missing list.
        assert!(found.len() == 1 || code == "NoList", "{code}\n{found:#?}");
    }
}

#[test]
fn the_example_of_validate_is_what_it_prints() {
    let block = LISTS.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a JSON block");
    let documented: serde_json::Value = serde_json::from_str(block).expect("JSON");
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: images\n  labels: {kube-prepull.io/image-list: \"true\"}\ndata:\n  images.yaml: |\n    images:\n      - nginx\n      - a b\n";
    let mut printed = super::validate::json(manifest);
    printed["file"] = "list.yaml".into();
    assert_eq!(printed, documented);
}
