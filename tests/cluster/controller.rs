//! The controller as a process of its own, as users run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use test_bed::{Process, free_address};

use super::trial::{SOON, Trial, eventually};

/// Names a program to run in place of the one that was built with the tests, such as the one that is released.
const OTHER_PROGRAM: &str = "KUBE_PREPULL_TEST_PROGRAM";
/// Addresses of this machine for what is not metrics.
const PROBES: &str = "127.0.0.2";
const STATUS: &str = "127.0.0.3";

pub struct Controller {
    process: Process,
    /// Where it serves metrics.
    address: String,
    agent: ureq::Agent,
    _log: Log,
}

/// Its log, which is printed if the test fails, and goes after the process.
struct Log(PathBuf);

impl Controller {
    /// Starts it for the trial's namespace and waits until it is ready.
    pub async fn start(trial: &Trial) -> Self {
        Self::start_with(trial, &[]).await
    }

    pub async fn start_with(trial: &Trial, arguments: &[&str]) -> Self {
        let controller = Self::spawn(trial, &trial.kubeconfig, arguments);
        controller.ready().await
    }

    /// The same with another way to the cluster, or other rights.
    pub async fn start_through(trial: &Trial, kubeconfig: &Path) -> Self {
        Self::spawn(trial, kubeconfig, &[]).ready().await
    }

    /// Starts it through another way to the cluster and with these arguments.
    pub async fn start_through_with(trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Self {
        Self::spawn(trial, kubeconfig, arguments).ready().await
    }

    /// The same at an address that is known outside.
    pub async fn start_at(address: &str, trial: &Trial, arguments: &[&str]) -> Self {
        Self::spawn_at(address.to_owned(), trial, &trial.kubeconfig, arguments).ready().await
    }

    /// Starts it and does not wait.
    pub fn spawn(trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Self {
        Self::spawn_at(free_address().unwrap(), trial, kubeconfig, arguments)
    }

    fn spawn_at(address: String, trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Self {
        let log = std::env::temp_dir().join(format!("{}-{}.log", trial.namespace, address.replace(':', "-")));
        let mut command = Command::new(program());
        command.args(["run", "--metrics-listen", &address]);
        command.args(["--probe-listen", &beside(&address, PROBES), "--status-listen", &beside(&address, STATUS)]);
        // A successor of one that was killed would have to wait for the Lease.
        if !arguments.iter().any(|argument| argument.starts_with("--leader-elect")) {
            command.arg("--leader-elect=false");
        }
        if !arguments.contains(&"--log-level") {
            command.args(["--log-level", "kube_prepull=debug"]);
        }
        command.args(["--namespace", &trial.namespace]).args(arguments).arg("--kubeconfig").arg(kubeconfig);
        let process = Process::start(command, &log).unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        Self { process, address, agent, _log: Log(log) }
    }

    async fn ready(self) -> Self {
        eventually("the controller to be ready", async || {
            self.process.ensure_running().unwrap();
            self.get("/readyz").filter(|(status, _)| *status == 200)
        })
        .await;
        self
    }

    /// Where it serves metrics.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it serves the probes.
    pub fn probe_address(&self) -> String {
        beside(&self.address, PROBES)
    }

    /// Where it serves the status.
    pub fn status_address(&self) -> String {
        beside(&self.address, STATUS)
    }

    fn url(&self, path: &str) -> String {
        let address = match path {
            "/livez" | "/readyz" => self.probe_address(),
            "/status" => self.status_address(),
            _ => self.address.clone(),
        };
        format!("http://{address}{path}")
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id().as_raw().unsigned_abs()
    }

    pub fn has_ended(&self) -> bool {
        self.process.ended().unwrap().is_some()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.process.log()).unwrap_or_default()
    }

    /// The status and text of an HTTP path.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut answer = self.agent.get(self.url(path)).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    /// How many reconciles it has done, of any list.
    pub fn reconciles(&self) -> f64 {
        let (_, text) = self.get("/metrics").unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("kube_prepull_reconcile_duration_seconds_count "));
        count.unwrap().parse().unwrap()
    }

    /// Waits until it has reconciled a list that it has seen as it is now: it has done whatever it would do about that.
    pub async fn has_reconciled(&self, trial: &Trial, list: &str) {
        // The first reconcile that ends after a change may have begun before it, the second did not.
        for _ in 0..2 {
            let before = self.reconciles();
            // A controller that was started again counts from the beginning, but no time comes twice.
            trial.annotate_list(list, "test.kube-prepull.io/touched", &Timestamp::now().to_string()).await;
            eventually("another reconcile", async || (self.reconciles() > before).then_some(())).await;
        }
    }

    /// The content type and text of an HTTP path, for a client that accepts these types.
    pub fn accepting(&self, path: &str, types: &str) -> (String, String) {
        let mut answer = self.agent.get(self.url(path)).header("Accept", types).call().unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, answer.body_mut().read_to_string().unwrap())
    }

    /// Asks it to stop, and says how long that took.
    pub fn stop(self) -> (ExitStatus, Duration) {
        self.process.stop(SOON).unwrap()
    }

    /// Ends it without a chance to do anything about it.
    pub fn kill(self) {
        drop(self);
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }
}

/// The program that is tested.
pub fn program() -> PathBuf {
    std::env::var_os(OTHER_PROGRAM).map_or_else(|| env!("CARGO_BIN_EXE_kube-prepull").into(), PathBuf::from)
}

/// The same port on another address of this machine, on which nothing else listens.
fn beside(address: &str, host: &str) -> String {
    let (_, port) = address.rsplit_once(':').unwrap();
    format!("{host}:{port}")
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the controller's log:\n{}", fs::read_to_string(&self.0).unwrap_or_default());
        }
        drop(fs::remove_file(&self.0));
    }
}
