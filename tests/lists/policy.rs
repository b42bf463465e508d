//! The table of all keys in docs/policy.md: what it says is what the parser does.

use kube_prepull::list::Policy;
use kube_prepull::list::policy::{
    IMAGE_CACHE_KEYS, KEYS, QUANTITY_KEYS, RESOURCES_KEYS, TOLERATION_KEYS, parse_policy,
};
use serde_json::{Map, Value, json};

const PAGE: &str = include_str!("../../docs/policy.md");

/// A row: the path of the key, its default, and its example.
fn rows() -> Vec<(String, String, String)> {
    let table = PAGE.split("\n## All keys").nth(1).and_then(|rest| rest.split("\n### ").next()).expect("the table");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, _what, _type, default, example] = cells[..] else { panic!("five cells: {line}") };
        (key.trim_matches('`').to_owned(), default.to_owned(), example.trim_matches('`').to_owned())
    };
    rows.map(row).collect()
}

/// A policy with one value at a path.
fn with(path: &str, keys: Map<String, Value>) -> String {
    let parents: Vec<&str> = path.split('.').collect();
    let nested = parents[..parents.len() - 1].iter().rev().fold(Value::Object(keys), |inner, step| {
        match step.strip_suffix("[]") {
            Some(list) => json!({list: [inner]}),
            None => json!({*step: inner}),
        }
    });
    nested.to_string()
}

fn value(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn key_of(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[test]
fn the_table_has_every_key_of_a_policy_and_no_other() {
    let documented: Vec<String> = rows().into_iter().map(|(path, ..)| path).collect();
    let below = |parent: &str, keys: &[&str]| keys.iter().map(|key| format!("{parent}{key}")).collect::<Vec<_>>();
    let parents = ["resources", "imageCache"];
    let top = KEYS.into_iter().filter(|key| !parents.contains(key)).map(str::to_owned);
    let quantities = RESOURCES_KEYS.iter().flat_map(|kind| below(&format!("resources.{kind}."), &QUANTITY_KEYS));
    let mut known: Vec<String> = top
        .chain(below("tolerations[].", &TOLERATION_KEYS))
        .chain(quantities)
        .chain(below("imageCache.", &IMAGE_CACHE_KEYS))
        .collect();
    let mut sorted = documented.clone();
    sorted.sort();
    known.sort();
    assert_eq!(sorted, known);
}

#[test]
fn every_default_is_the_parsers() {
    for (path, default, _) in
        rows().into_iter().filter(|(path, default, _)| default.starts_with('`') && !path.contains("[]"))
    {
        let keys = Map::from_iter([(key_of(&path).to_owned(), value(default.trim_matches('`')))]);
        assert_eq!(parse_policy(&with(&path, keys)), Ok(Policy::default()), "{path}");
    }
}

#[test]
fn every_example_is_accepted_and_has_an_effect() {
    for (path, _, example) in rows() {
        let Value::Object(mut keys) = value(&example) else { panic!("{example}") };
        assert!(keys.contains_key(key_of(&path)), "{path}: {example}");
        if path.starts_with("tolerations[].") && !["everyTaint", "key"].contains(&key_of(&path)) {
            keys.insert("key".to_owned(), "a".into());
        }
        let text = with(&path, keys);
        let policy = parse_policy(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        assert!(policy != Policy::default() || path == "tolerations[].everyTaint", "{path}: {example}");
    }
}

#[test]
fn the_example_at_the_top_is_a_policy() {
    let example = PAGE.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    assert!(parse_policy(example).is_ok_and(|policy| policy != Policy::default()));
}

#[test]
fn the_table_of_patterns_is_right() {
    let table = PAGE.split("| pattern | matches | does not match |").nth(1).and_then(|rest| rest.split("\n\n").next());
    let rows: Vec<Vec<&str>> = table
        .expect("the table")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').collect())
        .collect();
    assert!(rows.len() >= 5);
    for row in rows {
        let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let policy = parse_policy(&json!({"images": code(row[1])}).to_string()).expect("a pattern");
        for (images, allowed) in [(code(row[2]), true), (code(row[3]), false)] {
            for image in images {
                let list = super::yaml_list(&json!([image]).to_string());
                let parsed = kube_prepull::list::parse_with_policy(&list, &policy);
                assert_eq!(parsed.config.is_some(), allowed, "{} and {image}", row[1]);
            }
        }
    }
}
