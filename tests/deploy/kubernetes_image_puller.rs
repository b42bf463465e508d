//! Values files of kubernetes-image-puller's users give the list that its own chart made of them.
//!
//! Beside each values file in `values/` stands the ConfigMap that it means. `kube-prepull render` makes the same of both.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use kube_prepull::list::{Severity, parse};
use serde_json::Value;

use super::helm::{Helm, checkout};
use super::manifests::{documents, find, list_data};

const NAMESPACE: &str = "puller";

/// The DaemonSets that `render` prints for a ConfigMap.
fn rendered(config_map: &Value) -> Vec<Value> {
    let arguments = ["render", "--file", "-", "--epoch", "2026-01-01T00:00:00Z"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(config_map.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{config_map:#}");
    documents(&String::from_utf8(output.stdout).unwrap())
}

fn assert_means_what_it_meant(name: &str, list: &str) {
    let read = |suffix: &str| fs::read_to_string(checkout(&format!("tests/deploy/values/{name}{suffix}"))).unwrap();
    let objects = Helm::offline(NAMESPACE).template(&read(".yaml"));
    let ours = find(&objects, "ConfigMap", list);
    let parsed = parse(&list_data(ours));
    assert!(parsed.problems.iter().all(|problem| problem.severity == Severity::Warning), "{:?}", parsed.problems);
    let theirs: Value = serde_yaml::from_str(&read(".configmap.yaml")).unwrap();
    assert_eq!(rendered(ours), rendered(&theirs), "{name}");
}

#[test]
fn images_on_many_lines_with_spaces_and_a_semicolon_at_the_end() {
    assert_means_what_it_meant("kip-many-lines", "puller-images");
}

#[test]
fn json_whose_quotes_are_escaped() {
    assert_means_what_it_meant("kip-escaped", "k8s-image-puller");
}

#[test]
fn json_whose_quotes_are_not_escaped() {
    assert_means_what_it_meant("kip-plain-json", "k8s-image-puller");
}

#[test]
fn nothing_but_images() {
    assert_means_what_it_meant("kip-only-images", "k8s-image-puller");
}
