//! Files of others, as a CI job reads them: nothing in them controls the terminal or the CI system.

use std::fs;

use serde_json::json;

use crate::run;

/// Escapes, commands of CI systems, and characters that reverse text or that nobody sees.
const HOSTILE: &str = "\u{1b}[31mx\u{1b}[0m\n::error file=a::owned\r\n  ##[error]owned\n##vso[task.complete]\u{2028}::set-env name=A::b\
                       \u{202e}y\u{200b}z\u{9b}2J\u{7f}\u{85}";

fn assert_clean(what: &str, shown: &str) {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!shown.chars().any(is_hidden), "{what}: {shown:?}");
    for command in ["::error", "::set-env", "##[", "##vso["] {
        assert!(!shown.contains(command), "{what}: {shown:?}");
    }
}

/// YAML allows the hidden characters only as escapes, as JSON has them.
fn file_of(list: &serde_json::Value) -> String {
    let is_plain = |c: &char| (' '..='~').contains(c);
    list.to_string()
        .chars()
        .map(|c| if is_plain(&c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
        .collect()
}

/// What a call prints on both streams, checked.
fn shown(arguments: &[&str], input: &str, code: i32) -> String {
    let output = run(arguments, input);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_clean(&arguments.join(" "), &shown);
    shown
}

#[test]
fn hostile_keys_and_values_of_a_list_are_reported_clean() {
    let lists = [
        json!({HOSTILE: 1, "images": ["a:1"]}),
        json!({"images": [format!("a:{HOSTILE}")]}),
        json!({"images": [{HOSTILE: HOSTILE}], "groups": [{"name": HOSTILE, "images": ["a:1"], "nodeSelector": {HOSTILE: HOSTILE}}]}),
        json!({"images": ["a:1"], "tolerations": [{"key": HOSTILE, "operator": HOSTILE}], "refresh": {"every": HOSTILE}}),
        json!({"images": ["a:1"], "resources": {"requests": {"cpu": HOSTILE}}, "podAnnotations": {HOSTILE: "x"}}),
        json!({"kind": HOSTILE, "apiVersion": HOSTILE, "metadata": {"name": HOSTILE}}),
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": HOSTILE, "namespace": HOSTILE},
               "data": {HOSTILE: HOSTILE, "IMAGES": HOSTILE, "NODE_SELECTOR": HOSTILE}}),
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": HOSTILE}, "data": {"a": "b"}}),
    ];
    for list in lists {
        let list = file_of(&list);
        let output = run(&["validate", "-f", "-"], &list);
        let code = output.status.code().unwrap();
        shown(&["validate", "-f", "-"], &list, code);
        let json = shown(&["validate", "-f", "-", "-o", "json"], &list, code);
        if code == 2 {
            continue;
        }
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(report["accepted"], code == 0, "{json}");
        for problem in report["lists"].as_array().unwrap().iter().flat_map(|list| list["problems"].as_array().unwrap())
        {
            for key in ["path", "message", "remedy"] {
                let text = problem[key].as_str().unwrap();
                assert!(!text.contains('\n') && text.len() <= 2048, "{text:?}");
                assert_clean(key, text);
            }
        }
        for command in [["render", "-f", "-"], ["images", "-f", "-"]] {
            let output = run(&command, &list);
            shown(&command, &list, output.status.code().unwrap());
        }
    }
}

#[test]
fn what_is_no_yaml_at_all_is_reported_clean() {
    for text in
        [HOSTILE.to_owned(), format!("images: [{HOSTILE}"), format!("a: &{HOSTILE}\n{HOSTILE}"), format!("'{HOSTILE}")]
    {
        for command in [["validate", "-f", "-"], ["render", "-f", "-"], ["images", "-f", "-"]] {
            let code = run(&command, &text).status.code().unwrap();
            assert_ne!(code, 0);
            shown(&command, &text, code);
        }
    }
}

#[test]
fn the_name_of_a_file_is_printed_clean() {
    let folder = std::env::temp_dir().join(format!("kube-prepull-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("::error file=a::\u{1b}[31m\u{202e}.yaml");
    fs::write(&path, "images: [a]").unwrap();
    let file = path.to_str().unwrap();
    shown(&["validate", "-f", file], "", 0);
    shown(&["validate", "-f", file, "-o", "json"], "", 0);
    fs::remove_dir_all(&folder).unwrap();
    // The last one does not know the argument.
    for command in [
        ["validate", "-f", file],
        ["render", "-f", file],
        ["images", "-f", file],
        ["wait", "-f", file],
        ["validate", "-f=-", file],
    ] {
        shown(&command, "", 2);
    }
}

#[test]
fn a_hostile_kubeconfig_is_reported_clean() {
    let path = std::env::temp_dir().join(format!("kube-prepull-{}.kubeconfig", std::process::id()));
    let file = path.to_str().unwrap();
    let context = json!({"kind": "Config", "current-context": HOSTILE, "contexts": [], "clusters": [], "users": []});
    for text in [HOSTILE.to_owned(), context.to_string()] {
        fs::write(&path, text).unwrap();
        shown(&["status", "--kubeconfig", file], "", 1);
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn annotations_of_pods_are_rendered_as_they_are_without_showing_what_is_hidden() {
    let list = json!({"images": ["a:1"], "podAnnotations": {"example.com/a": HOSTILE}});
    let list = file_of(&list);
    for format in ["yaml", "json"] {
        let rendered = shown(&["render", "-f", "-", "-o", format], &list, 0);
        let manifest = rendered.lines().filter(|line| !line.starts_with("warning")).collect::<Vec<_>>().join("\n");
        let object: serde_json::Value = serde_yaml::from_str(manifest.trim_start_matches("---")).unwrap();
        let object = if format == "json" { &object["items"][0] } else { &object };
        assert_eq!(object["spec"]["template"]["metadata"]["annotations"]["example.com/a"], HOSTILE);
    }
}
