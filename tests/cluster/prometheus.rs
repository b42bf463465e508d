//! A real Prometheus that scrapes the controllers of a trial and evaluates the alerts that are shipped.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use test_bed::Prometheus;
use test_bed::prometheus::{Alert, Configuration};

use super::trial::{SOON, Trial, eventually, within};

const RULES: &str = include_str!("../../deploy/helm/monitoring/rules.yaml");

/// What Prometheus sees of a trial.
pub struct Monitoring(pub Prometheus);

impl Monitoring {
    /// Scrapes these addresses every second, also where nobody listens yet.
    pub fn start(trial: &Trial, addresses: &[&str]) -> Self {
        Self::start_with(trial, addresses, None)
    }

    /// The same over TLS with a token.
    pub fn start_secure(trial: &Trial, addresses: &[&str], token: &str) -> Self {
        Self::start_with(trial, addresses, Some(token.to_owned()))
    }

    fn start_with(trial: &Trial, addresses: &[&str], token: Option<String>) -> Self {
        let labels = BTreeMap::from([("namespace".to_owned(), trial.namespace.clone())]);
        let targets = addresses.iter().map(|&address| address.to_owned()).collect();
        let rules = Some(impatient_rules());
        let configuration = Configuration { interval: Duration::from_secs(1), rules, targets, labels, token };
        Self(Prometheus::start(&configuration).unwrap())
    }

    /// An alert that is pending or fires, whose labels hold all of these.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<Alert> {
        let all = [&[("alertname", name)], labels].concat();
        let has_all =
            |alert: &Alert| all.iter().all(|(label, value)| alert.labels.get(*label).is_some_and(|it| it == value));
        self.0.alerts().unwrap().into_iter().find(has_all)
    }

    fn find_firing(&self, name: &str, labels: &[(&str, &str)]) -> Option<Alert> {
        self.find(name, labels).filter(|alert| alert.state == "firing")
    }

    /// Waits until it fires.
    pub async fn fires(&self, name: &str, labels: &[(&str, &str)]) -> Alert {
        eventually(&format!("{name} {labels:?} to fire"), async || self.find_firing(name, labels)).await
    }

    /// Waits until it fires and its summary begins with these words: what it counts may grow.
    pub async fn says(&self, name: &str, labels: &[(&str, &str)], words: &str) -> Alert {
        let says = |alert: &Alert| alert.annotations["summary"].starts_with(words);
        eventually(&format!("{name} to say: {words}"), async || self.find_firing(name, labels).filter(says)).await
    }

    /// Waits until it is neither pending nor firing.
    pub async fn resolves(&self, name: &str, labels: &[(&str, &str)]) {
        self.resolves_within(SOON, name, labels).await;
    }

    /// The same for what may take longer.
    pub async fn resolves_within(&self, limit: Duration, name: &str, labels: &[(&str, &str)]) {
        let is_over = async || self.find(name, labels).is_none().then_some(());
        within(limit, &format!("{name} {labels:?} to resolve"), is_over).await;
    }

    /// Waits until a query has an answer.
    pub async fn answers(&self, query: &str) -> f64 {
        eventually(&format!("{query} to have an answer"), async || {
            self.0.query(query).unwrap().first().map(|series| series.samples[0].1)
        })
        .await
    }

    /// The names of what fires.
    pub fn firing(&self) -> Vec<String> {
        let alerts = self.0.alerts().unwrap().into_iter().filter(|alert| alert.state == "firing");
        alerts.map(|alert| alert.labels["alertname"].clone()).collect()
    }
}

/// The alerts as they are shipped, but that none of them waits before it fires, or afterwards.
fn impatient_rules() -> String {
    let impatient = |line: &str| match line.split_once(": ") {
        Some((key @ ("    for" | "    keep_firing_for"), _)) => format!("{key}: 2s\n"),
        _ => format!("{line}\n"),
    };
    let rules: String = RULES.lines().map(impatient).collect();
    assert_eq!(expressions(&rules), expressions(RULES));
    rules
}

/// The alerts and their expressions.
fn expressions(rules: &str) -> Vec<(Value, Value)> {
    let rules: Value = serde_yaml::from_str(rules).unwrap();
    let alerts = rules["groups"][0]["rules"].as_array().unwrap();
    alerts.iter().map(|rule| (rule["alert"].clone(), rule["expr"].clone())).collect()
}
