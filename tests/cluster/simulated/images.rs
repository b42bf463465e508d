//! `images` reads what nodes hold from the cluster.

use std::process::{Command, Output};

use super::kubelets::Kubelets;
use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

fn images(trial: &Trial, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command
        .arg("images")
        .args(arguments)
        .args(["--namespace", &trial.namespace, "--kubeconfig"])
        .arg(&trial.kubeconfig);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn images_are_printed_by_the_digests_that_nodes_hold_and_a_rejected_edit_changes_none() {
    let trial = trial("bake").await;
    let digest = format!("sha256:{}", "1".repeat(64));
    let answer = format!("registry.example.com/app@{digest}");
    let kubelets = Kubelets::start(&trial, &["amd64"; 2], move |_| Some(answer.clone())).await;
    let _controller = Controller::start(&trial).await;
    let placement = kubelets.placement();
    let list = format!("groups: [{{name: g, images: [\"registry.example.com/app:1\"], {placement}}}]\n");
    trial.write_list("tools", &list).await;
    eventually("the list to be warm", async || (trial.status()["warm"] == true).then_some(())).await;
    let by_tag = images(&trial, &["tools"]);
    assert_eq!(text(&by_tag.stdout), "registry.example.com/app:1\n", "{by_tag:?}");
    let by_digest = images(&trial, &["--digests"]);
    assert!(by_digest.status.success(), "{by_digest:?}");
    assert_eq!(text(&by_digest.stdout), format!("registry.example.com/app@{digest}\n"));
    trial.write_list("tools", "images: [Bad]").await;
    trial.validated("tools", "rejected").await;
    let in_force = images(&trial, &["tools", "--digests"]);
    assert_eq!(in_force.stdout, by_digest.stdout, "{in_force:?}");
    assert!(text(&in_force.stderr).contains("rejected"), "{in_force:?}");
    let unknown = images(&trial, &["other"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}
