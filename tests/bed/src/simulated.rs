//! A simulated cluster: kwokctl runs a real control plane, and kwok plays the nodes.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::etcd::Etcd;
use crate::kubectl::{Kubectl, output_of};
use crate::progress::Progress;
use crate::state::{Facts, Kind, State};
use crate::{audit, down, log, member, needed, programs, wait};

/// Names a kubeconfig of a cluster to use in place of the simulated one. The user's usual kubeconfig is never used.
pub const OWN_CLUSTER: &str = "KUBE_PREPULL_TEST_KUBECONFIG";
/// How many requests a second each controller of the cluster may send, if not [`QPS`].
const CONTROLLER_QPS: &str = "KUBE_PREPULL_TEST_CONTROLLER_QPS";

const CLUSTER: &str = "bed";
const PROGRAMS: [&str; 7] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok", "kwokctl"];
/// A thousand nodes take half a minute.
const SLOW: Duration = Duration::from_secs(180);

/// The running simulated cluster of this checkout, or the cluster that the user named.
#[derive(Clone, Debug)]
pub struct Simulated {
    kubectl: Kubectl,
    /// Nothing for a cluster of the user's own.
    bed: Option<(State, PathBuf)>,
}

impl Simulated {
    /// Finds it for a test, beside which others use it. If it does not run, all tests end with a line that says what to do.
    ///
    /// # Errors
    /// If the user named a cluster of which there is no kubeconfig.
    pub fn running() -> Result<Self> {
        if let Some(kubeconfig) = std::env::var_os(OWN_CLUSTER) {
            return Self::own(Path::new(&kubeconfig));
        }
        Ok(Self::find()?.unwrap_or_else(|| needed::end_without(Kind::Simulated)))
    }

    /// Finds this checkout's, if it runs.
    pub fn find() -> Result<Option<Self>> {
        let state = State::of_checkout(Kind::Simulated);
        Ok(state.facts()?.map(|facts| Self::new(state, facts.programs)))
    }

    fn new(state: State, programs: PathBuf) -> Self {
        let kubectl = Kubectl::new(&programs, &state.kubeconfig(), state.folder().join("kubectl"));
        Self { kubectl, bed: Some((state, programs)) }
    }

    fn own(kubeconfig: &Path) -> Result<Self> {
        ensure!(kubeconfig.is_file(), "{OWN_CLUSTER} names {}, which is no file", kubeconfig.display());
        let programs = programs::build(&["kubectl"])?;
        let cache = programs.join("kubectl-cache");
        Ok(Self { kubectl: Kubectl::new(&programs, kubeconfig, cache), bed: None })
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// The folder of kubectl and the other programs that were built for it.
    ///
    /// # Errors
    /// For a cluster of the user's own.
    pub fn programs(&self) -> Result<&Path> {
        Ok(&self.bed()?.1)
    }

    /// The API server's audit log: one JSON object per line, at the level `Metadata`.
    ///
    /// # Errors
    /// For a cluster of the user's own, whose log is not known.
    pub fn audit_log(&self) -> Result<PathBuf> {
        let (state, _) = self.bed()?;
        Ok(cluster_folder(state).join("logs/audit.log"))
    }

    /// The store behind the API server.
    ///
    /// # Errors
    /// For a cluster of the user's own.
    pub fn etcd(&self) -> Result<Etcd> {
        let (state, _) = self.bed()?;
        let configuration = fs::read(configuration_path(state)).context("cannot read the cluster's configuration")?;
        let configuration: Value = serde_json::from_slice(&configuration)?;
        let port = configuration["options"]["etcdPort"].as_u64().and_then(|port| u16::try_from(port).ok());
        Ok(Etcd::on_port(port.context("the cluster's configuration names no port of etcd")?))
    }

    /// Runs kubectl as the administrator and returns what it printed.
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.kubectl.run(arguments)
    }

    /// Applies a manifest (YAML or JSON, any number of documents) on the server's side.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.kubectl.apply(manifest)
    }

    /// Makes it so many nodes (`node-000000`, …), and waits until they are ready.
    pub fn scale(&self, nodes: u32) -> Result<()> {
        let (state, programs) = self.bed()?;
        kwokctl(state, programs, &["scale", "node", "--replicas", &nodes.to_string()])?;
        wait::until(&format!("{nodes} ready nodes"), SLOW, || {
            let status = r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
            let found = self.kubectl(["get", "nodes", "--selector", "type=kwok", "-o", status])?;
            Ok((found.lines().count() == nodes as usize && found.lines().all(|line| line == "True")).then_some(()))
        })
    }

    fn bed(&self) -> Result<&(State, PathBuf)> {
        self.bed.as_ref().with_context(|| format!("this is not possible with the cluster that {OWN_CLUSTER} names"))
    }
}

/// Starts this checkout's simulated cluster and returns when its nodes are ready. One that already runs is left as it is.
///
/// # Errors
/// Also if a part of it does not come up. What was started until then is for [`crate::down`] to end.
pub fn up(nodes: u32) -> Result<Simulated> {
    let programs = programs::build(&PROGRAMS)?;
    let state = State::of_checkout(Kind::Simulated);
    let _lock = state.lock()?;
    if let Some(running) = Simulated::find()? {
        return Ok(running);
    }
    down::remove(&state)?;
    state.create()?;
    let progress = Progress::begin(&format!("starting a simulated cluster in {}", state.folder().display()));
    let policy = state.folder().join("audit-policy.yaml");
    fs::write(&policy, audit::POLICY)?;
    let configuration = serde_json::to_vec_pretty(&configuration(&programs, &policy, free_ports()?))?;
    fs::write(configuration_path(&state), configuration)?;
    let kubeconfig = state.kubeconfig().display().to_string();
    kwokctl(&state, &programs, &["create", "cluster", "--kubeconfig", &kubeconfig, "--wait", "60s"])?;
    progress.reached("API server is ready");

    let cluster = Simulated::new(state.clone(), programs.clone());
    cluster.scale(nodes)?;
    progress.reached(&format!("{nodes} nodes are ready"));
    await_default_account(&cluster, &state)?;
    state.publish(&Facts { programs, nodes, registry: None })?;
    Ok(cluster)
}

/// Before the controller manager has made it, no pod can be created.
fn await_default_account(cluster: &Simulated, state: &State) -> Result<()> {
    let query = ["get", "serviceaccount", "default", "--namespace", "default", "--ignore-not-found", "-o", "name"];
    let made = wait::until("the controller manager", SLOW, || Ok((!cluster.kubectl(query)?.is_empty()).then_some(())));
    let log = cluster_folder(state).join("logs/kube-controller-manager.log");
    made.map_err(|error| error.context(log::tail(&log)))
}

fn kwokctl(state: &State, programs: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(programs.join("kwokctl"));
    member::mark(&mut command, &state.folder(), "kwok", &programs::search_path(programs));
    command.env("KWOK_WORKDIR", work_folder(state)).arg("--config").arg(configuration_path(state));
    command.args(["--name", CLUSTER]).args(arguments).stdin(Stdio::null());
    let output = command.output().context("cannot run kwokctl")?;
    let Err(error) = output_of(&command, &output) else { return Ok(()) };
    bail!("{error:#}\nThe logs of its parts are in {}", cluster_folder(state).join("logs").display())
}

/// Ports that are free now. The system hands them out one after the other, so two beds that start together get different ones.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn configuration(programs: &Path, audit_policy: &Path, ports: [u16; 6]) -> Value {
    let program = |name: &str| programs.join(name);
    let [etcd, etcd_peer, api_server, controller_manager, scheduler, kwok] = ports;
    json!({
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "etcdBinary": program("etcd"),
            "kubeApiserverBinary": program("kube-apiserver"),
            "kubeControllerManagerBinary": program("kube-controller-manager"),
            "kubeSchedulerBinary": program("kube-scheduler"),
            "kubectlBinary": program("kubectl"),
            "kwokControllerBinary": program("kwok"),
            "etcdPort": etcd,
            "etcdPeerPort": etcd_peer,
            "kubeApiserverPort": api_server,
            "kubeControllerManagerPort": controller_manager,
            "kubeSchedulerPort": scheduler,
            "kwokControllerPort": kwok,
            "kubeAuthorization": true,
            "kubeAdmission": true,
            "kubeAuditPolicy": audit_policy,
            // Tests say where a forwarded port of a pod leads.
            "enableCRDs": ["PortForward"],
            "disableQPSLimits": true,
            // With many nodes on a small machine a late heartbeat is no sign of a lost node.
            "kubeControllerManagerNodeMonitorGracePeriodMilliseconds": 300_000,
            "nodeLeaseDurationSeconds": 120,
            "heartbeatFactor": 1.0,
        },
        "componentsPatches": [
            {"name": "etcd", "extraArgs": [{"key": "unsafe-no-fsync", "value": "true"}]},
            {"name": "kube-apiserver", "extraArgs": [
                {"key": "enable-admission-plugins", "value": "OwnerReferencesPermissionEnforcement,PodNodeSelector"},
                // In MB: a log that is rotated at the usual 100 loses count of what went before.
                {"key": "audit-log-maxsize", "value": "4000"},
            ]},
            {"name": "kube-controller-manager", "extraArgs": of_controllers(controller_qps())},
            {"name": "kube-scheduler", "extraArgs": of_clients(QPS)},
            // Nodes without the annotation that `kwokctl scale` gives its own are left to tests that play their kubelets.
            {"name": "kwok-controller", "extraArgs": [
                {"key": "manage-all-nodes", "value": "false", "override": true},
                {"key": "manage-nodes-with-annotation-selector", "value": "kwok.x-k8s.io/node=fake"},
            ]},
        ],
    })
}

/// Each controller has an account of its own, as in most clusters: policies tell them apart by it.
fn of_controllers(qps: u32) -> Value {
    let mut arguments = of_clients(qps);
    if let Value::Array(arguments) = &mut arguments {
        arguments.push(json!({"key": "use-service-account-credentials", "value": "true"}));
    }
    arguments
}

/// There is one of each, which ends for good when it loses its Lease: ten seconds without an answer on a busy machine are enough.
/// The limits suffice for a thousand nodes, in place of kwokctl's "unlimited", which would let one of the two starve the others.
fn of_clients(qps: u32) -> Value {
    json!([
        {"key": "leader-elect", "value": "false"},
        {"key": "kube-api-qps", "value": qps.to_string(), "override": true},
        {"key": "kube-api-burst", "value": (2 * qps).to_string(), "override": true},
    ])
}

const QPS: u32 = 300;

/// How many requests a second each controller may send: few of them make some hundred nodes slow as some thousand.
fn controller_qps() -> u32 {
    std::env::var(CONTROLLER_QPS).ok().and_then(|qps| qps.parse().ok()).unwrap_or(QPS)
}

fn configuration_path(state: &State) -> PathBuf {
    state.folder().join("kwokctl.yaml")
}

fn work_folder(state: &State) -> PathBuf {
    state.folder().join("kwok")
}

fn cluster_folder(state: &State) -> PathBuf {
    work_folder(state).join("clusters").join(CLUSTER)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn free_ports_differ() {
        let ports: [u16; 20] = free_ports().unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20);
    }
}
