//! The kustomize manifests are what the chart gives with the same names.

use serde_json::Value;
use test_bed::programs;

use super::helm::{Helm, checkout};
use super::manifests::{documents, names};
use super::namespace::Namespace;

const NAMESPACE: &str = "kube-prepull";
const VALUES: &str = "deploymentName: kube-prepull\nserviceAccount: {name: kube-prepull}\nconfigMap: {managedBy: none}\n\
                      configMaps: []\n";

/// What kustomize, as it is built into kubectl, makes of the folder.
pub fn built() -> Vec<Value> {
    let kubectl = programs::build(&["kubectl"]).unwrap().join("kubectl");
    let folder = checkout("deploy/kustomize");
    let output = std::process::Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).unwrap())
}

/// Without the labels that tell of Helm and of a release, and without what a list of the chart's own is for.
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

#[test]
fn they_are_what_the_chart_gives() {
    let sorted = |objects: &[Value]| {
        let hook = |object: &Value| !object["metadata"]["annotations"]["helm.sh/hook"].is_null();
        let compared = objects.iter().filter(|object| object["kind"] != "Namespace" && !hook(object));
        let mut objects: Vec<_> = compared.map(without_helm).collect();
        objects.sort_by_key(|object| names(std::slice::from_ref(object)));
        objects
    };
    let (ours, chart) = (sorted(&built()), sorted(&Helm::offline(NAMESPACE).template(VALUES)));
    assert_eq!(names(&ours), names(&chart));
    for (ours, theirs) in ours.iter().zip(&chart) {
        assert_eq!(ours, theirs, "{:?}", names(std::slice::from_ref(ours)));
    }
}

#[test]
fn the_service_monitor_is_the_charts_and_is_made_only_where_it_is_asked_for() {
    let text = std::fs::read_to_string(checkout("deploy/kustomize/servicemonitor.yaml")).unwrap();
    let mut ours = documents(&text);
    ours[0]["metadata"]["namespace"] = Value::from(NAMESPACE);
    let chart = Helm::offline(NAMESPACE).template(&format!("{VALUES}serviceMonitor: {{enabled: true}}\n"));
    let theirs = chart.iter().find(|object| object["kind"] == "ServiceMonitor").unwrap();
    assert_eq!(ours, [without_helm(theirs)]);
    assert!(!built().iter().any(|object| object["kind"] == "ServiceMonitor"));
}

#[test]
fn the_api_server_accepts_them() {
    let namespace = Namespace::create("kustomize");
    let mut objects = built();
    assert_eq!(names(&objects)[0], "Namespace kube-prepull");
    // A dry run makes no namespace that the others could be in.
    for object in &mut objects {
        if object["metadata"]["namespace"] == NAMESPACE {
            object["metadata"]["namespace"] = Value::from(namespace.name.as_str());
        }
    }
    namespace.accepts(&objects);
}
