//! The OpenShift templates, expanded as `oc process --local` does.

use std::collections::BTreeMap;
use std::fs;

use kube_prepull::list::parse;
use serde_json::{Value, json};

use super::helm::{Helm, checkout};
use super::manifests::{find, list_data};
use super::namespace::Namespace;

/// A template and its parameters' defaults.
struct Template {
    objects: Vec<Value>,
    labels: Value,
    defaults: BTreeMap<String, String>,
}

impl Template {
    fn read(name: &str) -> Self {
        let text = fs::read_to_string(checkout(&format!("deploy/openshift/{name}.yaml"))).unwrap();
        let template: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (&template["apiVersion"], &template["kind"]),
            (&json!("template.openshift.io/v1"), &json!("Template"))
        );
        let parameters = template["parameters"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{name}: {value} is no text")).to_owned();
        Self {
            objects: template["objects"].as_array().unwrap().clone(),
            labels: template["labels"].clone(),
            defaults: parameters.iter().map(|it| (text(&it["name"]), text(&it["value"]))).collect(),
        }
    }

    /// As `oc process --local -p NAME=value…`, which refuses parameters that the template does not have.
    fn process(&self, arguments: &[(&str, &str)]) -> Vec<Value> {
        let mut values = self.defaults.clone();
        for (name, value) in arguments {
            assert!(values.insert((*name).to_owned(), (*value).to_owned()).is_some(), "there is no parameter {name}");
        }
        let mut objects = self.objects.clone();
        for object in &mut objects {
            expand(object, &values);
            for (key, value) in self.labels.as_object().unwrap() {
                object["metadata"]["labels"][key] = value.clone();
            }
        }
        objects
    }
}

/// Replaces `${NAME}` within texts, and a text that is `${{NAME}}` by the JSON that the value is, or by its text where it is none.
/// See <https://docs.openshift.com/container-platform/latest/openshift_images/using-templates.html>.
fn expand(value: &mut Value, values: &BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| expand(item, values)),
        Value::Object(object) => object.values_mut().for_each(|item| expand(item, values)),
        Value::String(text) => {
            let whole = text.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
            if let Some(given) = whole.and_then(|name| values.get(name)) {
                *value = serde_json::from_str(given).unwrap_or_else(|_| json!(given));
                return;
            }
            for (name, given) in values {
                *text = text.replace(&format!("${{{name}}}"), given);
            }
            assert!(!text.contains("${"), "{text} has a parameter that the template does not have");
        }
        _ => {}
    }
}

const TEMPLATES: [&str; 10] = [
    "serviceaccount",
    "nodes",
    "users",
    "imagecaches",
    "secure-metrics",
    "node-gate",
    "discovery",
    "all-namespaces",
    "configmap",
    "app",
];

/// What all templates give with their defaults.
pub fn defaults() -> Vec<Value> {
    TEMPLATES.iter().flat_map(|name| Template::read(name).process(&[])).collect()
}

/// What all templates but that of the list give with these parameters, where they have them.
pub fn all_but_the_list(arguments: &[(&str, &str)]) -> Vec<Value> {
    let optional = ["configmap", "secure-metrics", "node-gate", "discovery", "all-namespaces"];
    let others = TEMPLATES.iter().filter(|name| !optional.contains(*name)).chain(&["servicemonitor"]);
    others.flat_map(|name| with_known(name, arguments)).collect()
}

/// The same with node gates for that taint.
pub fn all_but_the_list_with_node_gate(arguments: &[(&str, &str)], taint: &str) -> Vec<Value> {
    let tolerations = json!([{"key": taint, "operator": "Exists"}]).to_string();
    let of_gate = [("NODE_GATE_TAINTS", taint), ("DEPLOYMENT_TOLERATIONS", tolerations.as_str())];
    let arguments = [arguments, &of_gate].concat();
    let mut objects = all_but_the_list(&arguments);
    objects.extend(with_known("node-gate", &arguments));
    objects
}

/// The same with discovery in these namespaces, for each of which the template with the rights is processed.
pub fn all_but_the_list_with_discovery(arguments: &[(&str, &str)], namespaces: &[&str]) -> Vec<Value> {
    let all = namespaces.join(",");
    let mut objects = all_but_the_list(&[arguments, &[("DISCOVER_NAMESPACES", all.as_str())]].concat());
    let rights = namespaces.iter().map(|namespace| [arguments, &[("WORKLOAD_NAMESPACE", *namespace)]].concat());
    objects.extend(rights.flat_map(|arguments| with_known("discovery", &arguments)));
    objects
}

/// The same for lists in all namespaces.
pub fn all_but_the_list_in_all_namespaces(arguments: &[(&str, &str)]) -> Vec<Value> {
    let mut objects = all_but_the_list(&[arguments, &[("ALL_NAMESPACES", "true")]].concat());
    objects.extend(with_known("all-namespaces", arguments));
    objects
}

/// What a template gives with those of the parameters that it has.
fn with_known(template: &str, arguments: &[(&str, &str)]) -> Vec<Value> {
    let template = Template::read(template);
    let arguments = arguments.iter().filter(|(name, _)| template.defaults.contains_key(*name));
    template.process(&arguments.copied().collect::<Vec<_>>())
}

/// Parameters that a user of kubernetes-image-puller gives, with its defaults where it has any; "" is another.
const FORMER: [(&str, &[&str]); 3] = [
    ("serviceaccount", &["SERVICEACCOUNT_NAME"]),
    (
        "configmap",
        &[
            "IMAGES",
            "DAEMONSET_NAME",
            "CACHING_INTERVAL_HOURS",
            "NAMESPACE",
            "CACHING_MEMORY_REQUEST",
            "CACHING_MEMORY_LIMIT",
            "CACHING_CPU_REQUEST",
            "CACHING_CPU_LIMIT",
            "NODE_SELECTOR",
            "IMAGE_PULL_SECRETS",
            "AFFINITY",
            "KIP_IMAGE",
            "TOLERATIONS",
        ],
    ),
    (
        "app",
        &[
            "DEPLOYMENT_NAME",
            "SERVICEACCOUNT_NAME",
            "IMAGE",
            "IMAGE_TAG",
            "PRIORITY_CLASS_NAME",
            "DEPLOYMENT_CPU_REQUEST",
            "DEPLOYMENT_MEMORY_REQUEST",
            "DEPLOYMENT_CPU_LIMIT",
            "DEPLOYMENT_MEMORY_LIMIT",
        ],
    ),
];

#[test]
fn every_parameter_of_kubernetes_image_puller_is_there() {
    for (template, parameters) in FORMER {
        let known = Template::read(template).defaults;
        for parameter in parameters {
            assert!(known.contains_key(*parameter), "{template}: {parameter}");
        }
    }
}

#[test]
fn the_api_server_accepts_what_the_defaults_give() {
    let namespace = Namespace::create("templates");
    for template in TEMPLATES {
        namespace.accepts(&Template::read(template).process(&[]));
    }
}

/// Another value than the default of a parameter, of its kind.
fn another(parameter: &str) -> &'static str {
    match parameter {
        "IMAGES" => "app=ghcr.io/acme/app:2;",
        "CACHING_INTERVAL_HOURS" => "12",
        "CACHING_MEMORY_REQUEST" => "10Mi",
        "CACHING_MEMORY_LIMIT" | "DEPLOYMENT_MEMORY_LIMIT" => "300Mi",
        "CACHING_EPHEMERAL_STORAGE_REQUEST" => "1Mi",
        "CACHING_EPHEMERAL_STORAGE_LIMIT" => "50Mi",
        "DEPLOYMENT_MEMORY_REQUEST" => "64Mi",
        "CACHING_CPU_REQUEST" | "DEPLOYMENT_CPU_REQUEST" => ".05",
        "CACHING_CPU_LIMIT" | "DEPLOYMENT_CPU_LIMIT" => ".2",
        "DAEMONSET_ANNOTATIONS" | "NODE_SELECTOR" | "POD_LABELS" | "POD_ANNOTATIONS" | "IMAGE_CACHE_ANNOTATIONS" => {
            r#"{"example.com/key": "value"}"#
        }
        "IMAGE_PULL_SECRETS" => "one;two",
        "AFFINITY" => r#"{"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}"#,
        "TOLERATIONS" | "DEPLOYMENT_TOLERATIONS" => r#"[{"key": "gpu", "operator": "Exists"}]"#,
        "ARCHITECTURES" => "amd64;arm64",
        "REFRESH_SCHEDULE" => "0 3 * * *",
        "REFRESH_MODE" => "Recreate",
        "PULL_RATE" | "REPLICAS" | "IMAGES_PER_POD" | "PARALLEL_PULLS" => "2",
        "HOST_USERS" => "false",
        "IMAGE_CACHE" | "NODE_GATE_CONDITION" => "true",
        "IMAGE_CACHE_PLATFORMS" => "linux/amd64;linux/arm64",
        "IMAGE_CACHE_KEEP_PREVIOUS_FOR" | "NODE_GATE_TIMEOUT" => "30m",
        "NODE_GATE_TAINT" | "NODE_GATE_TAINTS" => "example.com/images",
        "NODE_GATE_WAIT_FOR" => "che-code",
        "EVENTS_NAMESPACE" | "WORKLOAD_NAMESPACE" => "kube-system",
        "DISCOVER_NAMESPACES" => "shop,checkout",
        "IMAGE_CACHE_SIZE" | "IMAGE_CACHE_RETENTION_DAYS" => "40",
        "NAMESPACED_ONLY" | "SECURE_METRICS" => "true",
        "METRICS_PORT" => "8443",
        "METRICS_PORT_NAME" => "https",
        "LOG_FORMAT" => "human",
        "LOG_LEVEL" => "debug",
        "PLATFORM" => "openshift",
        "POLICY" => r#"{"maxImages": 5}"#,
        "IMAGE" | "KIP_IMAGE" => "registry.test:5000/kube-prepull",
        _ => "another",
    }
}

#[test]
fn the_api_server_accepts_every_parameter_changed() {
    let namespace = Namespace::create("parameters");
    for name in TEMPLATES {
        let template = Template::read(name);
        let before = template.process(&[]);
        // One at a time shows which one does nothing; all at once is one request to the server.
        for parameter in template.defaults.keys() {
            let changed = template.process(&[(parameter, another(parameter))]);
            assert_ne!(before, changed, "{name}: {parameter} changes nothing");
        }
        let all: Vec<_> = template.defaults.keys().map(|it| (it.as_str(), another(it))).collect();
        namespace.accepts(&template.process(&all));
    }
}

#[test]
fn the_list_is_accepted_with_every_default_and_with_every_parameter_changed() {
    let template = Template::read("configmap");
    for parameter in [None].into_iter().chain(template.defaults.keys().map(Some)) {
        // A zone counts only beside a schedule.
        let mut arguments = match parameter.map(String::as_str) {
            None => vec![],
            Some("REFRESH_TIME_ZONE") => {
                vec![("REFRESH_SCHEDULE", "0 3 * * *"), ("REFRESH_TIME_ZONE", "Europe/Berlin")]
            }
            Some(parameter) => vec![(parameter, another(parameter))],
        };
        let namespace = if parameter.is_some_and(|it| it == "NAMESPACE") { "another" } else { "k8s-image-puller" };
        arguments.sort_unstable();
        let mut list = list_data(&template.process(&arguments)[0]);
        namespace.clone_into(&mut list.namespace);
        let parsed = parse(&list);
        // The others of the ImageCache and of the node gate say nothing where it is not asked for.
        let reported = |name: &str| {
            ["KIP_IMAGE", "NODE_GATE_WAIT_FOR", "NODE_GATE_TIMEOUT"].contains(&name) || name.starts_with("IMAGE_CACHE_")
        };
        let expected = usize::from(parameter.is_some_and(|it| reported(it)));
        assert_eq!(parsed.problems.len(), expected, "{arguments:?}: {:?}", parsed.problems);
        assert!(parsed.config.is_some(), "{arguments:?}");
    }
}

#[test]
fn every_flat_key_is_a_parameter() {
    let template = Template::read("configmap");
    for key in kube_prepull::list::flat::KEYS {
        assert!(template.defaults.contains_key(*key), "{key}");
        assert_eq!(template.objects[0]["data"][key], format!("${{{key}}}"), "{key}");
    }
}

/// `oc process` removes the namespace of an object unless it comes from a parameter: see
/// <https://docs.openshift.com/container-platform/latest/openshift_images/using-templates.html>.
#[test]
fn no_namespace_of_an_object_is_lost() {
    for template in TEMPLATES {
        for object in Template::read(template).objects {
            let namespace = object["metadata"]["namespace"].as_str();
            assert!(namespace.is_none_or(|it| it.starts_with("${")), "{template}: {object}");
        }
    }
}

#[test]
fn no_user_is_named() {
    for template in TEMPLATES {
        let text = serde_json::to_string(&Template::read(template).objects).unwrap();
        assert!(!text.contains("runAsUser") && !text.contains("fsGroup"), "{template}: {text}");
    }
}

#[test]
fn secure_metrics_are_those_of_the_chart() {
    let values = "configMap: {managedBy: none}\nnamespacedOnly: true\nmetrics: {secure: true}\nserviceMonitor:\n  enabled: true\n  \
                  interval: 30s\n  authorization: {credentials: {name: kubernetes-image-puller-scraper, key: token}}\n";
    let chart = Helm::offline("k8s-image-puller").template(values);
    let rules = |objects: &[Value]| -> Vec<Value> {
        objects.iter().filter(|it| it["kind"] == "ClusterRole").map(|it| it["rules"].clone()).collect()
    };
    let rights = Template::read("secure-metrics").process(&[]);
    assert_eq!(rules(&rights), rules(&chart));
    let secure = [("SECURE_METRICS", "true"), ("METRICS_PORT", "8443"), ("METRICS_PORT_NAME", "https")];
    let app = Template::read("app").process(&secure);
    for (kind, name) in [("Deployment", ""), ("Service", "-metrics")] {
        let of = |objects: &[Value]| {
            let found = find(objects, kind, &format!("kubernetes-image-puller{name}"));
            let container = &found["spec"]["template"]["spec"]["containers"][0];
            let secured = |it: &&Value| it["name"].as_str().is_some_and(|it| it.contains("METRICS"));
            let variables: Vec<_> =
                container["env"].as_array().into_iter().flatten().filter(secured).cloned().collect();
            (container["ports"].clone(), container["livenessProbe"].clone(), variables, found["spec"]["ports"].clone())
        };
        assert_eq!(of(&app), of(&chart), "{kind}");
    }
    let monitor = Template::read("servicemonitor-secure").process(&[]);
    let monitor = find(&monitor, "ServiceMonitor", "kubernetes-image-puller");
    assert_eq!(monitor["spec"], find(&chart, "ServiceMonitor", "kubernetes-image-puller")["spec"]);
}

/// The templates have the label of kubernetes-image-puller's, whatever the Deployment is called.
#[test]
fn the_monitor_selects_the_service() {
    let objects = all_but_the_list(&[("DEPLOYMENT_NAME", "another")]);
    let service = find(&objects, "Service", "another-metrics");
    let monitor = find(&objects, "ServiceMonitor", "another");
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&service["metadata"]["labels"][label], value, "{label}");
    }
}

#[test]
fn the_controller_may_read_its_own_deployment_whatever_that_is_called() {
    let objects = Template::read("app").process(&[("DEPLOYMENT_NAME", "another"), ("SERVICEACCOUNT_NAME", "puller")]);
    assert_eq!(find(&objects, "Role", "another-owner")["rules"][0]["resourceNames"], json!(["another"]));
    let binding = find(&objects, "RoleBinding", "another-owner");
    assert_eq!(
        (&binding["roleRef"]["name"], &binding["subjects"][0]["name"]),
        (&json!("another-owner"), &json!("puller"))
    );
}
