//! The program as users call it, without a cluster.

#![allow(clippy::unwrap_used)]

mod completion;
mod estimate;
mod hostile_texts;
mod images;
mod policy;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::apps::v1::DaemonSet;
use serde::Deserialize;
use serde_json::Value;

const LIST: &str =
    "images: [nginx:1.27]\ngroups: [{name: gpu, images: [cuda:12], nodeSelector: {accelerator: nvidia}}]\n";

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-prepull"))
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads nothing has closed its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Standard output of a call that ends well.
fn good(arguments: &[&str], input: &str) -> String {
    let output = run(arguments, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a call that ends with that exit code, and prints nothing else.
fn bad(arguments: &[&str], input: &str, code: i32) -> String {
    let output = run(arguments, input);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn items(json: &str) -> Vec<DaemonSet> {
    let list: Value = serde_json::from_str(json).unwrap();
    assert_eq!((list["apiVersion"].as_str(), list["kind"].as_str()), (Some("v1"), Some("List")));
    serde_json::from_value(list["items"].clone()).unwrap()
}

#[test]
fn every_command_explains_itself() {
    let all = good(&["--help"], "");
    for command in ["run", "render", "validate", "status", "wait", "estimate", "images", "refresh", "ui"] {
        assert!(all.contains(command), "{all}");
        let help = good(&[command, "--help"], "");
        assert!(help.contains("Usage: kube-prepull"), "{help}");
    }
    assert!(good(&["--version"], "").starts_with("kube-prepull "));
    assert!(bad(&[], "", 2).contains("Usage:"));
    assert!(bad(&["rendr"], "", 2).contains("'render'"));
}

#[test]
fn yaml_and_json_hold_the_same_daemon_sets() {
    let common = ["render", "--file", "-", "--epoch", "2026-01-01T00:00:00Z", "--namespace", "warm"];
    let json = items(&good(&[&common[..], &["--output", "json"]].concat(), LIST));
    let yaml = good(&common, LIST);
    let documents = yaml.split("---\n").filter(|document| !document.is_empty());
    let documents: Vec<DaemonSet> = documents.map(|document| serde_yaml::from_str(document).unwrap()).collect();
    assert_eq!(json, documents);
    assert_eq!(json.len(), 2);
    for daemon_set in &json {
        assert_eq!(daemon_set.metadata.namespace.as_deref(), Some("warm"));
    }
    let selectors =
        json.iter().map(|it| it.spec.as_ref().unwrap().template.spec.as_ref().unwrap().node_selector.clone());
    assert_eq!(selectors.flatten().next().unwrap()["accelerator"], "nvidia");
}

#[test]
fn the_holders_folder_cannot_be_guessed_unless_the_manifests_are_to_be_the_same_each_time() {
    let folder = |arguments: &[&str]| {
        let rendered = items(&good(&[&["render", "-f", "-", "-o", "json"], arguments].concat(), LIST));
        let pod = rendered[0].spec.clone().unwrap().template.spec.unwrap();
        pod.containers[0].volume_mounts.clone().unwrap()[0].mount_path.clone()
    };
    let epoch = ["--epoch", "2026-01-01T00:00:00Z"];
    let with = |seed: &str| folder(&[&epoch[..], &["--seed", seed]].concat());
    assert_ne!(folder(&[]), folder(&[]));
    assert_eq!(folder(&epoch), folder(&epoch));
    assert_eq!(with("secret"), with("secret"));
    assert!(with("secret") != with("other") && with("secret") != folder(&epoch));
}

#[test]
fn what_a_config_map_says_of_itself_counts_more_than_the_arguments() {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tools, namespace: own, labels: {kube-prepull.io/image-list: \"true\"}}\ndata: {images.yaml: \"[nginx]\"}\n";
    let rendered = items(&good(&["render", "-f", "-", "-o", "json", "-n", "other"], manifest));
    assert_eq!(rendered[0].metadata.namespace.as_deref(), Some("own"));
    assert!(rendered[0].metadata.name.as_ref().unwrap().starts_with("tools-"));
}

const IMAGE_CACHES: &str = "images: [nginx:1.27]\ngroups: [{name: x, images: [cuda:12], architectures: [amd64], imagePullSecrets: [nvcr]}]\n\
                            imageCache: {enabled: true, retentionDays: 7, platforms: [linux/amd64, linux/arm64]}\n";

#[test]
fn image_caches_follow_the_daemon_sets_and_what_is_assumed_of_them_is_said() {
    let arguments = ["render", "-f", "-", "-n", "warm", "--name", "tools", "--epoch", "2026-01-01T00:00:00Z"];
    let json = run(&[&arguments[..], &["-o", "json"]].concat(), IMAGE_CACHES);
    let said = String::from_utf8(json.stderr).unwrap();
    assert!(said.contains("note: ") && said.contains("digest") && said.contains("of 20 GiB"), "{said}");
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let yaml = good(&arguments, IMAGE_CACHES);
    let yaml: Vec<Value> = yaml.split("---\n").skip(1).map(|it| serde_yaml::from_str(it).unwrap()).collect();
    assert_eq!(json["items"], Value::from(yaml.clone()));
    assert_eq!(
        yaml.iter().map(|it| it["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["DaemonSet", "DaemonSet", "ImageCache", "ImageCache"]
    );
    let (amd64, arm64) = (&yaml[2], &yaml[3]);
    assert_eq!(amd64["apiVersion"], "eci.alibabacloud.com/v1");
    assert_eq!(amd64["metadata"]["labels"]["kube-prepull.io/namespace"], "warm");
    assert_eq!(amd64["metadata"]["annotations"]["k8s.aliyun.com/imc-cpu-arch"], "amd64");
    let spec = serde_json::json!({"images": ["nginx:1.27", "cuda:12"], "imagePullSecrets": ["warm:nvcr"], "imageCacheSize": 20, "retentionDays": 7});
    assert_eq!(amd64["spec"], spec);
    assert_eq!(arm64["spec"]["images"], serde_json::json!(["nginx:1.27"]));
    let name = |cache: &Value| cache["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(amd64).starts_with("warm-tools-") && name(amd64) != name(arm64), "{amd64}");
    let with_size = run(&arguments, &IMAGE_CACHES.replace("retentionDays: 7", "size: 40"));
    assert!(!String::from_utf8(with_size.stderr).unwrap().contains("GiB"));
}

#[test]
fn openshift_gives_pods_their_user() {
    let user = |arguments: &[&str]| {
        let rendered = items(&good(&[&["render", "-f", "-", "-o", "json"], arguments].concat(), LIST));
        let pod = rendered[0].spec.clone().unwrap().template.spec.unwrap();
        pod.security_context.unwrap().run_as_user
    };
    assert_eq!(user(&[]), Some(65532));
    assert_eq!(user(&["--openshift"]), None);
}

#[test]
fn the_number_of_nodes_makes_the_spread() {
    let rendered =
        items(&good(&["render", "-f", "-", "-o", "json", "--nodes", "1000"], "{images: [a], pullRate: 300}"));
    assert_eq!(rendered[0].metadata.annotations.as_ref().unwrap()["kube-prepull.io/spread-seconds"], "200");
}

#[test]
fn what_workloads_name_is_rendered_only_if_a_cluster_says_it() {
    let list = "{images: ['nginx:1.27'], discover: {namespaces: [shop]}}";
    let offline = run(&["render", "-f", "-", "-o", "json"], list);
    assert_eq!(items(std::str::from_utf8(&offline.stdout).unwrap()).len(), 1);
    let said = String::from_utf8(offline.stderr).unwrap();
    assert!(said.contains("note: what 1 group discovered in workloads is not shown; --discovered reads it"), "{said}");
    let no_cluster = bad(&["render", "-f", "-", "--discovered", "--kubeconfig", "/nowhere/config"], list, 1);
    assert!(no_cluster.contains("/nowhere/config"), "{no_cluster}");
}

#[test]
fn a_list_that_would_be_rejected_is_not_rendered_and_says_what_to_do() {
    let message = bad(&["render", "-f", "-"], "images: [Nginx]\nimage: redis\n", 1);
    assert!(message.contains("write the repository in lower case"), "{message}");
    assert!(message.contains("did you mean \"images\"?"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_wrong_usage() {
    for command in ["render", "validate", "estimate", "images"] {
        let more: &[&str] = if command == "estimate" { &["--pods", "1"] } else { &[] };
        let message = bad(&[&[command, "-f", "/nowhere/list.yaml"], more].concat(), "", 2);
        assert!(message.contains("/nowhere/list.yaml") && message.contains("No such file"), "{message}");
        assert!(
            bad(&[&[command, "-f", "-"], more].concat(), "kind: Secret\n", 2)
                .contains("the kind of this object is Secret, and a list is a ConfigMap")
        );
    }
}

#[test]
fn a_wrong_start_ends_the_controller_with_the_reason() {
    let no_cluster = bad(&["run", "--log-format", "human"], "", 1);
    assert!(no_cluster.contains("no usable cluster configuration"), "{no_cluster}");
    assert!(bad(&["run", "--kubeconfig", "/nowhere/config"], "", 1).contains("/nowhere/config"));
    assert!(bad(&["run", "--log-level", "lod=="], "", 1).contains("is not a log level"));
    for option in ["--probe-listen", "--metrics-listen", "--status-listen"] {
        assert!(bad(&["run", option, "here"], "", 2).contains(option));
    }
}

/// The only field of a manifest that is read.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[test]
fn every_rendered_document_names_its_kind() {
    let yaml = good(&["render", "-f", "-"], LIST);
    for document in yaml.split("---\n").filter(|document| !document.is_empty()) {
        assert_eq!(serde_yaml::from_str::<Kind>(document).unwrap().kind, "DaemonSet");
    }
}
