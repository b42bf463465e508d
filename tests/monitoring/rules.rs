//! The alerts: that they are well formed, fire and resolve when they should, and are documented.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::promtool::{checkout, promtool, read};

const RULES: &str = "deploy/monitoring/rules.yaml";
const OBJECT: &str = "deploy/monitoring/prometheusrule.yaml";
const PAGE: &str = "docs/alerts.md";
/// The head of the Prometheus Operator's object, whose spec is what Prometheus reads from a file.
const HEAD: &str = "\
# The rules of rules.yaml for the Prometheus Operator:
#   kubectl --namespace NAMESPACE apply --filename prometheusrule.yaml
# If your operator selects rules by label, add the label here.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: kube-prepull
  labels: {app.kubernetes.io/name: kube-prepull}
spec:
";

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn alerts() -> Vec<Value> {
    let rules = yaml(RULES);
    let alerts: Vec<Value> = items(&rules, "groups").flat_map(|group| items(group, "rules")).cloned().collect();
    assert!(alerts.iter().all(|rule| rule["alert"].is_string()), "rules that are no alerts");
    alerts
}

/// The files with promtool's tests.
fn unit_tests() -> Vec<String> {
    let folder = checkout("tests/monitoring/alerts");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let rules = checkout(RULES);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", rules.to_str().unwrap()])
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn alerts_fire_and_resolve_when_they_should() {
    let files = unit_tests();
    let arguments: Vec<&str> = ["test", "rules"].into_iter().chain(files.iter().map(String::as_str)).collect();
    promtool(&arguments).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn every_alert_is_seen_firing_and_not_firing() {
    let mut seen: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for file in unit_tests() {
        let tests: Value = serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for asked in items(&tests, "tests").flat_map(|test| items(test, "alert_rule_test")) {
            let fires = usize::from(items(asked, "exp_alerts").next().is_some());
            seen.entry(text(asked, "alertname").to_owned()).or_default()[fires] = true;
        }
    }
    let wanted: BTreeMap<String, [bool; 2]> =
        alerts().iter().map(|alert| (text(alert, "alert").to_owned(), [true, true])).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn every_alert_says_what_has_happened_and_has_a_section_of_its_own() {
    let page = read(PAGE);
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    let names: Vec<&str> = alerts.iter().map(|alert| text(alert, "alert")).collect();
    assert_eq!(sections, names, "sections of {PAGE} and alerts");
    for alert in &alerts {
        let (name, annotations) = (text(alert, "alert"), &alert["annotations"]);
        assert_eq!(text(annotations, "runbook_url"), format!("{PAGE}#{}", name.to_lowercase()));
        assert!(text(annotations, "summary").ends_with('.'), "{name}: a summary is a sentence");
        assert!(text(annotations, "description").len() > 200, "{name}: who knows nothing has to understand it");
        assert_eq!(text(&alert["labels"], "severity"), "warning", "{name}");
    }
}

#[test]
fn the_object_for_the_operator_has_the_same_rules() {
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    let rules: String = read(RULES).lines().map(indented).collect();
    let right = format!("{HEAD}{rules}");
    if std::env::var_os("UPDATE_RULES").is_some() {
        fs::write(checkout(OBJECT), &right).unwrap();
    }
    assert_eq!(read(OBJECT), right, "run UPDATE_RULES=1 cargo test --test monitoring");
    assert_eq!(yaml(OBJECT)["spec"], yaml(RULES));
}
