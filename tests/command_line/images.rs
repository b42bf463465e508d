//! `images` as users call it, and its documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::run;

const LIST: &str = "
images: ['nginx:1.29', 'ghcr.io/acme/app:2.4']
groups:
- {name: gpu, images: ['nvcr.io/nvidia/cuda:12', 'docker.io/library/nginx:1.29'], architectures: [amd64]}
";

fn good(arguments: &[&str], input: &str) -> String {
    super::good(&[&["images", "--file", "-"], arguments].concat(), input)
}

fn bad(arguments: &[&str], input: &str, code: i32) -> String {
    super::bad(&[&["images", "--file", "-"], arguments].concat(), input, code)
}

fn manifest(name: &str, images: &str) -> String {
    format!(
        "kind: ConfigMap\nmetadata: {{name: {name}, namespace: web, labels: {{kube-prepull.io/image-list: 'true'}}}}\n\
         data: {{images.yaml: '{{images: [{images}]}}'}}\n"
    )
}

#[test]
fn every_image_is_a_line_in_the_order_of_the_list() {
    assert_eq!(good(&[], LIST), "docker.io/library/nginx:1.29\nghcr.io/acme/app:2.4\nnvcr.io/nvidia/cuda:12\n");
    assert_eq!(good(&["--group", "gpu"], LIST), "nvcr.io/nvidia/cuda:12\ndocker.io/library/nginx:1.29\n");
    assert_eq!(good(&["--architecture", "arm64"], LIST), "docker.io/library/nginx:1.29\nghcr.io/acme/app:2.4\n");
    assert_eq!(good(&["--group", "gpu", "--group", "default"], LIST), good(&[], LIST));
}

#[test]
fn all_lists_of_a_file_are_used_and_programs_get_where_an_image_is_used() {
    let file = format!("{}---\n{}", manifest("one", "redis:8, a:1"), manifest("two", "b:1, docker.io/redis:8"));
    let redis = "docker.io/library/redis:8";
    assert_eq!(good(&[], &file), format!("{redis}\ndocker.io/library/a:1\ndocker.io/library/b:1\n"));
    let json: Value = serde_json::from_str(&good(&["--output", "json"], &file)).unwrap();
    let used = |list: &str| json!({"namespace": "web", "list": list, "group": "default", "name": "redis"});
    assert_eq!(
        (&json["version"], &json["images"][0]),
        (&json!(1), &json!({"reference": "redis:8", "pull": redis, "usedBy": [used("one"), used("two")]}))
    );
    let namespace = |arguments: &[&str]| {
        let json: Value = serde_json::from_str(&good(&[&["-o", "json"], arguments].concat(), LIST)).unwrap();
        json["images"][0]["usedBy"][0]["namespace"].as_str().unwrap().to_owned()
    };
    assert_eq!((namespace(&[]).as_str(), namespace(&["--namespace", "prepull"]).as_str()), ("default", "prepull"));
}

#[test]
fn digests_of_tags_need_a_cluster_and_pinned_images_do_not() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let pinned = format!("images: ['nginx:1.29@{digest}']");
    assert_eq!(good(&["--digests"], &pinned), format!("docker.io/library/nginx@{digest}\n"));
    let json: Value = serde_json::from_str(&good(&["--digests", "-o", "json"], &pinned)).unwrap();
    assert_eq!(json["images"][0]["digest"], digest);
    let message = bad(&["--digests"], LIST, 2);
    assert!(message.contains("only the nodes of a cluster know the digest of a tag"), "{message}");
    assert!(message.contains("are not pinned: nginx:1.29, ghcr.io/acme/app:2.4, nvcr.io/nvidia/cuda:12;"), "{message}");
}

#[test]
fn a_rejected_list_gets_the_validation_result_of_validate_and_no_image_is_printed() {
    let file = format!("{}---\n{}", manifest("one", "redis:8"), manifest("two", "Redis"));
    let reported = bad(&[], &file, 1);
    assert!(reported.contains("error[InvalidReference]") && reported.contains("the list two is"), "{reported}");
}

#[test]
fn a_list_without_images_yet_is_reported_and_has_none() {
    let output = run(&["images", "--file", "-"], "images: []\n");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "note: default/images has no images yet\n");
    let output = run(&["images", "--file", "-", "--architecture", "s390x", "--group", "gpu"], LIST);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "note: no selected group has images for s390x\n");
}

#[test]
fn wrong_usage_says_what_is_wrong() {
    assert!(bad(&["--group", "gpus"], LIST, 2).contains("there is no group gpus; the groups are default, gpu"));
    for (arguments, why) in [
        (["--architecture", "x86_64"], "amd64, arm, arm64, ppc64le, riscv64, s390x"),
        (["--output", "yaml"], "text, json"),
        (["tools", "more"], "cannot be used with"),
    ] {
        let message = bad(&arguments, LIST, 2);
        assert!(message.contains(why), "{message}");
    }
    let message = super::bad(&["images", "--kubeconfig", "/nowhere/config"], "", 1);
    assert!(message.contains("/nowhere/config"), "{message}");
}

fn documentation() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images.md")).unwrap()
}

/// The blocks of that language.
fn blocks<'d>(documentation: &'d str, language: &str) -> Vec<&'d str> {
    let begin = format!("```{language}\n");
    documentation.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_documentation_shows_what_it_prints() {
    let documentation = documentation();
    let list = blocks(&documentation, "yaml")[0];
    let mut shown = 0;
    for block in blocks(&documentation, "text") {
        let Some((command, printed)) = block.split_once('\n') else { continue };
        let Some(arguments) = command.strip_prefix("$ kube-prepull images --file images.yaml") else { continue };
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        match arguments.contains(&"json") {
            true => {
                let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                assert_eq!(parsed(&good(&arguments, list)), parsed(printed));
            }
            false => assert_eq!(good(&arguments, list), printed),
        }
        shown += 1;
    }
    assert_eq!(shown, 3);
}

#[test]
fn the_commands_of_the_documentation_are_understood() {
    let documentation = documentation();
    let list = blocks(&documentation, "yaml")[0];
    let mut tried = BTreeSet::new();
    for line in blocks(&documentation, "sh").iter().flat_map(|block| block.lines()) {
        for program in ["kube-prepull images ", "kubectl prepull images "] {
            let Some((_, rest)) = line.split_once(program) else { continue };
            let end = rest.find(['|', '>', ')', '#']).unwrap_or(rest.len());
            let arguments: Vec<&str> =
                rest[..end].split_whitespace().map(|it| if it == "images.yaml" { "-" } else { it }).collect();
            // Without a file, it would read a cluster.
            let more: &[&str] = if arguments.contains(&"--file") { &[] } else { &["--help"] };
            super::good(&[&["images"], &arguments[..], more].concat(), list);
            tried.insert(arguments.join(" "));
        }
    }
    assert!(tried.len() >= 4, "{tried:?}");
}

#[test]
fn the_documentation_names_every_key_of_the_json() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(entries) => entries.iter().for_each(|(key, value)| {
                found.insert(key.clone());
                keys(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let pinned = format!("images: ['nginx@sha256:{}']\narchitectures: [amd64]\n", "a".repeat(64));
    let json: Value = serde_json::from_str(&good(&["--digests", "-o", "json"], &pinned)).unwrap();
    let mut found = BTreeSet::new();
    keys(&json, &mut found);
    assert_eq!(found.len(), 11, "{found:?}");
    let documentation = documentation();
    for key in found {
        let ends = [format!("`{key}`"), format!(".{key}`"), format!("`{key}[]`"), format!(".{key}[]`")];
        assert!(ends.iter().any(|end| documentation.contains(end)), "{key}");
    }
}
