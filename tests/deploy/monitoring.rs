//! What the chart brings along for Prometheus and Grafana.

use std::fs;

use serde_json::{Value, json};

use super::helm::{Helm, checkout};
use super::manifests::{find, names};

const NAME: &str = "kubernetes-image-puller";
const DASHBOARD: &str = "kubernetes-image-puller-dashboard";

fn read(path: &str) -> String {
    fs::read_to_string(checkout(path)).unwrap()
}

#[test]
fn nothing_of_it_is_made_unless_it_is_asked_for() {
    let made = names(&Helm::offline("default").template(""));
    for object in [format!("PodMonitor {NAME}"), format!("PrometheusRule {NAME}"), format!("ConfigMap {DASHBOARD}")] {
        assert!(!made.contains(&object), "{made:?}");
    }
}

#[test]
fn the_alerts_are_those_of_the_rules_file_and_send_their_readers_where_they_are_told_to() {
    let rules: Value = serde_yaml::from_str(&read("deploy/monitoring/rules.yaml")).unwrap();
    let helm = Helm::offline("default");
    let made = helm.template("prometheusRule: {enabled: true, labels: {release: monitoring}}");
    let made = find(&made, "PrometheusRule", NAME);
    assert_eq!(made["spec"], rules);
    assert_eq!(made["metadata"]["labels"]["release"], "monitoring");
    let elsewhere = helm.template("prometheusRule: {enabled: true, runbookUrl: \"https://wiki.test/alerts\"}");
    let first = &find(&elsewhere, "PrometheusRule", NAME)["spec"]["groups"][0]["rules"][0];
    assert_eq!(first["annotations"]["runbook_url"], "https://wiki.test/alerts#kubeprepulllistrejected");
}

#[test]
fn the_dashboard_is_found_by_the_sidecar_of_grafana() {
    let made = Helm::offline("default").template("dashboard: {enabled: true}");
    let made = find(&made, "ConfigMap", DASHBOARD);
    assert_eq!(made["metadata"]["labels"]["grafana_dashboard"], "1");
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let shown = parse(made["data"]["kube-prepull.json"].as_str().unwrap());
    assert_eq!(shown, parse(&read("deploy/monitoring/dashboard.json")));
}

#[test]
fn the_pod_monitor_selects_the_controller_and_nothing_on_the_nodes() {
    let objects = Helm::offline("default").template("podMonitor: {enabled: true, interval: 15s}");
    let monitor = &find(&objects, "PodMonitor", NAME)["spec"];
    let pod = &find(&objects, "Deployment", NAME)["spec"]["template"];
    for (label, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value);
    }
    assert!(monitor["selector"]["matchLabels"]["app.kubernetes.io/component"].is_string());
    let endpoint = &monitor["podMetricsEndpoints"][0];
    assert_eq!(pod["spec"]["containers"][0]["ports"][0]["name"], endpoint["port"]);
    assert_eq!(endpoint["interval"], json!("15s"));
}
