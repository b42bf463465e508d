//! `ui` carries the leader's page to a port of this machine. kwok forwards it to the controller's process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::config::Kubeconfig;
use serde_json::json;

use super::leader_report::leader_in_a_pod;
use super::trial;
use crate::controller::{Controller, program};
use crate::trial::{Trial, eventually};

/// The command, which ends with the value.
struct Ui {
    process: Child,
    page: String,
}

fn command(trial: &Trial, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["ui", "--no-open", "--namespace", &trial.namespace, "--kubeconfig"]).arg(kubeconfig);
    command
}

async fn refused(trial: &Trial, kubeconfig: &Path) -> String {
    let mut command = command(trial, kubeconfig);
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

impl Ui {
    fn start(trial: &Trial) -> Self {
        let mut process = command(trial, &trial.kubeconfig).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (page, rest) = line.split_once(' ').unwrap();
        assert!(rest.contains(&trial.namespace) && rest.ends_with("until Ctrl-C.\n"), "{line}");
        Self { page: page.to_owned(), process }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let mut answer = agent.get(format!("{}{path}", self.page)).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn the_page_and_its_report_come_through_tunnels_until_ctrl_c() {
    let trial = trial("ui").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let controller = leader_in_a_pod(&trial).await;
    let mut ui = Ui::start(&trial);
    let (status, page) = ui.get("").unwrap();
    assert!(status == 200 && page.starts_with("<!doctype html>"), "{status} {page}");
    for _ in 0..10 {
        let (status, map) = ui.get("map").unwrap();
        assert!(status == 200 && map.contains("\"tools\""), "{status} {map}");
    }
    controller.kill();
    let (status, reason) = eventually("the reason", async || ui.get("map").filter(|(status, _)| *status != 200)).await;
    assert!(status == 502 && reason.starts_with("cannot reach the leader: "), "{status} {reason}");
    let id = ui.process.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(ui.process.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn without_a_leader_or_a_right_it_says_what_is_missing() {
    let trial = trial("uirights").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let controller = Controller::start(&trial).await;
    let none = refused(&trial, &trial.kubeconfig).await;
    assert!(none.contains("no Lease kube-prepull names a leader") && none.contains("--namespace"), "{none}");
    controller.stop();
    let _controller = leader_in_a_pod(&trial).await;
    let user = Impersonating::new(&trial, "jane");
    for (right, missing) in [(None, "get the Lease"), (Some("leases"), "forward the port")] {
        if let Some(resource) = right {
            let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": [resource], "verbs": ["get"]}]);
            trial.create::<Role>(json!({"metadata": {"name": "jane"}, "rules": rules})).await;
            let subject = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"});
            let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "jane"});
            let binding = json!({"metadata": {"name": "jane"}, "subjects": [subject], "roleRef": role});
            trial.create::<RoleBinding>(binding).await;
        }
        let refusal = eventually(missing, async || {
            Some(refused(&trial, &user.0).await).filter(|refusal| refusal.contains(missing))
        })
        .await;
        assert!(refusal.contains("grant this user") && refusal.contains("pods/portforward"), "{refusal}");
    }
}

/// A kubeconfig with which commands act as another user.
struct Impersonating(PathBuf);

impl Impersonating {
    fn new(trial: &Trial, user: &str) -> Self {
        let mut kubeconfig = Kubeconfig::read_from(&trial.kubeconfig).unwrap();
        for own in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
            own.impersonate = Some(user.to_owned());
        }
        let path = std::env::temp_dir().join(format!("{}-{user}.kubeconfig", trial.namespace));
        fs::write(&path, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
        Self(path)
    }
}

impl Drop for Impersonating {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
