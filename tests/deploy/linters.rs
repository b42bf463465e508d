//! What linters say: kube-score of everything that is rendered, actionlint of the workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;
use test_bed::programs;

use super::helm::{Helm, checkout};
use super::{kustomize, openshift};

const EVERYTHING: &str = include_str!("values/everything.yaml");
/// Off unless they are asked for, and of use here.
const OPTIONAL: [&str; 2] = ["container-seccomp-profile", "container-ports-check"];
/// kube-score's grade of a check without a finding.
const ALL_IS_WELL: u8 = 10;

/// What kube-score says of one object.
#[derive(Deserialize)]
struct Scored {
    type_meta: TypeMeta,
    checks: Vec<Score>,
}

#[derive(Deserialize)]
struct TypeMeta {
    kind: String,
}

#[derive(Deserialize)]
struct Score {
    check: Check,
    grade: u8,
    skipped: bool,
    comments: Option<Vec<Comment>>,
}

#[derive(Deserialize)]
struct Check {
    id: String,
}

#[derive(Deserialize)]
struct Comment {
    summary: String,
}

fn linter(name: &str) -> PathBuf {
    programs::build(&[name]).unwrap().join(name)
}

/// What kube-score finds in objects that belong together: check, kind of object, and what it says.
fn findings(objects: &[Value]) -> BTreeSet<[String; 3]> {
    let mut command = Command::new(linter("kube-score"));
    command.args(["score", "--output-format", "json", "--kubernetes-version", "v1.36"]);
    command.args(OPTIONAL.iter().flat_map(|check| ["--enable-optional-test", check]));
    let mut child = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text: String = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    // It ends with 1 where it finds anything.
    let output = child.wait_with_output().unwrap();
    let scored: Vec<Scored> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(scored.iter().any(|it| it.type_meta.kind == "Deployment"), "nothing was scored");
    let of_object = |object: Scored| {
        let kind = object.type_meta.kind;
        let bad = object.checks.into_iter().filter(|score| !score.skipped && score.grade < ALL_IS_WELL);
        bad.flat_map(move |score| {
            let (check, kind) = (score.check.id, kind.clone());
            let comments = score.comments.unwrap_or_default().into_iter();
            comments.map(move |comment| [check.clone(), kind.clone(), comment.summary])
        })
        .collect::<Vec<_>>()
    };
    scored.into_iter().flat_map(of_object).collect()
}

/// The rows of the file: what is found, and why it stays so.
fn argued() -> BTreeMap<[String; 3], String> {
    let text = fs::read_to_string(checkout("deploy/kube-score.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>()).skip(2);
    let finding = |cells: Vec<String>| {
        let [check, kind, says, why] = <[String; 4]>::try_from(cells).unwrap();
        ([check.trim_matches('`').to_owned(), kind, says], why)
    };
    cells.map(finding).collect()
}

#[test]
fn kube_score_finds_nothing_but_what_is_argued_away_and_no_argument_is_without_a_finding() {
    let helm = Helm::offline("default");
    let two = "replicas: 2\nnetworkPolicy: {create: false}\nimage: {pullPolicy: Always}";
    let charts = ["", two, EVERYTHING].map(|values| helm.template(values));
    let rendered = charts.into_iter().chain([kustomize::built(), openshift::defaults()]);
    let found: BTreeSet<_> = rendered.flat_map(|objects| findings(&objects)).collect();
    let argued = argued();
    let unargued: Vec<_> = found.iter().filter(|finding| !argued.contains_key(*finding)).collect();
    let stale: Vec<_> = argued.keys().filter(|finding| !found.contains(*finding)).collect();
    assert!(unargued.is_empty() && stale.is_empty(), "not in the file: {unargued:#?}\nnot found: {stale:#?}");
    for (finding, why) in argued {
        assert!(why.split_whitespace().count() > 4, "{finding:?}: that is no reason: {why}");
    }
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let folder = checkout(".github/workflows");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    let output = Command::new(linter("actionlint")).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A tag of a repository can be moved by whoever owns it, or has broken into it; a commit cannot.
#[test]
fn workflows_use_actions_by_commit() {
    for entry in fs::read_dir(checkout(".github/workflows")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for action in text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "))
        {
            // A workflow of the same commit.
            if action.starts_with("./") {
                continue;
            }
            let (_, version) = action.split_once('@').unwrap();
            let (commit, comment) = version.split_once(" # v").unwrap_or((version, ""));
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && !comment.is_empty(), "{action}: name a commit, and its version in a comment");
        }
    }
}
