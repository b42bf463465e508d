use std::process::Command;

use super::trial;
use crate::controller::Controller;
use crate::tag_checks::number;
use crate::trial::{Trial, eventually};

#[tokio::test]
async fn in_the_mode_always_a_new_value_of_the_annotation_begins_a_rollout_and_the_same_value_does_not() {
    let trial = trial("annotation").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\nrefresh: {mode: Always}\n").await;
    let first = trial.settled_on(&["nginx:1.27"]).await;
    trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "one").await;
    let second = eventually("another generation", async || {
        let found = trial.daemon_sets().await;
        (found.len() == 1 && found[0].metadata.uid != first.metadata.uid).then(|| found[0].clone())
    })
    .await;
    controller.kill();
    let _controller = Controller::start(&trial).await;
    trial.write_list("other", "images: [Bad]").await;
    trial.validated("other", "rejected").await;
    let found = trial.daemon_sets().await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].metadata.uid, second.metadata.uid, "a restart begins no rollout");
}

#[tokio::test]
async fn the_refresh_command_does_what_the_mode_says() {
    let trial = trial("refresh").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\nrefresh: {mode: Always}\n").await;
    let first = trial.settled_on(&["nginx:1.27"]).await;
    let output = refresh(&trial, "tools");
    assert!(output.status.success(), "{output:?}");
    eventually("another generation", async || {
        let found = trial.daemon_sets().await;
        (found.len() == 1 && found[0].metadata.uid != first.metadata.uid).then_some(())
    })
    .await;
}

#[tokio::test]
async fn in_the_mode_recreate_the_daemon_set_goes_before_another_comes() {
    let trial = trial("recreate").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\nrefresh: {every: 24h, mode: Recreate}\n").await;
    assert_eq!(number(&trial.settled_on(&["nginx:1.27"]).await), 1);
    trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
    trial.reported("Recreating").await;
    trial.settled_on(&["nginx:1.27"]).await;
}

#[tokio::test]
async fn refreshing_a_list_that_is_not_there_says_so() {
    let trial = trial("norefresh").await;
    let output = refresh(&trial, "nothing");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("there is no ConfigMap nothing in the namespace"), "{message}");
}

fn refresh(trial: &Trial, list: &str) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_kube-prepull"))
        .args(["refresh", list, "--namespace", &trial.namespace, "--kubeconfig"])
        .arg(&trial.kubeconfig)
        .output()
        .unwrap()
}
