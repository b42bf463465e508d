//! What helm prints after an install leads to the next step.

use kube_prepull::list::parse;
use serde_json::{Value, json};

use super::helm::Helm;
use super::manifests::list_data;

fn notes(values: &str) -> String {
    let printed = Helm::offline("images").with_chart("install", values, &["--dry-run=client"]).unwrap();
    printed.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

#[test]
fn the_command_for_the_first_image_makes_a_list_that_is_accepted() {
    let notes = notes("");
    let patch = notes.lines().find_map(|line| {
        let command = line.trim().strip_prefix("kubectl patch configmap/k8s-image-puller --namespace images ")?;
        command.strip_prefix("--type merge --patch '")?.strip_suffix('\'')
    });
    let mut object: Value = serde_json::from_str(patch.unwrap_or_else(|| panic!("{notes}"))).unwrap();
    object["metadata"] = json!({"name": "k8s-image-puller", "namespace": "images"});
    let parsed = parse(&list_data(&object));
    assert!(parsed.config.is_some() && parsed.problems.is_empty(), "{:?}", parsed.problems);
}

#[test]
fn there_is_no_such_command_if_there_are_images_or_no_list() {
    for values in ["configMap: {images: web=nginx:1.29}", "configMap: {managedBy: none}"] {
        assert!(!notes(values).contains("kubectl patch"), "{values}");
    }
}

#[test]
fn the_status_is_shown_by_the_plugin_the_program_or_kubectl_alone() {
    for values in ["", "configMap: {images: web=nginx:1.29}", "configMap: {managedBy: none}"] {
        let notes = notes(values);
        for command in [
            "kubectl prepull status --namespace images\n",
            "kube-prepull status",
            "kubectl get configmap/k8s-image-puller --namespace images -L kube-prepull.io/state\n",
        ] {
            assert!(notes.contains(command), "{command}: {notes}");
        }
    }
}

#[test]
fn the_namespace_can_enforce_restricted_but_for_the_network_of_nodes() {
    let command = "kubectl label namespace images pod-security.kubernetes.io/enforce=restricted";
    assert!(notes("").contains(command));
    let of_node = notes("hostNetwork: true");
    assert!(!of_node.contains(command) && of_node.contains("must not enforce"), "{of_node}");
}
