//! The accepted versions of a list, and back to one of them, as users do it.

use std::process::{Command, Output};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::Value;

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

fn run(trial: &Trial, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(arguments).args(["--namespace", &trial.namespace, "--kubeconfig"]).arg(&trial.kubeconfig);
    command.output().unwrap()
}

fn good(trial: &Trial, arguments: &[&str]) -> String {
    let output = run(trial, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(trial: &Trial, arguments: &[&str]) -> String {
    let output = run(trial, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn accept(trial: &Trial, text: &str) {
    trial.write_list("tools", text).await;
    trial.validated("tools", "accepted").await;
}

fn text(list: &ConfigMap) -> &str {
    &list.data.as_ref().unwrap()["images.yaml"]
}

#[tokio::test]
async fn a_list_goes_back_to_an_earlier_version_with_its_comments_and_history_shows_what_each_changed() {
    let trial = trial("history").await;
    let _controller = Controller::start(&trial).await;
    let second = "# The cache of the shop.\nimages: [nginx:1.28]\n";
    accept(&trial, "images: [nginx:1.27]\n").await;
    accept(&trial, second).await;
    accept(&trial, "images: [nginx:1.28, redis:7]\n").await;
    let shown = good(&trial, &["history", "tools"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    assert!(lines[1].starts_with("3 ") && lines[1].ends_with("in effect; images added: redis:7"), "{shown}");
    assert!(lines[2].contains("nginx:1.27 → nginx:1.28"), "{shown}");

    let would = good(&trial, &["rollback", "tools", "--dry-run"]);
    assert!(would.contains("images removed: redis:7") && would.contains("nothing was written"), "{would}");
    assert_eq!(text(&trial.list("tools").await), "images: [nginx:1.28, redis:7]\n");
    let said = good(&trial, &["rollback", "tools"]);
    assert!(said.contains("is back at version 2"), "{said}");
    assert_eq!(text(&trial.list("tools").await), second);
    trial.settled_on(&["nginx:1.28"]).await;
    let newest: Value = serde_json::from_str(&good(&trial, &["history", "tools", "--output", "json"])).unwrap();
    assert_eq!((&newest[0]["version"], &newest[0]["inEffect"]), (&4.into(), &true.into()));
    good(&trial, &["rollback", "tools", "--to", "1"]);
    trial.settled_on(&["nginx:1.27"]).await;
    assert!(refused(&trial, &["rollback", "tools", "--to", "17"]).contains("there is no version 17"));
}

#[tokio::test]
async fn a_bad_edit_is_undone_and_a_list_that_another_tool_manages_is_left_to_that() {
    let trial = trial("rollback").await;
    let _controller = Controller::start(&trial).await;
    accept(&trial, "images: [nginx:1.27]\n").await;
    trial.write_list("tools", "images: [NGINX]\n").await;
    trial.validated("tools", "rejected").await;
    trial.annotate_list("tools", "argocd.argoproj.io/tracking-id", "shop:/ConfigMap:prepull/tools").await;
    let said = refused(&trial, &["rollback", "tools"]);
    assert!(said.contains("Argo CD (the Application shop) manages the list") && said.contains("--force"), "{said}");
    assert_eq!(text(&trial.list("tools").await), "images: [NGINX]\n");
    good(&trial, &["rollback", "tools", "--force"]);
    assert_eq!(text(&trial.list("tools").await), "images: [nginx:1.27]\n");
    let list = eventually("the list to be accepted again", async || {
        let list = trial.list("tools").await;
        (list.labels()["kube-prepull.io/state"] == "accepted").then_some(list)
    })
    .await;
    let managers: Vec<_> = list.managed_fields().iter().filter_map(|entry| entry.manager.clone()).collect();
    assert!(managers.contains(&"kubectl-prepull".to_owned()), "{managers:?}");

    assert!(refused(&trial, &["rollback", "tools", "--force"]).contains("no accepted version but the present one"));
    assert!(refused(&trial, &["rollback", "other"]).contains("there is no ConfigMap other"));
    assert!(refused(&trial, &["history", "other"]).contains("has no accepted version"));
}
