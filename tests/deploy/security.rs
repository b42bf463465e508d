//! What the page on security tells people to do: its commands are run, and what it names is there.

use std::fs;
use std::process::Command;

use serde_json::Value;
use test_bed::programs;

use super::helm::{Helm, checkout};
use super::namespace::Namespace;

const PAGE: &str = "docs/security.md";
/// The chart's account of the controller.
const ACCOUNT: &str = "system:serviceaccount:prepull:k8s-image-puller";

/// The fenced blocks of a language in a part of the page, without their indent.
fn blocks(part: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(checkout(PAGE)).unwrap();
    let (_, rest) = page.split_once(&format!("\n## {part}\n")).unwrap();
    let text = rest.split("\n## ").next().unwrap();
    let (mut blocks, mut open) = (Vec::new(), None::<String>);
    for line in text.lines() {
        match &mut open {
            None if line.trim() == format!("```{language}") => open = Some(String::new()),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some(block) => *block += &format!("{}\n", line.strip_prefix("   ").unwrap_or(line)),
        }
    }
    blocks
}

#[test]
fn the_commands_for_hardening_and_audit_work_and_say_what_the_page_says() {
    let namespace = Namespace::create("security");
    let helm = Helm::of_cluster(namespace.kubeconfig(), &namespace.name);
    helm.with_chart("install", "", &[]).unwrap();
    let kubectl = programs::build(&["kubectl"]).unwrap();
    let path = format!("{}:{}", kubectl.display(), std::env::var("PATH").unwrap());
    let commands = ["Hardening", "Audit"].iter().flat_map(|part| blocks(part, "sh"));
    let commands: Vec<String> =
        commands.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let here = command.replace("prepull:k8s", &format!("{}:k8s", namespace.name));
        let here = here.replace("namespace prepull", &format!("namespace {}", namespace.name));
        let mut bash = Command::new("bash");
        bash.args(["-c", &here]).env("PATH", &path).env("KUBECONFIG", namespace.kubeconfig());
        let output = bash.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let asks = command.contains("auth can-i") && !command.contains("--list");
        match asks {
            // Nobody but administrators has these rights, the controller neither.
            true => assert_eq!(stdout.trim(), "no", "{here}: {stderr}"),
            false => assert!(
                output.status.success() && (!stdout.is_empty() || stderr.contains("No resources")),
                "{here}: {stderr}"
            ),
        }
        if command.contains("--list") {
            assert!(stdout.contains("daemonsets.apps") && !stdout.contains("secrets"), "{stdout}");
        }
    }
    helm.run(&["uninstall", super::helm::RELEASE]).unwrap();
}

#[test]
fn the_audit_policy_records_writes_of_people_and_not_the_work_of_the_controller() {
    let policy: Value = serde_yaml::from_str(&blocks("Audit", "yaml")[0]).unwrap();
    assert_eq!((&policy["apiVersion"], &policy["kind"]), (&"audit.k8s.io/v1".into(), &"Policy".into()));
    let rules = policy["rules"].as_array().unwrap();
    // k8s.io/apiserver/pkg/apis/audit/v1: the fields of a rule, and the levels.
    let fields = ["level", "users", "verbs", "namespaces", "resources"];
    assert!(rules.iter().all(|rule| rule.as_object().unwrap().keys().all(|key| fields.contains(&key.as_str()))));
    let level = |user: &str, verb: &str, group: &str, resource: &str| {
        let holds = |rule: &Value, key: &str, value: &str| {
            rule[key].as_array().is_none_or(|all| all.iter().any(|it| it == value))
        };
        let concerns = |rule: &&Value| {
            let resources = rule["resources"].as_array();
            let is_listed = resources
                .is_none_or(|all| all.iter().any(|it| it["group"] == group && holds(it, "resources", resource)));
            holds(rule, "users", user)
                && holds(rule, "verbs", verb)
                && holds(rule, "namespaces", "prepull")
                && is_listed
        };
        rules.iter().find(concerns).map_or("none", |rule| rule["level"].as_str().unwrap())
    };
    for (user, verb, group, resource, expected) in [
        (ACCOUNT, "watch", "", "pods", "None"),
        (ACCOUNT, "update", "coordination.k8s.io", "leases", "None"),
        (ACCOUNT, "patch", "", "configmaps", "RequestResponse"),
        (ACCOUNT, "create", "apps", "daemonsets", "Metadata"),
        ("alice", "update", "", "configmaps", "RequestResponse"),
        ("alice", "create", "", "serviceaccounts/token", "Metadata"),
        ("alice", "create", "", "pods/exec", "Metadata"),
        ("alice", "patch", "apps", "daemonsets", "Metadata"),
        ("alice", "delete", "eci.alibabacloud.com", "imagecaches", "Metadata"),
        (ACCOUNT, "patch", "", "nodes", "Request"),
        (ACCOUNT, "patch", "", "nodes/status", "Request"),
        ("system:node:a", "patch", "", "nodes/status", "none"),
        ("alice", "get", "", "configmaps", "none"),
    ] {
        assert_eq!(level(user, verb, group, resource), expected, "{user} {verb} {resource}");
    }
}

#[test]
fn the_page_verifies_what_the_release_publishes() {
    let commands = blocks("Verify a release", "sh").concat();
    let release = fs::read_to_string(checkout(".github/workflows/release.yaml")).unwrap();
    assert!(commands.contains("/.github/workflows/release.yaml@refs/tags/v"));
    for (verified, published) in [
        (
            "cosign verify-blob --bundle SHA256SUMS.sigstore.json",
            "cosign sign-blob --yes --bundle \"$file.sigstore.json\"",
        ),
        ("gh attestation verify kube-prepull-0.1.0-linux-amd64.tar.gz", "subject-checksums: published/SHA256SUMS"),
        ("cosign verify-attestation --type cyclonedx", "cosign attest --yes --type cyclonedx"),
        ("for image in \"$REGISTRY/kube-prepull:", "subject-name: ${{ vars.REGISTRY }}/kube-prepull\n"),
        ("kube-prepull:0.1.0-holder\"", "subject-digest: ${{ needs.build.outputs.holder-digest }}"),
        ("gh attestation verify \"oci://$image\"", "subject-digest: ${{ needs.build.outputs.digest }}"),
    ] {
        assert!(commands.contains(verified) && release.contains(published), "{verified}");
    }
}

#[test]
fn the_events_that_the_page_names_exist() {
    let page = fs::read_to_string(checkout(PAGE)).unwrap();
    let events = fs::read_to_string(checkout("docs/events.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains("| Events |"));
    let named: Vec<_> = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert_eq!(named.len(), 4, "{named:?}");
    assert!(named.iter().all(|name| events.contains(&format!("| `{name}` | "))), "{named:?}");
}
