//! What the documentation says of the chart is so. Its README is made of the comments in its values.yaml.

use std::fs;

use serde_json::Value;

use super::helm::{Helm, chart, checkout};

const BEGIN: &str = "<!-- values -->\n";
const END: &str = "<!-- /values -->\n";

/// A value, with the comment above it.
struct Row {
    path: String,
    meaning: String,
}

/// Every key with a comment, in order. Two spaces are one level, as in all of the file.
fn rows(text: &str) -> Vec<Row> {
    let (mut rows, mut path, mut comment) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for line in text.lines() {
        let content = line.trim_start();
        let depth = (line.len() - content.len()) / 2;
        if let Some(said) = content.strip_prefix('#') {
            comment.push(said.trim().to_owned());
            continue;
        }
        if let Some((key, _)) = content.split_once(':')
            && depth <= path.len()
            && !content.starts_with('-')
        {
            path.truncate(depth);
            path.push(key.to_owned());
            if !comment.is_empty() {
                rows.push(Row { path: path.join("."), meaning: comment.join(" ") });
            }
        }
        comment.clear();
    }
    rows
}

fn default<'a>(values: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(values, |value, key| &value[key])
}

fn table(text: &str) -> String {
    let values: Value = serde_yaml::from_str(text).unwrap();
    let head = "| value | default | meaning |\n| --- | --- | --- |\n".to_owned();
    rows(text).iter().fold(head, |table, row| {
        format!("{table}| `{}` | `{}` | {} |\n", row.path, default(&values, &row.path), row.meaning.replace('|', "\\|"))
    })
}

/// The paths of values that are neither documented nor part of one that is.
fn undocumented(value: &Value, path: &str, documented: &[Row], found: &mut Vec<String>) {
    if documented.iter().any(|row| row.path == path) {
        return;
    }
    match value.as_object().filter(|object| !object.is_empty()) {
        Some(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                undocumented(value, &path, documented, found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

#[test]
fn every_value_has_a_comment() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut found = Vec::new();
    undocumented(&serde_yaml::from_str(&text).unwrap(), "", &rows(&text), &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_readme_of_the_chart_lists_every_value() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let path = chart().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the mark before the values");
    let (written, after) = rest.split_once(END).expect("the mark after the values");
    let right = table(&text);
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{right}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, right, "run UPDATE_README=1 cargo test --test deploy documentation");
}

#[test]
fn the_page_on_node_gates_names_the_taint_of_the_chart() {
    let values: Value = serde_yaml::from_str(&fs::read_to_string(chart().join("values.yaml")).unwrap()).unwrap();
    let taint = values["nodeGate"]["taints"][0].as_str().unwrap();
    let page = fs::read_to_string(checkout("docs/node-gate.md")).unwrap();
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    // A list, and what Karpenter, EKS and the kubelet take.
    assert!(blocks.iter().filter(|block| block.contains(taint)).count() >= 4);
    for block in blocks {
        serde_yaml::from_str::<Value>(block).unwrap_or_else(|error| panic!("{error}:\n{block}"));
    }
    let (prefix, name) = taint.split_at(taint.find('/').unwrap() + 1);
    let mut named = page.split(prefix).skip(1);
    assert!(named.all(|rest| rest.starts_with(name) || rest.starts_with('`')), "another key with this prefix");
}

#[test]
fn every_right_is_documented() {
    let documented = fs::read_to_string(checkout("docs/install.md")).unwrap();
    let helm = Helm::offline("default");
    let rules = |values: &str| -> Vec<Value> {
        let objects = helm.template(values);
        objects.iter().filter_map(|object| object["rules"].as_array()).flatten().cloned().collect()
    };
    let all = rules(
        "imageCache: {enabled: true}\nmetrics: {secure: true}\nnodeGate: {enabled: true}\n\
         discovery: {namespaces: [\"*\"]}",
    );
    assert!(all.len() > 12, "{all:?}");
    // Scrapers have the other one, not the controller.
    for rule in all.iter().filter(|rule| rule["nonResourceURLs"].is_null()) {
        let texts = |key: &str| -> Vec<_> { rule[key].as_array().unwrap().iter().filter_map(Value::as_str).collect() };
        let right = format!("`{}`: {}", texts("resources").join("`, `"), texts("verbs").join(", "));
        let found = documented.split(&right).nth(1).unwrap_or_else(|| panic!("{right}"));
        let restricted = found.split('|').next().unwrap().contains("only");
        assert_eq!(restricted, !rule["resourceNames"].is_null(), "{right}");
    }
}
