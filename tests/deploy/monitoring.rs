//! What the chart brings along for Prometheus and Grafana.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use test_bed::wait;

use super::helm::{Helm, checkout};
use super::manifests::{find, names};
use super::namespace::Namespace;

const NAME: &str = "kubernetes-image-puller";
const DASHBOARD: &str = "kubernetes-image-puller-dashboard";

fn read(path: &str) -> String {
    fs::read_to_string(checkout(path)).unwrap()
}

#[test]
fn nothing_of_it_is_made_unless_it_is_asked_for() {
    let made = names(&Helm::offline("default").template(""));
    for object in [
        format!("PodMonitor {NAME}"),
        format!("ServiceMonitor {NAME}"),
        format!("PrometheusRule {NAME}"),
        format!("ConfigMap {DASHBOARD}"),
    ] {
        assert!(!made.contains(&object), "{made:?}");
    }
}

#[test]
fn the_alerts_are_those_of_the_rules_file_and_send_their_readers_to_the_configured_url() {
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
fn the_service_names_the_port_of_every_controller_and_the_service_monitor_selects_it() {
    let objects = Helm::offline("default")
        .template("serviceMonitor: {enabled: true, interval: 15s, labels: {release: monitoring}}");
    let (service, monitor) =
        (find(&objects, "Service", &format!("{NAME}-metrics")), find(&objects, "ServiceMonitor", NAME));
    let pod = &find(&objects, "Deployment", NAME)["spec"]["template"];
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value, "{label}");
    }
    assert_eq!(service["spec"]["ports"][0]["targetPort"], pod["spec"]["containers"][0]["ports"][0]["name"]);
    // Scrapes that are configured by hand go by these.
    assert_eq!(
        service["spec"]["ports"],
        json!([{"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}])
    );
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&service["metadata"]["labels"][label], value, "{label}");
    }
    assert_ne!(service["metadata"]["labels"]["app.kubernetes.io/component"], json!("controller"));
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["interval"]), (&service["spec"]["ports"][0]["name"], &json!("15s")));
    assert_eq!(monitor["metadata"]["labels"]["release"], "monitoring");
}

#[test]
fn what_would_scrape_nothing_or_everything_twice_is_refused() {
    let helm = Helm::offline("default");
    for (values, words) in [
        ("serviceMonitor: {enabled: true}\nmetricsService: {enabled: false}", "needs metricsService.enabled"),
        ("serviceMonitor: {enabled: true}\npodMonitor: {enabled: true}", "counted twice"),
        ("metrics: {secure: true}\npodMonitor: {enabled: true}", "needs podMonitor.authorization"),
    ] {
        let said = helm.rejection(values);
        assert!(said.contains(words), "{said}");
    }
}

/// The parts of the operator's definitions that are used here, with everything else forbidden. See
/// <https://prometheus-operator.dev/docs/api-reference/api/>.
fn definition(kind: &str, endpoints: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let text = json!({"type": "string"});
    let mut endpoint = json!({
        "type": "object",
        "properties": {
            "port": text, "path": text, "honorLabels": {"type": "boolean"},
            "interval": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"},
            "scheme": {"type": "string", "enum": ["http", "https"]},
            "tlsConfig": {"type": "object", "properties": {"insecureSkipVerify": {"type": "boolean"}, "serverName": text}},
            "authorization": {"type": "object", "properties": {
                "type": text,
                "credentials": {"type": "object", "required": ["key"], "properties": {"name": text, "key": text}},
            }},
        },
    });
    if kind == "ServiceMonitor" {
        endpoint["properties"]["bearerTokenFile"] = text.clone();
    }
    let selector = json!({
        "type": "object",
        "properties": {"matchLabels": {"type": "object", "additionalProperties": text}},
    });
    let spec = json!({
        "type": "object", "required": ["selector", endpoints],
        "properties": {"selector": selector, endpoints: {"type": "array", "items": endpoint}},
    });
    let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": spec}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// The definitions, which go with the value.
struct Operator<'n>(&'n Namespace);

const DEFINITIONS: [(&str, &str); 2] = [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")];

impl<'n> Operator<'n> {
    fn install(namespace: &'n Namespace) -> Self {
        let operator = Self(namespace);
        for (kind, endpoints) in DEFINITIONS {
            let name = operator.apply(&definition(kind, endpoints));
            let established = ["wait", "--for=condition=Established", "--timeout=60s", name.trim()];
            namespace.kubectl(&established).unwrap();
        }
        operator.wait_until_known();
        operator
    }

    /// Waits until kubectl finds the kinds: the API server names a kind a moment after it has said that it is established.
    fn wait_until_known(&self) {
        let known = || self.0.kubectl(&["api-resources", "--api-group=monitoring.coreos.com", "-o", "name"]);
        let waited = wait::until("the monitors to be known", Duration::from_secs(60), || {
            let named = known().unwrap_or_default();
            let all = DEFINITIONS.iter().all(|(kind, _)| named.contains(&format!("{}s.", kind.to_lowercase())));
            Ok(all.then_some(()))
        });
        waited.unwrap();
    }

    fn apply(&self, definition: &Value) -> String {
        let file = std::env::temp_dir().join(format!("{}-definition.json", self.0.name));
        fs::write(&file, definition.to_string()).unwrap();
        let applied = self.0.kubectl(&["apply", "--server-side", "-o", "name", "-f", file.to_str().unwrap()]);
        fs::remove_file(&file).unwrap();
        applied.unwrap()
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        for (kind, _) in DEFINITIONS {
            let name = format!("customresourcedefinition/{}s.monitoring.coreos.com", kind.to_lowercase());
            drop(self.0.kubectl(&["delete", "--ignore-not-found", "--wait=false", &name]));
        }
    }
}

#[test]
fn the_api_server_accepts_the_monitors_where_it_knows_them() {
    let namespace = Namespace::create("monitors");
    let _operator = Operator::install(&namespace);
    let helm = Helm::offline(&namespace.name);
    let authorization = "authorization: {credentials: {name: scraper, key: token}}";
    for values in [
        "serviceMonitor: {enabled: true, interval: 15s}",
        "podMonitor: {enabled: true, interval: 1m30s}",
        "metrics: {secure: true}\nserviceMonitor: {enabled: true}",
        &format!("metrics: {{secure: true}}\nserviceMonitor: {{enabled: true, {authorization}}}"),
        &format!("metrics: {{secure: true}}\npodMonitor: {{enabled: true, {authorization}}}"),
    ] {
        let mut objects = helm.template(values);
        objects.retain(|object| object["apiVersion"] == "monitoring.coreos.com/v1");
        assert_eq!(objects.len(), 1, "{values}");
        namespace.accepts(&objects);
    }
}

#[test]
fn secure_metrics_have_a_port_of_their_own_and_are_scraped_with_a_token_over_tls() {
    let readers = "readers: [{name: prometheus-k8s, namespace: monitoring}]";
    let values = format!("metrics: {{secure: true, certSecret: cert, {readers}}}\nserviceMonitor: {{enabled: true}}");
    let objects = Helm::offline("default").template(&values);
    let endpoint = &find(&objects, "ServiceMonitor", NAME)["spec"]["endpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["scheme"]), (&json!("https"), &json!("https")));
    assert_eq!(endpoint["bearerTokenFile"], "/var/run/secrets/kubernetes.io/serviceaccount/token");
    let port = &find(&objects, "Service", &format!("{NAME}-metrics"))["spec"]["ports"][0];
    assert_eq!(port, &json!({"name": "https", "port": 8443, "targetPort": "https", "protocol": "TCP"}));
    let pod = &find(&objects, "Deployment", NAME)["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["ports"][0], json!({"name": "https", "containerPort": 8443, "protocol": "TCP"}));
    assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/livez", "port": "probes"}));
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "cert");
    let folder = &container["volumeMounts"][0]["mountPath"];
    for variable in [
        json!({"name": "SECURE_METRICS", "value": "true"}),
        json!({"name": "METRICS_LISTEN", "value": "0.0.0.0:8443"}),
        json!({"name": "METRICS_CERT_DIR", "value": folder}),
    ] {
        assert!(container["env"].as_array().unwrap().contains(&variable), "{variable}");
    }
    let binding = find(&objects, "ClusterRoleBinding", &format!("kube-prepull:default:{NAME}:metrics-reader"));
    let reader = json!([{"kind": "ServiceAccount", "name": "prometheus-k8s", "namespace": "monitoring"}]);
    assert_eq!(binding["subjects"], reader);
}

#[test]
fn rights_to_check_tokens_come_with_secure_metrics_only() {
    let helm = Helm::offline("default");
    let plain = serde_json::to_string(&helm.template("")).unwrap();
    assert!(
        !plain.contains("tokenreviews") && !plain.contains("METRICS_CERT_DIR") && !plain.contains("nonResourceURLs")
    );
    let secure = helm.template("metrics: {secure: true}");
    let rules = find(&secure, "ClusterRole", &format!("kube-prepull:default:{NAME}:metrics-review"))["rules"].clone();
    assert_eq!(rules[0]["resources"], json!(["tokenreviews"]));
    assert_eq!(rules[1]["resources"], json!(["subjectaccessreviews"]));
    let bindings = secure.iter().filter(|it| it["kind"] == "ClusterRoleBinding");
    let readers = bindings.filter(|it| it["metadata"]["name"].as_str().unwrap().ends_with(":metrics-reader"));
    assert_eq!(readers.count(), 0, "nobody is a reader unless named");
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
