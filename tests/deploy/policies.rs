//! The ValidatingAdmissionPolicies: the folder for kustomize, and what the chart makes of it.

use std::fs;

use serde_json::{Value, json};

use super::helm::{Helm, checkout};
use super::kustomize::{Folder, built_from, documented_file};
use super::manifests::{find, names};
use super::namespace::Namespace;

const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";
/// What the chart names after the names in the folder, so that several releases have their own.
const SUFFIX: &str = ".images.kube-prepull";
const VALUES: &str = "deploymentName: kube-prepull\nserviceAccount: {name: kube-prepull}\nimageCache: {enabled: true}\n\
                      configMap: {managedBy: release}\nadmissionPolicy: {create: true}\n";

/// The policies and bindings among objects.
fn policies(objects: Vec<Value>) -> Vec<Value> {
    objects.into_iter().filter(|object| object["kind"] == POLICY || object["kind"] == BINDING).collect()
}

fn of_chart(values: &str) -> Vec<Value> {
    policies(Helm::offline("images").template(values))
}

/// The expression of a policy's variable.
fn variable<'a>(objects: &'a [Value], policy: &str, name: &str) -> &'a Value {
    let variables = find(objects, POLICY, policy)["spec"]["variables"].as_array().unwrap();
    &variables.iter().find(|variable| variable["name"] == name).unwrap_or_else(|| panic!("no {name}"))["expression"]
}

/// Builds an overlay.
fn overlay(name: &str, kustomization: &str) -> Vec<Value> {
    Folder::create(name).overlay("overlay", &[("kustomization.yaml", kustomization)])
}

#[test]
fn the_chart_makes_the_policies_of_the_folder_only_if_asked_and_only_for_its_namespace() {
    assert_eq!(of_chart(""), [Value::Null; 0]);
    let folder = built_from(&checkout("deploy/policy"));
    let chart = of_chart(VALUES);
    assert_eq!(chart.len(), folder.len(), "{:?}", names(&chart));
    for ours in folder {
        let (kind, name) = (ours["kind"].as_str().unwrap(), ours["metadata"]["name"].as_str().unwrap());
        let mut theirs = find(&chart, kind, &format!("{name}{SUFFIX}"))["spec"].clone();
        let mut ours = ours["spec"].clone();
        if kind == BINDING {
            assert_eq!(theirs["policyName"], format!("{name}{SUFFIX}"));
            theirs["policyName"] = json!(name);
            let selector = theirs.as_object_mut().unwrap().remove("matchResources");
            let of_namespace = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "images"}}});
            // ImageCaches are in no namespace.
            assert_eq!(selector, (name != "kube-prepull-imagecaches").then_some(of_namespace), "{name}");
        }
        // The values are written in another notation; the next test compares them.
        for spec in [&mut ours, &mut theirs] {
            for variable in spec["variables"].as_array_mut().into_iter().flatten() {
                let text = variable["expression"].as_str().unwrap().replace('\'', "\"").replace(", ", ",");
                variable["expression"] = match variable["name"].as_str().unwrap() {
                    // The chart knows its own.
                    "controllers" => json!("names"),
                    _ => json!(text),
                };
            }
        }
        assert_eq!(ours, theirs, "{kind} {name}");
    }
    assert_eq!(variable(&chart, &format!("kube-prepull-holders{SUFFIX}"), "controllers"), "[\"kube-prepull\"]");
    let without_caches = of_chart(&VALUES.replace("imageCache: {enabled: true}\n", ""));
    assert_eq!(without_caches.len(), chart.len() - 2);
}

#[test]
fn each_value_of_the_chart_arrives_in_every_policy_that_has_its_variable() {
    let values = json!({
        "deploymentName": "kube-prepull", "podServiceAccount": {"name": "holder"}, "configMaps": ["other"],
        "configMap": {"name": "list", "managedBy": "none"},
        "admissionPolicy": {
            "create": true, "breakGlassGroups": ["a"], "listEditorGroups": ["b"], "images": ["c/**"], "serviceAccounts": ["d"],
            "imagePullSecrets": ["e"], "priorityClasses": ["f"], "tolerations": ["g"], "podLabelPrefixes": ["h"],
            "podAnnotationPrefixes": ["i"], "maxResources": {"memory": "1Mi", "cpu": 1}, "maxImages": 1_000_000, "maxBytes": 2_000_000,
        },
    });
    let chart = of_chart(&values.to_string());
    let lists = format!("kube-prepull-lists{SUFFIX}");
    let requests = format!("kube-prepull-requests{SUFFIX}");
    for (policy, name, expected) in [
        (&lists, "listEditorGroups", "[\"b\"]"),
        (&lists, "breakGlassGroups", "[\"a\"]"),
        (&lists, "configMaps", "[\"list\",\"other\"]"),
        (&lists, "images", "[\"c/**\"]"),
        (&lists, "maxImages", "1000000"),
        (&lists, "maxBytes", "2000000"),
        (&requests, "controllers", "[\"k8s-image-puller\"]"),
        (&requests, "breakGlassGroups", "[\"a\"]"),
        (&requests, "images", "[\"c/**\"]"),
        (&requests, "serviceAccounts", "[\"d\",\"holder\"]"),
        (&requests, "imagePullSecrets", "[\"e\"]"),
        (&requests, "priorityClasses", "[\"f\"]"),
        (&requests, "tolerations", "[\"g\"]"),
        (&requests, "podLabelPrefixes", "[\"h\"]"),
        (&requests, "podAnnotationPrefixes", "[\"i\"]"),
        (&requests, "maxResources", "{\"cpu\":\"1\",\"memory\":\"1Mi\"}"),
        (&requests, "maxImages", "1000000"),
    ] {
        assert_eq!(variable(&chart, policy, name), expected, "{policy} {name}");
    }
}

/// Otherwise, the DaemonSets of a list with a gate would be refused.
#[test]
fn those_of_a_release_for_all_namespaces_apply_in_all_and_know_its_controller() {
    let values =
        format!("{VALUES}scope: cluster\n").replace("create: true", "create: true, serviceAccounts: [builder]");
    let chart = of_chart(&values);
    let bindings: Vec<&Value> = chart.iter().filter(|object| object["kind"] == BINDING).collect();
    assert!(!bindings.is_empty() && bindings.iter().all(|binding| binding["spec"]["matchResources"].is_null()));
    let controllers = variable(&chart, &format!("kube-prepull-requests{SUFFIX}"), "controllers");
    assert_eq!(controllers, "[\"images:kube-prepull\"]");
    let accounts = variable(&chart, &format!("kube-prepull-requests{SUFFIX}"), "serviceAccounts");
    assert!(accounts.as_str().unwrap().ends_with(",\"default\"]"), "{accounts}");
}

#[test]
fn what_node_gates_tolerate_is_allowed() {
    let tolerations = |tolerations: &str| {
        let values = format!(
            "admissionPolicy: {{create: true, tolerations: {tolerations}}}\nnodeGate: {{enabled: true, taints: [a/b, g]}}\n\
             deploymentName: kube-prepull"
        );
        variable(&of_chart(&values), &format!("kube-prepull-requests{SUFFIX}"), "tolerations").clone()
    };
    assert_eq!(tolerations("[g]"), "[\"g\",\"a/b\"]");
    assert_eq!(tolerations("[\"*\"]"), "[\"*\"]");
}

#[test]
fn an_old_cluster_and_patterns_that_would_be_expressions_are_refused() {
    let helm = Helm::offline("images");
    let old = helm.with_chart("template", VALUES, &["--kube-version", "1.29.9"]).unwrap_err();
    assert!(old.contains("needs Kubernetes 1.30 or later"), "{old}");
    let said = helm.rejection("admissionPolicy: {create: true, images: [\"a|.*\"]}");
    assert!(said.contains("admissionPolicy/images"), "{said}");
}

#[test]
fn overlays_rename_narrow_and_move_them() {
    let renamed =
        overlay("renamed", "namePrefix: team-\nnameSuffix: -x\nnamespace: elsewhere\nresources: [../deploy/policy]\n");
    for object in policies(renamed.clone()) {
        assert!(object["metadata"]["namespace"].is_null(), "{object}");
    }
    let binding = find(&renamed, BINDING, "team-kube-prepull-lists-x");
    assert_eq!(binding["spec"]["policyName"], "team-kube-prepull-lists-x");
    find(&renamed, POLICY, "team-kube-prepull-lists-x");

    let restricted = overlay("restricted", &documented_file("docs/admission.md", "overlay/kustomization.yaml"));
    assert_eq!(
        variable(&restricted, "kube-prepull-requests", "images"),
        "['registry.example.com/**', 'docker.io/library/*']"
    );
    assert_eq!(variable(&restricted, "kube-prepull-requests", "serviceAccounts"), "['kube-prepull-holder']");
    let editors = variable(&restricted, "kube-prepull-lists", "listEditorGroups");
    assert_eq!(editors, "['platform', 'system:serviceaccounts:argocd']");

    let both = overlay("both", "namespace: elsewhere\nresources: [../deploy/kustomize, ../deploy/policy]\n");
    assert!(names(&both).contains(&"ValidatingAdmissionPolicyBinding kube-prepull-holders".to_owned()));
}

#[test]
fn every_policy_is_documented() {
    let page = fs::read_to_string(checkout("docs/admission.md")).unwrap();
    for policy in built_from(&checkout("deploy/policy")).iter().filter(|object| object["kind"] == POLICY) {
        let name = policy["metadata"]["name"].as_str().unwrap();
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
        assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{name}");
        for validation in policy["spec"]["validations"].as_array().unwrap() {
            assert_eq!(validation["reason"], "Forbidden", "{name}: {validation}");
        }
    }
}

#[test]
fn the_api_server_accepts_them() {
    let namespace = Namespace::create("policies");
    namespace.accepts(&built_from(&checkout("deploy/policy")));
    let values = "admissionPolicy: {create: true}\nimageCache: {enabled: true}";
    namespace.accepts(&policies(Helm::offline(&namespace.name).template(values)));
}
