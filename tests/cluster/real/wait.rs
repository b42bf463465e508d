//! `wait` on real nodes: it ends when containerd holds what was asked for, and not before.

use std::process::{Command, Output};

use super::{RealTrial, content};

async fn wait(real: &RealTrial, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["wait", "tools", "--namespace", &real.trial.namespace, "--kubeconfig"]).arg(&real.trial.kubeconfig);
    command.args(arguments);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[tokio::test]
async fn it_ends_when_all_nodes_hold_the_wanted_digest_and_reports_what_they_hold_otherwise() {
    let real = RealTrial::begin("wait").await;
    let _controller = real.controller().await;
    let (old, app) = (real.push("app:1", &content("before")), real.reference("app:1"));
    let list = format!("images: ['{app}']\nrefresh: {{every: 24h, mode: Always}}\n");
    real.trial.write_list("tools", &list).await;
    let (code, said) = wait(&real, &["--image", &format!("{app}@{}", old.as_str())]).await;
    assert_eq!(code, Some(0), "{said}");
    for node in &real.nodes {
        assert_eq!(real.held_on(node.name()), [old.as_str()], "{said}");
    }

    let new = real.push("app:1", &content("after"));
    let wanted = format!("{app}@{}", new.as_str());
    let (code, said) = wait(&real, &["--image", &wanted, "--timeout", "20s"]).await;
    let reported = format!("{app}: 0 of {} nodes hold {}; found {}", real.nodes.len(), new.as_str(), old.as_str());
    assert!(code == Some(1) && said.contains(&reported), "{said}");
    real.trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
    let (code, said) = wait(&real, &["--image", &wanted]).await;
    assert_eq!(code, Some(0), "{said}");
    for node in &real.nodes {
        assert!(real.held_on(node.name()).contains(&new.to_string()), "{said}");
    }
}
