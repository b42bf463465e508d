//! `status` and `wait` ask the leader by a port of its pod. kwok forwards it to the controller's process.

use std::process::{Command, Output};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::trial;
use super::wait::wait;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

async fn run(trial: &Trial, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["status", "--output", "json", "--namespace", &trial.namespace]).args(arguments);
    command.arg("--kubeconfig").arg(&trial.kubeconfig);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn report(trial: &Trial, arguments: &[&str]) -> Value {
    let output = run(trial, arguments).await;
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The leader's report. A command waits for it, and for what the leader has not seen yet, for some seconds only.
async fn leaders_report(trial: &Trial, part: &[&str]) -> Value {
    let arguments = [&["--from", "leader"], part].concat();
    eventually("the leader's report", async || serde_json::from_slice(&run(trial, &arguments).await.stdout).ok()).await
}

/// Why the leader gives no report.
async fn refusal(trial: &Trial) -> String {
    let output = run(trial, &["--from", "leader"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A controller that leads, in the pod that its Lease names.
pub async fn leader_in_a_pod(trial: &Trial) -> Controller {
    let controller = Controller::start_with(trial, &["--leader-elect=true"]).await;
    let lease = eventually("a leader", async || {
        let lease = trial.api::<Lease>().get_opt("kube-prepull").await.unwrap()?;
        lease.spec.as_ref()?.holder_identity.is_some().then_some(lease)
    })
    .await;
    let (_, port) =
        controller.status_address().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    assert_eq!(lease.annotations()["kube-prepull.io/status-port"], port);
    let holder = lease.spec.unwrap().holder_identity.unwrap();
    let (pod, _) = holder.rsplit_once('_').unwrap();
    let container = json!({"name": "it", "image": "kube-prepull", "securityContext": {
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    let security = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    let spec = json!({"securityContext": security, "containers": [container]});
    trial.create::<Pod>(json!({"metadata": {"name": pod}, "spec": spec})).await;
    forward(trial, pod, &controller.status_address()).await;
    leaders_report(trial, &[]).await;
    controller
}

/// Has kwok forward all ports of a pod to an address.
async fn forward(trial: &Trial, pod: &str, address: &str) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("kwok.x-k8s.io", "v1alpha1", "PortForward"));
    let (host, port) = address.rsplit_once(':').unwrap();
    let target = json!({"address": host, "port": port.parse::<u16>().unwrap()});
    let mut object = DynamicObject::new(pod, &resource);
    object.data = json!({"spec": {"forwards": [{"target": target}]}});
    let api: Api<DynamicObject> = Api::namespaced_with(trial.client.clone(), &trial.namespace, &resource);
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// Without what is another at every request.
fn timeless(mut report: Value) -> Value {
    report["time"].take();
    report
}

#[tokio::test]
async fn the_leaders_report_is_that_of_the_objects_and_takes_no_list_of_pods() {
    let trial = trial("fromleader").await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    trial.write_list("more", "images: [busybox:1]").await;
    let _controller = leader_in_a_pod(&trial).await;
    trial.validated("tools", "accepted").await;
    trial.noted_as_reported("complete").await;
    for part in [vec![], vec!["--list", "tools"], vec!["--image", "nginx"], vec!["--list", "more", "--image", "busy"]] {
        let from_objects = [&["--from", "objects"], &part[..]].concat();
        eventually(&format!("the same report of {part:?} from both"), async || {
            let leader = timeless(leaders_report(&trial, &part).await);
            let objects = timeless(report(&trial, &from_objects).await);
            (leader == objects && leader["warm"] == true).then_some(())
        })
        .await;
    }
    eventually("the leader to know no such list", async || {
        let missing = run(&trial, &["--from", "leader", "--list", "none"]).await;
        String::from_utf8(missing.stderr).unwrap().contains("there is no image list none").then_some(())
    })
    .await;

    let log = AuditLog::open();
    let lists_of_pods = |from: usize| {
        let requests = log.requests(from, &trial.namespace);
        requests.iter().filter(|it| it.resource() == "pods" && it.verb == "list").count()
    };
    let from = log.length();
    report(&trial, &[]).await;
    assert_eq!(wait(&trial, &["tools"]).await.0, Some(0));
    assert_eq!(lists_of_pods(from), 0);
    report(&trial, &["--from", "objects"]).await;
    eventually("the log of a list of pods", async || (lists_of_pods(from) > 0).then_some(())).await;
}

#[tokio::test]
async fn a_report_after_an_edit_has_seen_it() {
    let trial = trial("seenedit").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let _controller = leader_in_a_pod(&trial).await;
    trial.noted_as_reported("complete").await;
    for number in 28..33 {
        let before = leaders_report(&trial, &[]).await;
        let image = format!("nginx:1.{number}");
        trial.write_list("tools", &format!("images: ['{image}']")).await;
        let after = leaders_report(&trial, &[]).await;
        let of = |report: &Value, key: &str| report["lists"][0][key].clone();
        assert_ne!(of(&before, "resourceVersion"), of(&after, "resourceVersion"));
        let is_old = of(&after, "state") == "accepted" && of(&after, "dataHash") == of(&before, "dataHash");
        assert!(!is_old, "{after}");
        let (code, said) = wait(&trial, &["tools", "--image", &image]).await;
        assert!(code == Some(0) && said.contains("accepted and warm: 1 of 1"), "{said}");
    }
}

#[tokio::test]
async fn without_a_leader_that_answers_objects_are_read() {
    let trial = trial("noleader").await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let controller = Controller::start(&trial).await;
    trial.validated("tools", "accepted").await;
    assert!(refusal(&trial).await.contains("no report from the leader: no Lease kube-prepull names a leader"));
    assert_eq!(report(&trial, &[]).await["lists"][0]["name"], "tools");
    controller.stop();

    let controller = leader_in_a_pod(&trial).await;
    controller.kill();
    assert!(refusal(&trial).await.contains("no report from the leader: cannot reach the leader"));
    assert_eq!(report(&trial, &[]).await["lists"][0]["state"], "accepted");
}
