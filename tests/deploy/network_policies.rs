//! The NetworkPolicies: the pods on the nodes have no network, and the controller keeps what it needs. No network plugin of the tests
//! enforces them, so this compares them with the pods.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::helm::{Helm, checkout};
use super::manifests::{documents, find};
use super::{kustomize, openshift};

/// What each of the installs gives by default, and the name of its Deployment.
fn installs() -> [(&'static str, Vec<Value>); 3] {
    [
        ("kubernetes-image-puller", Helm::offline("default").template("")),
        ("kube-prepull", kustomize::built()),
        ("kubernetes-image-puller", openshift::all_but_the_list(&[])),
    ]
}

/// Whether a pod with these labels is selected.
fn selects(policy: &Value, labels: &Value) -> bool {
    let selector = &policy["spec"]["podSelector"];
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let exists = expressions.into_iter().all(|expression| {
        assert_eq!(expression["operator"], "Exists");
        !labels[expression["key"].as_str().unwrap()].is_null()
    });
    equal && exists
}

/// The pods that the controller creates for a list, with labels of the user's.
fn rendered_pods() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["render", "--file"]).arg(checkout("tests/deploy/values/kip-only-images.configmap.yaml"));
    let output = command.output().unwrap();
    let objects = documents(&String::from_utf8(output.stdout).unwrap());
    objects.iter().map(|object| object["spec"]["template"]["metadata"]["labels"].clone()).collect()
}

#[test]
fn nothing_can_reach_the_pods_on_the_nodes_and_they_can_reach_nothing() {
    let pods = rendered_pods();
    assert!(!pods.is_empty());
    for (name, objects) in installs() {
        let policy = find(&objects, "NetworkPolicy", &format!("{name}-holder"));
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!((&policy["spec"]["ingress"], &policy["spec"]["egress"]), (&Value::Null, &Value::Null));
        for labels in &pods {
            assert!(selects(policy, labels), "{name}: {labels}");
        }
        let controller = &find(&objects, "Deployment", name)["spec"]["template"]["metadata"]["labels"];
        assert!(!selects(policy, controller), "{name}: {controller}");
    }
}

#[test]
fn all_ports_of_the_controller_can_be_reached_and_it_can_reach_everything() {
    for (name, objects) in installs() {
        let policy = find(&objects, "NetworkPolicy", name);
        let template = &find(&objects, "Deployment", name)["spec"]["template"];
        assert!(selects(policy, &template["metadata"]["labels"]), "{name}");
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]), "{name}");
        let rules = policy["spec"]["ingress"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["from"].is_null()), "{name}");
        let admitted: BTreeSet<i64> = rules
            .iter()
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| port["port"].as_i64().unwrap())
            .collect();
        let containers = template["spec"]["containers"].as_array().unwrap();
        let ports = containers.iter().flat_map(|container| container["ports"].as_array().unwrap());
        for port in ports {
            assert!(admitted.contains(&port["containerPort"].as_i64().unwrap()), "{name}: {port}");
        }
        // A forwarded port is reached within the pod.
        assert_eq!(admitted, BTreeSet::from([8080, 8081]), "{name}");
        for pod in rendered_pods() {
            assert!(!selects(policy, &pod), "{name}: {pod}");
        }
    }
}

#[test]
fn the_chart_can_restrict_both_directions_or_do_without() {
    let helm = Helm::offline("default");
    let values = "networkPolicy:\n  ingress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}]\n  \
                  egress: [{ports: [{port: 6443}]}]\n";
    let objects = helm.template(values);
    let policy = find(&objects, "NetworkPolicy", "kubernetes-image-puller");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["spec"]["egress"], json!([{"ports": [{"port": 6443}]}]));
    let rules = policy["spec"]["ingress"].as_array().unwrap();
    assert_eq!(rules[0]["ports"], json!([{"port": 8081, "protocol": "TCP"}]), "kubelets still reach the health probes");
    assert_eq!(rules[1]["from"], json!([{"podSelector": {}}]));
    assert_eq!(rules.len(), 2);
    let without = helm.template("networkPolicy: {create: false}");
    assert!(!without.iter().any(|object| object["kind"] == "NetworkPolicy"));
}
