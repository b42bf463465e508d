//! The kustomize manifests are what the chart gives with the same names.

use std::path::Path;

use serde_json::Value;
use test_bed::programs;

use super::helm::{Helm, checkout};
use super::manifests::{documents, find, names};
use super::namespace::Namespace;

const NAMESPACE: &str = "kube-prepull";
const VALUES: &str = "deploymentName: kube-prepull\nserviceAccount: {name: kube-prepull}\nconfigMap: {managedBy: none}\n\
                      configMaps: []\n";

/// What the folder of the install becomes.
pub fn built() -> Vec<Value> {
    built_from(&checkout("deploy/kustomize"))
}

/// What kustomize, as it is built into kubectl, makes of a folder.
fn built_from(folder: &Path) -> Vec<Value> {
    let kubectl = programs::build(&["kubectl"]).unwrap().join("kubectl");
    let output = std::process::Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).unwrap())
}

/// Without the labels of Helm and of a release, and without what a list of the chart's own is for.
fn without_helm(object: &Value) -> Value {
    let mut object = object.clone();
    for pointer in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let Some(labels) = object.pointer_mut(pointer).and_then(Value::as_object_mut) else { continue };
        for label in ["app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"] {
            labels.remove(label);
        }
    }
    if let Some(Value::Array(variables)) = object.pointer_mut("/spec/template/spec/containers/0/env") {
        variables.retain(|variable| variable["name"] != "CONFIG_MAPS");
    }
    object
}

/// Fails unless they are the same objects, but for hooks and for what only Helm has.
fn assert_same(ours: &[Value], chart: &[Value]) {
    let sorted = |objects: &[Value]| {
        let hook = |object: &Value| !object["metadata"]["annotations"]["helm.sh/hook"].is_null();
        let compared = objects.iter().filter(|object| object["kind"] != "Namespace" && !hook(object));
        let mut objects: Vec<_> = compared.map(without_helm).collect();
        objects.sort_by_key(|object| names(std::slice::from_ref(object)));
        objects
    };
    let (ours, chart) = (sorted(ours), sorted(chart));
    assert_eq!(names(&ours), names(&chart));
    for (ours, theirs) in ours.iter().zip(&chart) {
        assert_eq!(ours, theirs, "{:?}", names(std::slice::from_ref(ours)));
    }
}

#[test]
fn they_are_what_the_chart_gives() {
    assert_same(&built(), &Helm::offline(NAMESPACE).template(VALUES));
}

/// What an overlay with the component for secure metrics becomes.
fn secured() -> Vec<Value> {
    let folder = std::env::temp_dir().join(format!("kube-prepull-overlay-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("overlay")).unwrap();
    std::os::unix::fs::symlink(checkout("deploy"), folder.join("deploy")).unwrap();
    let overlay = "resources: [../deploy/kustomize]\ncomponents: [../deploy/kustomize/secure-metrics]\n";
    std::fs::write(folder.join("overlay/kustomization.yaml"), overlay).unwrap();
    let objects = built_from(&folder.join("overlay"));
    std::fs::remove_dir_all(&folder).unwrap();
    objects
}

#[test]
fn the_component_for_secure_metrics_gives_what_the_chart_gives_and_the_api_server_accepts_it() {
    let mut objects = secured();
    let mut chart = Helm::offline(NAMESPACE).template(&format!("{VALUES}metrics: {{secure: true}}\n"));
    // Their order says nothing.
    for object in objects.iter_mut().chain(&mut chart) {
        for list in ["env", "ports"] {
            if let Some(Value::Array(list)) = object.pointer_mut(&format!("/spec/template/spec/containers/0/{list}")) {
                list.sort_by_key(|it| it["name"].to_string());
            }
        }
    }
    assert_same(&objects, &chart);
    let namespace = Namespace::create("secure");
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

#[test]
fn the_service_monitor_is_the_charts_and_is_made_only_where_it_is_asked_for() {
    let text = std::fs::read_to_string(checkout("deploy/kustomize/servicemonitor.yaml")).unwrap();
    let mut ours = documents(&text);
    ours[0]["metadata"]["namespace"] = Value::from(NAMESPACE);
    let chart = Helm::offline(NAMESPACE).template(&format!("{VALUES}serviceMonitor: {{enabled: true}}\n"));
    let theirs = chart.iter().find(|object| object["kind"] == "ServiceMonitor").unwrap();
    assert_eq!(ours, [without_helm(theirs)]);
    let text = std::fs::read_to_string(checkout("deploy/kustomize/servicemonitor-secure.yaml")).unwrap();
    let mut ours = documents(&text);
    ours[0]["metadata"]["namespace"] = Value::from(NAMESPACE);
    let values = format!("{VALUES}serviceMonitor: {{enabled: true}}\nmetrics: {{secure: true}}\n");
    let chart = Helm::offline(NAMESPACE).template(&values);
    assert_eq!(ours, [without_helm(find(&chart, "ServiceMonitor", "kube-prepull"))]);
    assert!(!built().iter().any(|object| object["kind"] == "ServiceMonitor"));
}

#[test]
fn the_optional_right_to_image_caches_is_what_the_chart_gives() {
    let text = std::fs::read_to_string(checkout("deploy/kustomize/imagecaches.yaml")).unwrap();
    let values = format!("{VALUES}imageCache: {{enabled: true}}\n");
    let of_image_caches =
        |object: &&Value| object["metadata"]["name"].as_str().unwrap_or_default().ends_with(":imagecaches");
    let chart = Helm::offline(NAMESPACE).template(&values);
    let chart: Vec<Value> = chart.iter().filter(of_image_caches).map(without_helm).collect();
    assert_eq!(documents(&text), chart);
}

#[test]
fn the_api_server_accepts_them() {
    let namespace = Namespace::create("kustomize");
    let mut objects = built();
    assert_eq!(names(&objects)[0], "Namespace kube-prepull");
    moved_to(&namespace, &mut objects);
    namespace.accepts(&objects);
}

/// A dry run makes no namespace that the others could be in.
fn moved_to(namespace: &Namespace, objects: &mut [Value]) {
    for object in objects {
        if object["metadata"]["namespace"] == NAMESPACE {
            object["metadata"]["namespace"] = Value::from(namespace.name.as_str());
        }
    }
}
