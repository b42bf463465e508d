//! The metrics and labels that queries name, and those that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::promtool::read;

/// What Prometheus adds to all that it scrapes in a cluster, or somebody who collects from several.
const OF_TARGETS: [&str; 2] = ["namespace", "cluster"];

/// A metric that there is: its labels, and whether it is a histogram.
#[derive(Debug)]
pub struct Documented {
    labels: BTreeSet<String>,
    histogram: bool,
}

/// The table of metrics for users.
pub fn documented() -> BTreeMap<String, Documented> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `kube_prepull_"));
    let metrics = rows.map(|row| {
        let mut cells = row.split('|');
        let name = cells.next().and_then(|cell| cell.split('`').next()).unwrap_or_default();
        let kind = cells.next().unwrap_or_default();
        let labels = cells.next().unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned);
        (format!("kube_prepull_{name}"), Documented { labels: labels.collect(), histogram: kind.contains("histogram") })
    });
    metrics.collect()
}

/// What is wrong with the names in a query, given its syntax tree.
pub fn problems(tree: &Value, documented: &BTreeMap<String, Documented>) -> Vec<String> {
    let mut problems = Vec::new();
    for (metric, labels) in named(tree) {
        let Some((known, bucket)) = find(&metric, documented) else {
            problems.push(format!("there is no metric {metric}"));
            continue;
        };
        let is_known =
            |label: &str| known.labels.contains(label) || OF_TARGETS.contains(&label) || bucket && label == "le";
        problems.extend(labels.iter().filter(|label| !is_known(label)).map(|label| format!("{metric} has no {label}")));
    }
    problems
}

/// The metric of that name, or the histogram that it is a part of, and whether it has buckets.
fn find<'a>(name: &str, documented: &'a BTreeMap<String, Documented>) -> Option<(&'a Documented, bool)> {
    let histogram = |suffix| documented.get(name.strip_suffix(suffix)?).filter(|it| it.histogram);
    match documented.get(name) {
        Some(metric) => Some((metric, false)),
        None => histogram("_bucket")
            .map(|it| (it, true))
            .or_else(|| histogram("_sum").or_else(|| histogram("_count")).map(|it| (it, false))),
    }
}

/// Every metric, with the labels that select, group or match its series.
pub fn named(tree: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    collect(tree, &BTreeSet::new(), &mut found);
    found
}

fn collect(node: &Value, around: &BTreeSet<String>, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    match node {
        Value::Object(fields) => {
            let mut labels = around.clone();
            labels.extend(texts(&node["grouping"]));
            labels.extend(texts(&node["matching"]["labels"]));
            if matches!(node["type"].as_str(), Some("vectorSelector" | "matrixSelector")) {
                let matchers = node["matchers"].as_array().into_iter().flatten();
                let names = matchers.filter_map(|matcher| matcher["name"].as_str());
                labels.extend(names.filter(|name| *name != "__name__").map(str::to_owned));
                found.entry(node["name"].as_str().unwrap_or_default().to_owned()).or_default().extend(labels);
            } else {
                fields.values().for_each(|field| collect(field, &labels, found));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, around, found)),
        _ => {}
    }
}
