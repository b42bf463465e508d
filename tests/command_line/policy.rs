//! Policies, as operators check and give them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{bad, run};

/// A file that goes with the value.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kube-prepull-policy-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Validates a list with a policy, and returns the exit code and the problems.
fn validated(policy: &Path, list: &str) -> (Option<i32>, Vec<String>) {
    let output = run(&["validate", "-f", "-", "-o", "json", "--policy", policy.to_str().unwrap()], list);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let problems = printed["lists"][0]["problems"].as_array().unwrap();
    let line = |it: &Value| format!("{} {} {}", it["line"], it["code"].as_str().unwrap(), it["path"].as_str().unwrap());
    (output.status.code(), problems.iter().map(line).collect())
}

#[test]
fn validate_checks_a_list_against_a_policy() {
    let policy = File::new("file.yaml", "images: [ghcr.io/acme/*]\nserviceAccounts: [puller]\nmaxImages: 1\n");
    assert_eq!(
        validated(&policy.0, "images: [\"GHCR.io/acme/app:1\"]\nserviceAccountName: puller\n"),
        (Some(0), vec![])
    );
    let (code, problems) =
        validated(&policy.0, "images:\n- ghcr.io/acme/app:1\n- docker.io/nginx:1\nserviceAccountName: x\n");
    let expected = [
        "1 TooLarge images.yaml",
        "3 NotAllowed images.yaml: images[1]",
        "4 NotAllowed images.yaml: serviceAccountName",
    ];
    assert_eq!((code, problems), (Some(1), expected.map(str::to_owned).to_vec()));
}

#[test]
fn the_values_of_the_chart_are_a_policy() {
    let values = File::new("values.yaml", "replicas: 2\npolicy:\n  images: [ghcr.io/acme/*]\n");
    assert_eq!(validated(&values.0, "[nginx:1]").1, ["1 NotAllowed images.yaml[0]"]);
}

#[test]
fn without_a_policy_validate_checks_against_the_default_one() {
    let output = run(&["validate", "-f", "-"], "{images: [\"nginx:1\"], priorityClassName: system-node-critical}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("error[NotAllowed]: images.yaml: priorityClassName: the PriorityClass \"system-node-critical\" is not allowed: \"!system-*\" excludes it"), "{printed}");
}

#[test]
fn a_policy_that_cannot_be_understood_is_wrong_usage() {
    let policy = File::new("bad.yaml", "images: [nginx]\nmaxImage: 3\n");
    let said = bad(&["validate", "-f", "-", "--policy", policy.path()], "[nginx]", 2);
    assert!(said.contains(&format!("{}:1: [InvalidValue] policy: images[0]: ", policy.path())), "{said}");
    assert!(
        said.contains(":2: [UnknownKey] policy: maxImage: ") && said.contains("did you mean \"maxImages\"?"),
        "{said}"
    );
    let missing = bad(&["validate", "-f", "-", "--policy", "/no/such/file"], "[nginx]", 2);
    assert!(missing.contains("cannot read /no/such/file"), "{missing}");
}

#[test]
fn the_controller_does_not_start_with_a_policy_that_cannot_be_understood() {
    let policy = File::new("start.yaml", "images: [nginx]\n");
    let said = bad(&["run", "--policy", policy.path()], "", 2);
    assert!(said.contains(":1: [InvalidValue] policy: images[0]: \"nginx\" is not a pattern: it names no registry; write docker.io/library/nginx"), "{said}");
    let start = |arguments: &[&str], text: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        let output =
            command.arg("run").args(arguments).env_clear().env("POLICY", text).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = start(&[], "tolerations: all");
    assert!(code == Some(2) && said.contains("POLICY:1: [WrongType] policy: tolerations"), "{said}");
    let (code, said) = start(&["--policy", policy.path()], "maxImages: 1");
    assert!(code == Some(2) && said.contains("there are two policies"), "{said}");
}
