//! The workflows: who may write, what runs before what, and what a release passes on. And the check of advisories.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::helm::checkout;

const CHANGES: &str = "changes.yaml";
const RELEASE: &str = "release.yaml";

fn workflows() -> BTreeMap<String, Value> {
    let files = fs::read_dir(checkout(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let named = files.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), serde_yaml::from_str(&text).unwrap())
    });
    named.collect()
}

fn release() -> Value {
    workflows().remove(RELEASE).unwrap()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// The scripts of a job, one after the other.
fn scripts(job: &Value) -> String {
    steps(job).iter().filter_map(|step| step["run"].as_str()).collect::<Vec<_>>().join("\n")
}

fn uses(step: &Value, action: &str) -> bool {
    step["uses"].as_str().is_some_and(|used| used.starts_with(&format!("{action}@")))
}

fn writes(permissions: &Value) -> Vec<&str> {
    let all = permissions.as_object().expect("permissions one by one");
    all.iter().filter(|(_, right)| *right == "write").map(|(name, _)| name.as_str()).collect()
}

#[test]
fn only_what_publishes_may_write_and_only_what_it_needs() {
    for (file, workflow) in workflows() {
        assert!(writes(&workflow["permissions"]).is_empty(), "{file}");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let expected: &[&str] = match (file.as_str(), name.as_str()) {
                (RELEASE, "publish") => &["attestations", "contents", "id-token"],
                _ => &[],
            };
            let mut found = writes(&job["permissions"]);
            found.sort_unstable();
            assert_eq!(found, expected, "{file}: {name}");
            let checkouts = steps(job).iter().filter(|step| uses(step, "actions/checkout"));
            for step in checkouts {
                assert_eq!(step["with"]["persist-credentials"], false, "{file}: {name} keeps its token on the disk");
            }
            let has_secrets = job.to_string().contains("secrets.");
            assert_eq!(has_secrets, !expected.is_empty(), "{file}: {name} has secrets: {has_secrets}");
        }
    }
}

#[test]
fn a_release_is_tested_before_it_is_built_and_built_before_it_is_published() {
    let release = release();
    let test = release["jobs"]["test"]["uses"].as_str().unwrap();
    assert_eq!(test, format!("./.github/workflows/{CHANGES}"));
    let changes = &workflows()[CHANGES];
    assert!(changes["on"].as_object().unwrap().contains_key("workflow_call"));
    assert!(scripts(&changes["jobs"]["changes"]).contains(".ci/run"));
    assert_eq!(
        (&release["jobs"]["build"]["needs"], &release["jobs"]["publish"]["needs"]),
        (&"test".into(), &"build".into())
    );
    assert!(scripts(&release["jobs"]["build"]).contains("make image"));
}

#[test]
fn what_publishes_runs_no_code_of_the_repository_and_checks_first_what_the_build_has_made() {
    let release = release();
    let publish = &release["jobs"]["publish"];
    let steps = steps(publish);
    assert!(!steps.iter().any(|step| uses(step, "actions/checkout")));
    assert!(
        !scripts(publish)
            .lines()
            .any(|line| ["make ", "cargo ", "deploy/"].iter().any(|it| line.trim().starts_with(it)))
    );
    assert!(uses(&steps[0], "actions/download-artifact"));
    assert_eq!(steps[1]["env"]["CHECKSUM"], "${{ needs.build.outputs.checksum }}");
    let pushed = scripts(publish);
    for check in ["[ \"$(cat digest.txt)\" = \"$DIGEST\" ]", "[ \"$(cat holder-digest.txt)\" = \"$HOLDER_DIGEST\" ]"] {
        assert!(pushed.contains(check), "the digests of the images are checked");
    }
}

#[test]
fn everything_that_is_published_is_signed_and_has_a_provenance() {
    let release = release();
    let publish = &release["jobs"]["publish"];
    let attested = steps(publish).iter().filter(|step| uses(step, "actions/attest-build-provenance"));
    let subjects: Vec<_> = attested.map(|step| step["with"]["subject-name"].as_str().unwrap_or("files")).collect();
    assert_eq!(
        subjects,
        [
            "${{ vars.REGISTRY }}/kube-prepull",
            "${{ vars.REGISTRY }}/kube-prepull",
            "${{ vars.REGISTRY }}/charts/kube-prepull",
            "files"
        ]
    );
    let digests: Vec<_> = steps(publish).iter().filter_map(|step| step["with"]["subject-digest"].as_str()).collect();
    for output in ["digest", "holder-digest"] {
        assert!(digests.contains(&&*format!("${{{{ needs.build.outputs.{output} }}}}")), "{output}: {digests:?}");
    }
    let scripts = scripts(publish);
    for command in [
        "cosign sign --yes --recursive \"$REGISTRY/kube-prepull@$DIGEST",
        "cosign sign --yes --recursive \"$REGISTRY/kube-prepull@$HOLDER_DIGEST",
        "cosign sign --yes \"$REGISTRY/charts/kube-prepull@",
        "cosign attest --yes --type cyclonedx --predicate published/kube-prepull.cdx.json \"$REGISTRY/kube-prepull@$DIGEST",
        "cosign attest --yes --type cyclonedx --predicate published/holder.cdx.json \"$REGISTRY/kube-prepull@$HOLDER_DIGEST",
        "cosign sign-blob --yes --bundle",
    ] {
        assert!(scripts.contains(command), "{command}");
    }
}

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn begin(name: &str) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("{name}-{}", std::process::id())));
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    /// Runs a script here, as a runner does.
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).envs(variables.iter().copied());
        bash.current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_file_that_was_changed_added_or_lost_on_its_way_is_not_published() {
    let release = release();
    let check = steps(&release["jobs"]["publish"])[1]["run"].as_str().unwrap().to_owned();
    for (tampering, expected) in [
        ("true", true),
        ("echo more >>b.tgz", false),
        ("rm a.tar.gz", false),
        ("touch c", false),
        ("echo more >>b.tgz; sha256sum -- a.tar.gz b.tgz >SHA256SUMS", false),
    ] {
        let folder = Folder::begin("published");
        let make =
            "echo a >a.tar.gz; echo b >b.tgz; sums=$(sha256sum -- *); echo \"$sums\" >SHA256SUMS; sha256sum SHA256SUMS";
        let made = folder.run(make, &[]);
        let checksum = String::from_utf8(made.stdout).unwrap().split(' ').next().unwrap().to_owned();
        folder.run(tampering, &[]);
        let output = folder.run(&check, &[("CHECKSUM", &checksum)]);
        assert_eq!(output.status.success(), expected, "{tampering}: {output:?}");
    }
}

fn advisories(deny: &Path, database: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut script = Command::new(checkout(".ci/advisories"));
    script.arg(deny).env("DATABASE", database).env_remove("GITHUB_ACTIONS").envs(variables.iter().copied());
    let begun = Instant::now();
    let output = script.output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60));
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn advisories_fail_the_check_and_an_unreachable_database_is_a_loud_warning() {
    let folder = Folder::begin("advisories");
    let script = "git init -q db; cd db; git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m a; cd ..\n\
        printf '#!/bin/sh\\necho vulnerable\\nexit 1\\n' >finds; printf '#!/bin/sh\\n' >clean; chmod +x finds clean";
    assert!(folder.run(script, &[]).status.success());
    let (database, nowhere) = (format!("file://{}/db", folder.0.display()), "https://127.0.0.1:1/db");
    let (finds, clean) = (folder.0.join("finds"), folder.0.join("clean"));
    assert_eq!(advisories(&finds, &database, &[]), (Some(1), "vulnerable\n".to_owned()));
    assert_eq!(advisories(&clean, &database, &[]).0, Some(0));
    let (code, output) = advisories(&finds, nowhere, &[]);
    assert!(
        code == Some(0) && output.contains("WARNING: dependencies were NOT checked") && output.contains(nowhere),
        "{output}"
    );
    let (_, output) = advisories(&finds, nowhere, &[("GITHUB_ACTIONS", "true")]);
    assert!(output.contains("\n::warning") || output.starts_with("::warning"), "{output}");
    assert_eq!(advisories(&finds, nowhere, &[("ADVISORIES", "required")]).0, Some(1));
}

#[test]
fn the_digest_of_each_image_is_read_from_what_the_build_prints() {
    let release = release();
    let build = steps(&release["jobs"]["build"]).iter().find(|step| step["id"] == "images").unwrap();
    let folder = Folder::begin("digests");
    let (holder, controller) = ("1".repeat(64), "2".repeat(64));
    let printed = format!(
        "     3456 bytes compressed  linux/amd64\nsha256:{holder}  kube-prepull:1.0.0-holder, in target/image/holder-layout\n\
         sha256:{controller}  kube-prepull:1.0.0, in target/image/layout\n"
    );
    fs::write(folder.0.join("printed"), printed).unwrap();
    let script = build["run"].as_str().unwrap().replace("make image", "cat printed");
    let output = folder.run(&script, &[("VERSION", "1.0.0"), ("GITHUB_OUTPUT", "outputs")]);
    assert!(output.status.success(), "{output:?}");
    let outputs = fs::read_to_string(folder.0.join("outputs")).unwrap();
    assert_eq!(outputs, format!("digest=sha256:{controller}\nholder-digest=sha256:{holder}\n"));
}
