//! Clients that hold connections to the controller's pod while the kubelet probes it, and people who reach its status.

use serde_json::{Value, json};
use test_bed::{Kubectl, Process, free_address};

use super::Install;
use crate::release::CONTROLLER;

/// Longer than failing probes take until the pod is not ready (15 s), and until the kubelet restarts it (60 s).
const SECONDS: u32 = 70;
/// Opens 200 connections to each port of a pod, sends this on them, and replaces all of them every few seconds. The kubelet's probes
/// come from the same address.
const HOLD: &str = r#"
trap '' PIPE
pod=$1 sent=$2 until=$((SECONDS + $3))
while ((SECONDS < until)); do
  held=()
  for port in 8080 8081; do
    for _ in {1..200}; do
      if exec {connection}<>"/dev/tcp/$pod/$port"; then
        printf "$sent" >&"$connection"
        held+=("$connection")
      fi
    done
  done 2>/dev/null
  sleep 3
  for connection in "${held[@]}"; do exec {connection}>&-; done
  echo "${#held[@]}"
done
"#;

impl Install {
    fn controller_pod(&self) -> Value {
        let of_controller = ["get", "pods", "--selector", "app.kubernetes.io/component=controller", "-o", "json"];
        let pods: Value = serde_json::from_str(&self.it.namespace.kubectl(&of_controller).unwrap()).unwrap();
        pods["items"][0].clone()
    }

    /// Forwards a port of this machine to one of the controller's pod, as users do.
    pub fn forward(&self, port: u16) -> Forwarding {
        let address = free_address().unwrap();
        let (_, own) = address.rsplit_once(':').unwrap();
        let cache = self.bed.kubeconfig().with_file_name("kubectl-forward");
        let mut command = Kubectl::new(self.bed.programs(), self.bed.kubeconfig(), cache).command();
        command.args(["--namespace", &self.it.namespace.name, "port-forward", CONTROLLER, &format!("{own}:{port}")]);
        let log = std::env::temp_dir().join(format!("{}-forward-{port}.log", self.it.namespace.name));
        Forwarding { process: Process::start(command, &log).unwrap(), address }
    }

    /// The status that a user sees by a forwarded port.
    fn forwarded_status(&self) -> Value {
        let forwarding = self.forward(8082);
        let mut status = Value::Null;
        self.it.eventually("the status by a forwarded port", || {
            let answer = ureq::get(format!("http://{}/status", forwarding.address())).call();
            let text = answer.ok().and_then(|mut answer| answer.body_mut().read_to_string().ok());
            status = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            !status.is_null()
        });
        status
    }
}

/// A forwarded port. It ends when this is dropped.
pub struct Forwarding {
    process: Process,
    address: String,
}

impl Forwarding {
    /// Where it is on this machine.
    pub fn address(&self) -> &str {
        self.process.ensure_running().unwrap();
        &self.address
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        drop(std::fs::remove_file(self.process.log()));
    }
}

fn readiness(pod: &Value) -> &Value {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == "Ready").unwrap()
}

#[test]
#[ignore = "make test-faults"]
fn whoever_holds_hundreds_of_connections_the_kubelet_probes_and_the_controller_stays_ready() {
    let install = Install::begin("crowd");
    install.push_controller("1");
    install.it.helm.with_chart("install", &install.values("1"), &["--wait", "--timeout", "3m"]).unwrap();
    let before = install.controller_pod();
    assert_eq!(readiness(&before)["status"], "True");
    let address = before["status"]["podIP"].as_str().unwrap();
    let node = install.nodes.iter().find(|node| before["spec"]["nodeName"] == node.name()).unwrap();
    let half = (SECONDS / 2).to_string();
    for sent in ["", r"GET /metrics HTTP/1.1\r\nHost: slow"] {
        let held = node.exec("bash", &["-c", HOLD, "hold", address, sent, &half]).unwrap();
        assert!(held.lines().all(|connections| connections == "400"), "{held}");
    }
    let after = install.controller_pod();
    assert_eq!(after["metadata"]["name"], before["metadata"]["name"]);
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], json!(0));
    // With the time since when it is.
    assert_eq!(readiness(&after), readiness(&before));
    let namespace = install.it.namespace.name.as_str();
    assert_eq!(install.forwarded_status()["namespace"], namespace);
    // From elsewhere, the status is out of reach: the port is on loopback.
    let script = r#"exec 3<>"/dev/tcp/$1/8082""#;
    assert!(node.exec("bash", &["-c", script, "reach", address]).is_err());
    install.it.uninstall();
}
