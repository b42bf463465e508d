//! `kube-prepull validate`, as it is run.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn validate(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-prepull"))
        .arg("validate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kube-prepull starts");
    // A process that needs no input may end before it is written.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("kube-prepull ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What is printed about a file as JSON.
pub fn json(input: &str) -> Value {
    let output = validate(&["-f", "-", "-o", "json"], input);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

fn config_map(labelled: bool, data: &str) -> String {
    let labels = if labelled { "\n  labels: {kube-prepull.io/image-list: \"true\"}" } else { "" };
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: images{labels}\ndata:\n{data}")
}

#[test]
fn an_accepted_list_exits_with_0() {
    let output = validate(&["-f", "-"], &config_map(true, "  images.yaml: '[\"nginx:1\"]'\n"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "<stdin>:1: the list images is accepted\n");
}

#[test]
fn a_list_with_warnings_is_accepted() {
    let output = validate(&["-f", "-"], &config_map(true, "  IMAGES: a=b:1\n  KIP_IMAGE: x\n"));
    assert_eq!(output.status.code(), Some(0));
    let printed = text(&output.stdout);
    assert!(printed.starts_with("<stdin>:8: warning[Ignored]: KIP_IMAGE: "), "{printed}");
    assert!(printed.ends_with("<stdin>:1: the list images is accepted, 1 warning\n"), "{printed}");
}

#[test]
fn that_workloads_need_pull_secrets_is_a_note() {
    let groups = "  images.yaml: |\n    groups:\n      - {name: private, images: [\"a:1\"], imagePullSecrets: [registry]}\n      \
                  - {name: public, images: [\"b:1\"]}\n";
    let output = validate(&["-f", "-"], &config_map(true, groups));
    assert_eq!(output.status.code(), Some(0));
    let note = "nodes with Kubernetes 1.35 or later verify image pull credentials: give workloads the same pull secrets as group private \
                (registry); see docs/private-images.md";
    assert_eq!(text(&output.stdout), format!("<stdin>:1: the list images is accepted\n<stdin>:1: note: {note}\n"));
    let list = &json(&config_map(true, groups))["lists"][0];
    assert_eq!((&list["accepted"], &list["notes"]), (&Value::from(true), &Value::from(vec![note])));
    assert_eq!(list["problems"], Value::Array(Vec::new()), "the controller does not report it");
    let flat =
        text(&validate(&["-f", "-"], &config_map(true, "  IMAGES: a=b:1\n  IMAGE_PULL_SECRETS: one;two\n")).stdout);
    assert!(flat.contains("as group default (one, two);"), "{flat}");
    for (without, file) in [
        ("pull secrets", config_map(true, "  images.yaml: '[\"a:1\"]'\n")),
        ("an accepted list", config_map(true, &groups.replace("a:1", "A"))),
    ] {
        assert_eq!(json(&file)["lists"][0]["notes"], Value::Array(Vec::new()), "without {without}");
    }
}

#[test]
fn a_rejected_list_exits_with_1_and_names_the_lines_of_the_file() {
    let output = validate(&["-f", "-"], &config_map(true, "  images.yaml: |\n    images:\n      - a b\n    x: 1\n"));
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("<stdin>:9: error[InvalidReference]: images.yaml: images[0]: "), "{lines:?}");
    assert!(lines[1].starts_with("<stdin>:10: error[UnknownKey]: images.yaml: x: "), "{lines:?}");
    assert_eq!(lines[2], "<stdin>:1: the list images is rejected, 2 errors");
}

#[test]
fn one_rejected_list_of_several_is_enough() {
    let file = format!(
        "{}---\n{}",
        config_map(true, "  images.yaml: '[nginx]'\n"),
        config_map(true, "  images.yaml: '[Nginx]'\n")
    );
    let printed = json(&file);
    assert_eq!(printed["accepted"], false);
    assert_eq!(printed["lists"][0]["accepted"], true);
    assert_eq!(printed["lists"][1]["problems"][0]["line"], 15);
    assert_eq!(validate(&["-f", "-"], &file).status.code(), Some(1));
}

#[test]
fn what_is_no_list_is_said() {
    let file = format!("{}---\n{}", config_map(true, "  IMAGES: a=b\n"), config_map(false, "  IMAGES: a=b\n"));
    let printed = text(&validate(&["-f", "-"], &file).stdout);
    assert!(printed.contains("<stdin>:9: the ConfigMap images is no list"), "{printed}");
    let alone = text(&validate(&["-f", "-"], &config_map(false, "  IMAGES: a=b\n")).stdout);
    assert!(alone.contains("--config-map images"), "{alone}");
}

#[test]
fn a_plain_images_yaml_is_a_list() {
    assert_eq!(validate(&["-f", "-"], "images: [nginx]\n").status.code(), Some(0));
    assert_eq!(validate(&["-f", "-"], "images: [nginx\n").status.code(), Some(1));
    assert_eq!(validate(&["-f", "-"], "").status.code(), Some(1));
}

#[test]
fn an_empty_list_is_right_only_where_it_may_be_new() {
    for input in
        ["", "# nothing yet\n", "images: []\n", &config_map(true, "  IMAGES: ''\n"), &config_map(true, "  {}\n")]
    {
        let output = validate(&["-f", "-"], input);
        let printed = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains("the list images has no images: it may be installed like this; an edit"), "{printed}");
        assert!(!printed.contains("is rejected,") && !printed.contains("error"), "{printed}");
        assert!(printed.starts_with("<stdin>:1: empty[") || input.contains("IMAGES"), "{printed}");
        let output = validate(&["-f", "-", "--allow-empty"], input);
        let printed = text(&output.stdout);
        assert!(output.status.code() == Some(0) && !printed.contains("error"), "{printed}");
        assert_eq!(json(input)["lists"][0]["state"], "empty");
    }
    assert_eq!(validate(&["-f", "-", "--allow-empty"], "image: []\n").status.code(), Some(1));
}

#[test]
fn a_list_that_is_called_what_no_object_can_be_called_is_rejected() {
    for metadata in ["{name: My List}", "{generateName: a}", "{name: a, namespace: A}"] {
        let printed = json(&format!("kind: ConfigMap\nmetadata: {metadata}\ndata: {{IMAGES: a=b}}\n"));
        assert_eq!(printed["lists"][0]["problems"][0]["code"], "InvalidName", "{printed}");
    }
}

#[test]
fn the_namespace_is_the_manifests_or_the_given_or_the_lists_own() {
    let data = "  IMAGES: a=b\n  NAMESPACE: puller\n";
    assert_eq!(json(&config_map(true, data))["lists"][0]["namespace"], "puller");
    let output = validate(&["-f", "-", "-n", "elsewhere"], &config_map(true, data));
    assert!(text(&output.stdout).contains("WrongNamespace"), "{}", text(&output.stdout));
}

#[test]
fn what_cannot_be_checked_exits_with_2() {
    let file = std::env::temp_dir().join("kube-prepull-no-such-file.yaml");
    for (arguments, input) in [
        (vec!["-f", file.to_str().expect("UTF-8")], ""),
        (vec!["-f", "-"], "kind: Deployment\n"),
        (vec!["-f", "-"], "kind: List\nitems: []\n"),
        (vec!["-f", "-"], "kind: Deployment\n---\nkind: ConfigMap\n"),
        (vec!["-f", concat!(env!("CARGO_MANIFEST_DIR"), "/src")], ""),
        (vec![], ""),
        (vec!["-f", "-", "-o", "table"], ""),
    ] {
        let output = validate(&arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {input}");
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains("error: "), "{}", text(&output.stderr));
    }
}

#[test]
fn a_folder_with_a_misnamed_file_says_how_to_name_it() {
    let folder = std::env::temp_dir().join(format!("kube-prepull-misnamed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("images.yml"), "images: [\"a:1\"]\n").expect("a file");
    let output = validate(&["-f", folder.to_str().expect("UTF-8")], "");
    std::fs::remove_dir_all(&folder).expect("the folder is removed");
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(printed.contains("if images.yml is the list, rename it to images.yaml"), "{printed}");
}

#[test]
fn several_files_patterns_and_folders_are_validated_one_by_one() {
    let folder = std::env::temp_dir().join(format!("kube-prepull-several-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("sub")).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    let good = config_map(true, "  images.yaml: '[\"nginx:1\"]'\n");
    write("b.yaml", &good);
    write("a.json", "images: [\"nginx:1\"]\n");
    write("c.yml", &config_map(true, "  images.yaml: '[Nginx]'\n"));
    write("notes.txt", "no list");
    write("sub/d.yaml", "not read");
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let run = |names: &[&str]| {
        let arguments: Vec<String> = names.iter().flat_map(|name| ["-f".to_owned(), path(name)]).collect();
        let output = validate(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let accepted = |name: &str| format!("{}:1: the list images is accepted\n", path(name));

    let two = accepted("b.yaml") + &accepted("a.json");
    assert_eq!(run(&["b.yaml", "a.json", "b.yaml"]), (Some(0), two, String::new()));
    let expanded_by_the_shell = validate(&["-f", &path("b.yaml"), &path("a.json"), "-o", "text"], "");
    assert_eq!(text(&expanded_by_the_shell.stdout), accepted("b.yaml") + &accepted("a.json"));
    assert_eq!(run(&["*.yaml"]), (Some(0), accepted("b.yaml"), String::new()));
    assert_eq!(run(&["?.[!x]*"]).0, Some(2), "there are no classes of characters");

    let (code, printed, _) = run(&[""]);
    assert!(printed.starts_with(&(accepted("a.json") + &accepted("b.yaml"))), "{printed}");
    assert!(printed.contains("c.yml:1: the list images is rejected") && !printed.contains("sub"), "{printed}");
    assert_eq!(code, Some(1));

    let (code, printed, said) = run(&["c.yml", "missing.yaml", "no*.yaml", "b.yaml"]);
    assert_eq!(code, Some(2), "the worst");
    assert!(printed.contains("is rejected") && printed.ends_with(&accepted("b.yaml")), "{printed}");
    assert!(said.contains("cannot read") && said.contains("no*.yaml: no file matches this pattern"), "{said}");

    write("IMAGES", "a=nginx:1");
    let (_, printed, _) = run(&[""]);
    assert!(printed.contains("unknown key \"c.yml\"") && !printed.contains("c.yml:1"), "each file is a key: {printed}");
    let (code, _, said) = run(&["sub/", "notes.txt/*"]);
    assert!(code >= Some(1) && said.contains("no file matches"), "{said}");
    std::fs::remove_dir_all(&folder).expect("the folder is removed");
}

#[test]
fn what_is_given_instead_of_a_list_is_translated() {
    let puller = "apiVersion: che.eclipse.org/v1alpha1\nkind: KubernetesImagePuller\nmetadata: {name: puller}\nspec:\n  \
                  images: a=nginx:1;b=redis:7\n  cachingIntervalHours: \"6\"\n";
    let several = format!("kind: Service\n---\n{puller}");
    for input in [puller, &several] {
        let output = validate(&["-f", "-"], input);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        let manifest = printed.split("this KubernetesImagePuller is:\n").nth(1).unwrap_or_else(|| panic!("{printed}"));
        let translated = validate(&["-f", "-"], manifest);
        assert_eq!(text(&translated.stdout), "<stdin>:1: the list puller is accepted\n", "{manifest}");
    }
    let pod = "kind: Pod\nspec: {containers: [{name: a, image: \"nginx:1\"}]}\n";
    let printed = text(&validate(&["-f", "-"], pod).stderr);
    assert!(
        printed.contains(
            "the kind of this object is Pod, and a list is a ConfigMap; list its images, as in images: [nginx:1]"
        ),
        "{printed}"
    );
    let values = validate(&["-f", "-"], "configMap: {images: \"a=nginx:1\"}\n");
    assert_eq!(values.status.code(), Some(1));
    assert!(text(&values.stdout).contains("error[NotAList]: images.yaml: these are values of a Helm chart"));
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    let output = validate(&["-f", "-"], "x: 1\n");
    assert!(!text(&output.stdout).contains('\u{1b}'), "{}", text(&output.stdout));
}
