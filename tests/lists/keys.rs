//! The table of all keys in docs/lists.md: what it says is what the parser does.

use std::collections::BTreeSet;

use kube_prepull::list::{self, Config, ListData, discover, flat, yaml};
use serde_json::{Map, Value, json};

use super::{list, yaml_list};

/// A row of the table.
#[derive(Clone)]
struct Row {
    /// The paths in `images.yaml`: two for a key of a group that may also stand at the top.
    yaml: Vec<String>,
    /// The flat key.
    flat: Option<String>,
    /// The default, where it is a value.
    default: Option<String>,
    /// Values that the range names.
    range: Vec<String>,
    /// Mappings to be put beside the key, `images.yaml`'s at the place of the path.
    examples: Vec<Map<String, Value>>,
}

fn rows() -> Vec<Row> {
    let text = include_str!("../../docs/lists.md");
    let table = text.lines().filter(|line| line.starts_with("| ")).skip(2);
    table.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [yaml, flat, _what, _type, default, range, examples] = cells[..] else { panic!("seven cells: {line}") };
    let first = |cell: &str| code(cell).into_iter().next();
    Row {
        yaml: code(yaml),
        flat: first(flat),
        default: first(default).filter(|_| default.starts_with('`')),
        range: if range.starts_with('`') { code(range.split(';').next().unwrap_or_default()) } else { Vec::new() },
        examples: code(examples)
            .iter()
            .map(|text| serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
            .collect(),
    }
}

/// The texts between backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn yaml_rows() -> Vec<(String, Row)> {
    let of_row = |row: Row| row.yaml.clone().into_iter().map(move |path| (path, row.clone()));
    rows().into_iter().flat_map(of_row).collect()
}

fn flat_rows() -> Vec<(String, Row)> {
    rows().into_iter().filter_map(|row| Some((row.flat.clone()?, row))).collect()
}

fn accepted(list: &ListData) -> Config {
    let parsed = list::parse(list);
    parsed.config.unwrap_or_else(|| panic!("{list:?}\n{:#?}", parsed.problems))
}

/// A list whose value at a path's parent has these keys.
fn with(path: &str, keys: &Map<String, Value>) -> ListData {
    let mut document = json!({
        "images": [{"image": "nginx"}],
        "groups": [{"name": "g", "images": ["busybox"]}],
        "imageCache": {"enabled": true},
    });
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    let mut place = &mut document;
    for step in parent.split('.').filter(|step| !step.is_empty()) {
        place = match step.strip_suffix("[]") {
            Some(list) => {
                let items = &mut place[list];
                if items.is_null() {
                    *items = json!([{}]);
                }
                &mut items[0]
            }
            None => &mut place[step],
        };
    }
    if place.is_null() {
        *place = json!({});
    }
    place.as_object_mut().expect("a mapping").extend(keys.clone());
    yaml_list(&document.to_string())
}

/// A list for every example of a key of `images.yaml`.
pub fn example_lists() -> Vec<ListData> {
    let rows = yaml_rows();
    let lists = rows.iter().flat_map(|(path, row)| {
        let examples = row.examples.iter().filter(|example| example.contains_key(key_of(path)));
        examples.map(|example| with(path, example))
    });
    lists.collect()
}

/// The examples of every key that works both in a group and at the top.
fn pod_key_examples() -> Vec<Map<String, Value>> {
    let rows = rows().into_iter().filter(|row| row.yaml.iter().any(|path| yaml::POD_KEYS.contains(&path.as_str())));
    let examples = rows.flat_map(|row| {
        let key = key_of(&row.yaml[0]).to_owned();
        row.examples.into_iter().filter(move |example| example.contains_key(&key))
    });
    examples.collect()
}

fn with_flat(keys: &Map<String, Value>) -> ListData {
    let text = |value: &Value| value.as_str().expect("flat values are texts").to_owned();
    let mut data = list([("IMAGES", "a=b")]);
    data.data.extend(keys.iter().map(|(key, value)| (key.clone(), text(value))));
    data
}

/// A list for every example of a flat key.
pub fn flat_example_lists() -> Vec<ListData> {
    let rows = flat_rows();
    let lists = rows
        .iter()
        .flat_map(|(key, row)| row.examples.iter().filter(move |example| example.contains_key(key)).map(with_flat));
    lists.collect()
}

fn key_of(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[test]
fn the_table_has_every_key_of_images_yaml() {
    let sorts: [(&str, &[&str]); 18] = [
        ("", &yaml::TOP_KEYS),
        ("images[].", &yaml::IMAGE_KEYS),
        ("imagePullSecrets[].", &yaml::SECRET_KEYS),
        ("resources.", &yaml::RESOURCES_KEYS),
        ("resources.requests.", &yaml::QUANTITY_KEYS),
        ("resources.limits.", &yaml::QUANTITY_KEYS),
        ("discover.", &discover::KEYS),
        ("groups[].", &yaml::GROUP_KEYS),
        ("groups[].imagePullSecrets[].", &yaml::SECRET_KEYS),
        ("groups[].resources.", &yaml::RESOURCES_KEYS),
        ("groups[].resources.requests.", &yaml::QUANTITY_KEYS),
        ("groups[].resources.limits.", &yaml::QUANTITY_KEYS),
        ("groups[].discover.", &discover::KEYS),
        ("refresh.", &yaml::REFRESH_KEYS),
        ("imageCache.", &yaml::IMAGE_CACHE_KEYS),
        ("imageCache.imagePullSecrets[].", &yaml::SECRET_KEYS),
        ("imageCache.platforms[].", &yaml::PLATFORM_KEYS),
        ("nodeGate.", &yaml::NODE_GATE_KEYS),
    ];
    let known: BTreeSet<String> =
        sorts.iter().flat_map(|(place, keys)| keys.iter().map(move |key| format!("{place}{key}"))).collect();
    let reported: BTreeSet<String> = yaml_rows().into_iter().map(|(path, _)| path).collect();
    assert_eq!(reported, known);
}

#[test]
fn the_table_has_every_flat_key() {
    let reported: BTreeSet<String> = flat_rows().into_iter().map(|(key, _)| key).collect();
    assert_eq!(reported, flat::KEYS.iter().map(|key| (*key).to_owned()).collect());
}

#[test]
fn every_example_of_images_yaml_is_accepted_and_changes_something() {
    for (path, row) in yaml_rows() {
        let key = key_of(&path);
        let examples: Vec<_> = row.examples.iter().filter(|example| example.contains_key(key)).collect();
        assert!(!examples.is_empty(), "{path} has no example");
        for example in examples {
            let config = accepted(&with(&path, example));
            let mut without = (*example).clone();
            without.remove(key);
            let unchanged = list::parse(&with(&path, &without)).config == Some(config);
            assert_eq!(unchanged, path == "apiVersion", "{path}");
        }
    }
}

#[test]
fn a_key_at_the_top_means_to_the_images_there_what_it_means_in_a_group_and_nothing_to_groups() {
    let named = json!({"name": "g", "images": ["nginx"]});
    let accepted = |document: Value| accepted(&yaml_list(&document.to_string())).groups;
    let [_, untouched] = &accepted(json!({"images": ["busybox"], "groups": [named]}))[..] else { panic!("two groups") };
    let examples = pod_key_examples();
    assert!(examples.len() >= yaml::POD_KEYS.len(), "{examples:?}");
    for example in examples {
        let mut at_the_top = json!({"images": ["busybox"], "groups": [named]});
        at_the_top.as_object_mut().expect("a mapping").extend(example.clone());
        let mut group = json!({"name": "default", "images": ["busybox"]});
        group.as_object_mut().expect("a mapping").extend(example);
        let [top, other] = &accepted(at_the_top.clone())[..] else { panic!("two groups") };
        assert_eq!(*top, accepted(json!({"groups": [group]}))[0], "{at_the_top}");
        assert_eq!(other, untouched, "{at_the_top}");
    }
}

#[test]
fn every_flat_example_is_accepted_and_changes_something() {
    for (key, row) in flat_rows() {
        let examples: Vec<_> = row.examples.iter().filter(|example| example.contains_key(&key)).collect();
        assert!(!examples.is_empty(), "{key} has no example");
        for example in examples {
            let config = accepted(&with_flat(example));
            let mut without = (*example).clone();
            without.remove(&key);
            let unchanged = accepted(&with_flat(&without)) == config;
            assert_eq!(unchanged, ["KIP_IMAGE", "NAMESPACE"].contains(&key.as_str()), "{key}");
        }
    }
}

/// The value of a range or default, as the example has it: a list where that is a list, a number where that is one.
fn like(example: &Value, text: &str) -> Value {
    match example {
        Value::Array(_) => json!([text]),
        Value::Bool(_) => Value::from(text == "true"),
        Value::Number(_) => text.parse::<i64>().map(Value::from).expect("a number"),
        _ => text.into(),
    }
}

#[test]
fn every_default_is_what_holds_without_the_key() {
    let mut defaults = 0;
    for row in rows() {
        let Some(default) = &row.default else { continue };
        for example in &row.examples {
            let yaml = row.yaml.first().map(String::as_str).filter(|path| example.contains_key(key_of(path)));
            let flat = row.flat.as_deref().filter(|key| example.contains_key(*key));
            let key = yaml.map(key_of).or(flat).expect("the example of a key");
            let mut without = example.clone();
            let value = without.remove(key).expect("the key is there");
            let mut explicit = without.clone();
            explicit.insert(key.to_owned(), like(&value, default));
            let build = |keys| yaml.map_or_else(|| with_flat(keys), |path| with(path, keys));
            assert_eq!(accepted(&build(&explicit)), accepted(&build(&without)), "{key}: {default}");
            defaults += 1;
        }
    }
    assert!(defaults >= 10, "only {defaults} defaults were found");
}

#[test]
fn every_value_that_a_range_names_is_accepted() {
    let mut values = 0;
    for (path, row) in yaml_rows() {
        let key = key_of(&path);
        for text in row.range.iter().filter(|_| path != "images[].image") {
            let mut keys = row.examples[0].clone();
            keys.insert(key.to_owned(), like(&row.examples[0][key], text));
            accepted(&with(&path, &keys));
            values += 1;
        }
    }
    for hours in ["1", "8784"] {
        accepted(&with_flat(&[("CACHING_INTERVAL_HOURS".to_owned(), hours.into())].into_iter().collect()));
    }
    assert!(values >= 10, "only {values} values were found");
}

#[test]
fn numbers_just_outside_their_range_are_refused() {
    for (path, row) in yaml_rows() {
        if path == "pullRate" {
            assert_eq!(row.range, ["0", "100000"]);
        }
        if path == "refresh.every" {
            assert_eq!(row.range, ["1m", "8784h"]);
        }
        if path == "imageCache.size" {
            assert_eq!(row.range, ["20", "32768"]);
        }
        if path == "imageCache.retentionDays" {
            assert_eq!(row.range, ["1", "65536"]);
        }
        if path == "imageCache.keepPreviousFor" {
            assert_eq!(row.range, ["0s", "8784h"]);
        }
        if path == "nodeGate.timeout" {
            assert_eq!(row.range, ["1s", "24h"]);
        }
        if path == "discover.keepFor" {
            assert_eq!(row.range, ["0s", "8784h"]);
        }
        if path == "discover.max" {
            assert_eq!(row.range, ["1", "1000"]);
        }
        if path == "discover.settle" {
            assert_eq!(row.range, ["1s", "1h"]);
        }
    }
    for outside in [
        "pullRate: -1",
        "pullRate: 100001",
        "refresh: {every: 59s}",
        "refresh: {every: 8784h 1s}",
        "imageCache: {enabled: true, size: 19}",
        "imageCache: {enabled: true, size: 32769}",
        "imageCache: {enabled: true, retentionDays: 0}",
        "imageCache: {enabled: true, retentionDays: 65537}",
        "imageCache: {enabled: true, keepPreviousFor: -1s}",
        "imageCache: {enabled: true, keepPreviousFor: 8784h 1s}",
        "nodeGate: {condition: true, timeout: 0s}",
        "nodeGate: {condition: true, timeout: 24h 1s}",
        "discover: {namespaces: [shop], keepFor: -1s}",
        "discover: {namespaces: [shop], keepFor: 8784h 1s}",
        "discover: {namespaces: [shop], max: 0}",
        "discover: {namespaces: [shop], max: 1001}",
        "discover: {namespaces: [shop], settle: 0s}",
        "discover: {namespaces: [shop], settle: 1h 1s}",
    ] {
        assert!(list::parse(&yaml_list(&format!("images: [a]\n{outside}\n"))).config.is_none(), "{outside}");
    }
    for hours in ["0", "8785"] {
        let list = list([("IMAGES", "a=b"), ("CACHING_INTERVAL_HOURS", hours)]);
        assert!(list::parse(&list).config.is_none(), "{hours}");
    }
}
