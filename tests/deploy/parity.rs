//! The kustomize manifests and the OpenShift templates are what the chart gives with the same names, object by object.

use serde_json::{Value, json};

use super::helm::{Helm, checkout};
use super::manifests::{documents, names};
use super::{kustomize, openshift};

/// What is optional: the chart has values for it, the others have files.
const OPTIONAL: &str = "imageCache: {enabled: true}\nserviceMonitor: {enabled: true}\nconfigMap: {managedBy: none}\n";

/// What the chart gives, without hooks: they belong to Helm.
fn chart(namespace: &str, values: &str) -> Vec<Value> {
    let hook = |object: &Value| !object["metadata"]["annotations"]["helm.sh/hook"].is_null();
    let mut objects = Helm::offline(namespace).template(values);
    objects.retain(|object| !hook(object));
    objects
}

fn remove(object: &mut Value, parent: &str, keys: &[&str]) {
    let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    for key in keys {
        parent.remove(*key);
    }
}

/// Without the labels of Helm and of a release.
fn without_helm(mut object: Value) -> Value {
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        remove(&mut object, labels, &["app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"]);
    }
    object
}

fn assert_same(ours: Vec<Value>, theirs: Vec<Value>) {
    let sorted = |mut objects: Vec<Value>| {
        objects
            .sort_by_key(|object| (names(std::slice::from_ref(object)), object["metadata"]["namespace"].to_string()));
        objects
    };
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    assert_eq!(names(&ours), names(&theirs));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "{:?}", names(std::slice::from_ref(ours)));
    }
}

#[test]
fn the_manifests_with_all_optional_ones_are_what_the_chart_gives() {
    assert_manifests(kustomize::built_with_options(), OPTIONAL);
}

#[test]
fn the_manifests_with_secure_metrics_are_what_the_chart_gives() {
    assert_manifests(kustomize::secured(), "metrics: {secure: true}\nconfigMap: {managedBy: none}\n");
}

#[test]
fn the_manifests_with_node_gates_are_what_the_chart_gives() {
    assert_manifests(kustomize::gated(), "nodeGate: {enabled: true}\nconfigMap: {managedBy: none}\n");
}

#[test]
fn the_manifests_with_discovery_are_what_the_chart_gives() {
    let ours = kustomize::discovering().into_iter().map(|mut object| {
        // It is where the transformer takes the namespace from.
        remove(&mut object, "/metadata", &["annotations"]);
        object
    });
    assert_manifests(ours.collect(), "discovery: {namespaces: [default]}\nconfigMap: {managedBy: none}\n");
}

#[test]
fn the_manifests_for_all_namespaces_are_what_the_chart_gives() {
    assert_manifests(kustomize::in_all_namespaces(), "scope: cluster\nconfigMap: {managedBy: none}\n");
}

#[test]
fn the_monitor_of_secure_metrics_is_the_charts() {
    let text = std::fs::read_to_string(checkout("deploy/kustomize/servicemonitor-secure.yaml")).unwrap();
    let ours = documents(&text).into_iter().map(|mut object| {
        object["metadata"]["namespace"] = kustomize::NAMESPACE.into();
        object
    });
    let values = "deploymentName: kube-prepull\nserviceMonitor: {enabled: true}\nmetrics: {secure: true}\n";
    let mut chart = chart(kustomize::NAMESPACE, values);
    chart.retain(|object| object["kind"] == "ServiceMonitor");
    assert_same(ours.collect(), chart.into_iter().map(without_helm).collect());
}

fn assert_manifests(mut ours: Vec<Value>, values: &str) {
    let values = format!("{values}deploymentName: kube-prepull\nserviceAccount: {{name: kube-prepull}}\n");
    let chart = chart(kustomize::NAMESPACE, &values).into_iter().map(|object| {
        let mut object = without_helm(object);
        // The chart's own list has no label if it is not the chart's.
        if let Some(Value::Array(variables)) = object.pointer_mut("/spec/template/spec/containers/0/env") {
            variables.retain(|variable| variable["name"] != "CONFIG_MAPS");
        }
        in_order(object)
    });
    ours.retain(|object| object["kind"] != "Namespace");
    assert_same(ours.into_iter().map(in_order).collect(), chart.collect());
}

/// A patch changes the order of variables and ports, which says nothing.
fn in_order(mut object: Value) -> Value {
    for list in ["env", "ports"] {
        if let Some(Value::Array(list)) = object.pointer_mut(&format!("/spec/template/spec/containers/0/{list}")) {
            list.sort_by_key(|it| it["name"].to_string());
        }
    }
    object
}

#[test]
fn optional_manifests_are_left_out_by_default() {
    let text = serde_json::to_string(&kustomize::built()).unwrap();
    assert!(!text.contains("imagecaches") && !text.contains("ServiceMonitor"), "{text}");
    assert!(!text.contains("node-gate") && !text.contains("NODE_GATE") && !text.contains("tolerations"), "{text}");
    assert!(!text.contains("discovery") && !text.contains("DISCOVER"), "{text}");
    assert!(!text.contains("ALL_NAMESPACES"), "{text}");
}

/// The right to read the Deployment is in the template that has its name. The chart has it in the Role.
fn with_the_right_of_the_app(objects: Vec<Value>, name: &str) -> Vec<Value> {
    let role_of_app = |object: &Value| object["metadata"]["name"] == format!("{name}-owner");
    let (of_app, mut others): (Vec<_>, Vec<_>) = objects.into_iter().partition(role_of_app);
    let role = others.iter_mut().find(|object| object["kind"] == "Role").unwrap();
    let rules = of_app.iter().flat_map(|object| object["rules"].as_array().cloned().unwrap_or_default());
    role["rules"].as_array_mut().unwrap().extend(rules);
    let binding = others.iter().find(|object| object["kind"] == "RoleBinding").unwrap();
    let its = of_app.iter().find(|object| object["kind"] == "RoleBinding").unwrap();
    assert_eq!(its["subjects"], binding["subjects"]);
    others
}

fn with_sorted_rules(mut object: Value) -> Value {
    if let Some(Value::Array(rules)) = object.get_mut("rules") {
        rules.sort_by_key(ToString::to_string);
    }
    object
}

/// The name of the Deployment and of its ServiceAccount in both.
const TEMPLATES_NAME: &str = "kubernetes-image-puller";

#[test]
fn the_templates_are_what_the_chart_gives() {
    assert_templates(openshift::all_but_the_list(&[("SERVICEACCOUNT_NAME", TEMPLATES_NAME)]), "");
}

#[test]
fn the_templates_with_node_gates_are_what_the_chart_gives() {
    let arguments = [("SERVICEACCOUNT_NAME", TEMPLATES_NAME)];
    let ours = openshift::all_but_the_list_with_node_gate(&arguments, "example.com/images");
    assert_templates(ours, "nodeGate: {enabled: true, taints: [example.com/images]}\n");
}

#[test]
fn the_templates_with_discovery_are_what_the_chart_gives() {
    let arguments = [("SERVICEACCOUNT_NAME", TEMPLATES_NAME)];
    let ours = openshift::all_but_the_list_with_discovery(&arguments, &["shop", "checkout"]);
    assert_templates(ours, "discovery: {namespaces: [shop, checkout]}\n");
}

#[test]
fn the_templates_for_all_namespaces_are_what_the_chart_gives() {
    let ours = openshift::all_but_the_list_in_all_namespaces(&[("SERVICEACCOUNT_NAME", TEMPLATES_NAME)]);
    assert_templates(ours, "scope: cluster\n");
}

fn assert_templates(ours: Vec<Value>, more: &str) {
    let namespace = "k8s-image-puller";
    let values = format!(
        "{OPTIONAL}serviceAccount: {{name: {TEMPLATES_NAME}}}\n{more}\
         resources: {{requests: {{cpu: 10m, memory: 24Mi}}, limits: {{cpu: \"1\", memory: 128Mi}}}}\n"
    );
    let chart = chart(
        namespace,
        &format!("{values}\n").replace("{enabled: true}\nconfigMap", "{enabled: true, interval: 30s}\nconfigMap"),
    );
    let chart = chart.into_iter().map(|object| {
        let mut object = without_helm(object);
        remove(&mut object, "/metadata/labels", &["app.kubernetes.io/version"]);
        // `oc apply` writes to the project that is in use.
        if object["metadata"]["namespace"] == namespace {
            remove(&mut object, "/metadata", &["namespace"]);
            if object["kind"] == "RoleBinding" {
                remove(&mut object, "/subjects/0", &["namespace"]);
            }
        }
        with_sorted_rules(object)
    });
    let ours = with_the_right_of_the_app(ours, TEMPLATES_NAME);
    let ours = ours.into_iter().map(|mut object| {
        // An empty name is none.
        if let Some(pod) = object.pointer_mut("/spec/template/spec").filter(|pod| pod["priorityClassName"] == "") {
            remove(pod, "", &["priorityClassName"]);
        }
        // So are no tolerations.
        if let Some(pod) = object.pointer_mut("/spec/template/spec").filter(|pod| pod["tolerations"] == json!([])) {
            remove(pod, "", &["tolerations"]);
        }
        // An empty policy is the default one. By default, no taint is that of a node gate, nothing is discovered, and lists
        // are in one namespace.
        if let Some(Value::Array(variables)) = object.pointer_mut("/spec/template/spec/containers/0/env") {
            let by_default = [json!("POLICY"), json!("NODE_GATE_TAINTS"), json!("DISCOVER_NAMESPACES")];
            variables.retain(|variable| !by_default.contains(&variable["name"]) || variable["value"] != "");
            variables.retain(|variable| variable["name"] != "ALL_NAMESPACES" || variable["value"] != "false");
        }
        with_sorted_rules(object)
    });
    assert_same(ours.collect(), chart.collect());
}

/// What holds for one holds for the others by the tests above.
#[test]
fn every_right_names_its_object_where_that_is_possible() {
    let objects = chart("default", OPTIONAL);
    let role = objects.iter().find(|object| object["kind"] == "Role").unwrap();
    for rule in role["rules"].as_array().unwrap() {
        let named = match rule["resources"][0].as_str().unwrap() {
            "deployments" => json!(["kubernetes-image-puller"]),
            // A request to create has no name that rights could be compared with.
            "leases" if rule["verbs"] != json!(["create"]) => json!([kube_prepull::cluster::lease::NAME]),
            // Their names come from lists and from their owners.
            _ => Value::Null,
        };
        assert_eq!(rule["resourceNames"], named, "{rule}");
        let all = ["*", "deletecollection", "escalate", "bind", "impersonate"];
        assert!(!rule["verbs"].as_array().unwrap().iter().any(|verb| all.contains(&verb.as_str().unwrap())), "{rule}");
    }
}
