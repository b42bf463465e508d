//! The controller as a process of its own, as users run it.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::trial::{Trial, eventually};

pub struct Controller {
    process: Child,
    address: String,
    log: PathBuf,
}

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

    /// The same at an address that somebody else knows.
    pub async fn start_at(address: &str, trial: &Trial, arguments: &[&str]) -> Self {
        Self::spawn_at(address.to_owned(), trial, &trial.kubeconfig, arguments).ready().await
    }

    /// Starts it and does not wait.
    pub fn spawn(trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Self {
        Self::spawn_at(free_address(), trial, kubeconfig, arguments)
    }

    fn spawn_at(address: String, trial: &Trial, kubeconfig: &Path, arguments: &[&str]) -> Self {
        let log = std::env::temp_dir().join(format!("{}-{}.log", trial.namespace, address.replace(':', "-")));
        let output = File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(["run", "--log-level", "kube_prepull=debug", "--listen", &address]);
        // A successor of one that was killed would have to wait for the Lease.
        if !arguments.iter().any(|argument| argument.starts_with("--leader-elect")) {
            command.arg("--leader-elect=false");
        }
        let process = command
            .args(["--namespace", &trial.namespace])
            .args(arguments)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { process, address, log }
    }

    async fn ready(mut self) -> Self {
        eventually("the controller to be ready", async || {
            assert!(!self.has_ended(), "the controller ended: {}", self.log());
            self.get("/readyz").filter(|(status, _)| *status == 200)
        })
        .await;
        self
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The status and text of an HTTP path.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut answer = agent.get(format!("http://{}{path}", self.address)).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    /// The content type and text of an HTTP path, for a client that accepts these types.
    pub fn accepting(&self, path: &str, types: &str) -> (String, String) {
        let mut answer = ureq::get(format!("http://{}{path}", self.address)).header("Accept", types).call().unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, answer.body_mut().read_to_string().unwrap())
    }

    /// Asks it to stop, and says how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        self.signal("TERM");
        let status = self.process.wait().unwrap();
        (status, started.elapsed())
    }

    /// Ends it without a chance to do anything about it.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("the controller's log:\n{}", self.log());
        }
        drop(std::fs::remove_file(&self.log));
    }
}

/// An address that was free a moment ago.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
