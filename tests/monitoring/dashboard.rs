//! The dashboard: that its queries parse, and that its panels are in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use test_bed::Prometheus;
use test_bed::prometheus::Configuration;

use super::promtool::read;

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";

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

fn prometheus() -> Prometheus {
    let interval = Duration::from_secs(60);
    let idle = Configuration { interval, rules: None, targets: Vec::new(), labels: BTreeMap::new() };
    Prometheus::start(&idle).unwrap()
}

#[test]
fn every_query_parses() {
    let prometheus = prometheus();
    let queries = queries();
    assert!(queries.len() > 20, "{}", queries.len());
    for (title, query) in queries {
        prometheus.parse(&query).unwrap_or_else(|error| panic!("{title}: {error:#}"));
    }
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
