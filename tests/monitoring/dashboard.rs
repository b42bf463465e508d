//! The dashboard: that its queries parse, and name only what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use test_bed::Prometheus;
use test_bed::prometheus::Configuration;

use super::names::{documented, named, problems};
use super::promtool::read;

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const RULES: &str = "deploy/monitoring/rules.yaml";

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

/// The queries of all panels, as Grafana sends them, with the titles of their panels.
fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), filled_in(target["expr"].as_str().unwrap())))
    };
    panels.iter().flat_map(of_panel).collect()
}

fn filled_in(query: &str) -> String {
    let filled = [("$__rate_interval", "5m"), ("$namespace", "images"), ("$list", ".*")]
        .iter()
        .fold(query.to_owned(), |query, (variable, value)| query.replace(variable, value));
    assert!(!filled.contains('$'), "a variable that there is not: {filled}");
    filled
}

fn expressions_of_alerts() -> Vec<(String, String)> {
    let rules: Value = serde_yaml::from_str(&read(RULES)).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
    rules.iter().map(|rule| (text(rule, "alert"), text(rule, "expr"))).collect()
}

fn prometheus() -> Prometheus {
    let interval = Duration::from_secs(60);
    let idle = Configuration { interval, rules: None, targets: Vec::new(), labels: BTreeMap::new(), token: None };
    Prometheus::start(&idle).unwrap()
}

#[test]
fn queries_and_alerts_name_only_metrics_and_labels_that_there_are() {
    let (prometheus, documented) = (prometheus(), documented());
    assert!(documented.len() > 20, "{documented:#?}");
    let queries: Vec<_> = queries().into_iter().chain(expressions_of_alerts()).collect();
    assert!(queries.len() > 30, "{}", queries.len());
    let wrong = queries.iter().filter_map(|(of, query)| match prometheus.parse(query) {
        Ok(tree) => Some(problems(&tree, &documented)).filter(|it| !it.is_empty()).map(|it| format!("{of}: {it:?}")),
        Err(error) => Some(format!("{of}: {error:#}")),
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_metric_is_shown_somewhere() {
    let prometheus = prometheus();
    let shown: BTreeSet<String> =
        queries().iter().flat_map(|(_, query)| named(&prometheus.parse(query).unwrap()).into_keys()).collect();
    let variables = dashboard()["templating"].to_string();
    let is_shown = |name: &String| shown.iter().any(|it| it.starts_with(name.as_str())) || variables.contains(name);
    let missing: Vec<String> = documented().into_keys().filter(|name| !is_shown(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_query_with_a_wrong_name_is_noticed() {
    let (prometheus, documented) = (prometheus(), documented());
    for query in [
        "kube_prepull_no_such_metric",
        "sum by (node) (kube_prepull_list_accepted)",
        "kube_prepull_list_accepted{group=\"default\"}",
        "kube_prepull_leader * on (list) kube_prepull_list_accepted",
    ] {
        assert_ne!(problems(&prometheus.parse(query).unwrap(), &documented), [""; 0], "{query}");
    }
    assert!(prometheus.parse("sum by (").is_err());
}

#[test]
fn every_panel_asks_the_chosen_data_source_and_has_a_place_of_its_own() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel:#}");
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + width <= 24, "{panel:#}");
        for place in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{place:?} is taken: {panel:#}");
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel:#}");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "namespace", "list"]);
}
