//! The controller as a process of its own, as users run it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use test_bed::wait;

use crate::cluster::{Cluster, NAMESPACE, SOON};
use crate::images::HOLDER;
use crate::process::{self, Process, STOP};
use crate::screen::Screen;

const SERVICE: &str = "controller";

/// A running controller. It ends when this is dropped.
pub struct Controller(Process);

impl Controller {
    /// Starts it, and waits until it has seen the whole cluster.
    pub fn start(screen: &Screen, cluster: &Cluster) -> Result<Self> {
        let address = free_address()?;
        let seen = format!("run --namespace {NAMESPACE} --holder-image {HOLDER}");
        let unseen = ["--listen", &address, "--log-format", "human"];
        let arguments: Vec<_> = seen.split(' ').chain(unseen).collect();
        screen.command(&format!("kube-prepull {seen} &"));
        let controller = Self(Process::start(cluster, "kube-prepull", SERVICE, &arguments)?);
        let ready = format!("http://{address}/readyz");
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        screen.wait("the controller to be ready", SOON, || {
            controller.ensure_running()?;
            Ok(agent.get(&ready).call().is_ok().then_some(()))
        })?;
        Ok(controller)
    }

    /// Asks it to stop, as Kubernetes does, and says how long that took.
    pub fn stop(self) -> Result<Duration> {
        self.ensure_running()?;
        let mut process = self.0.take().context("the controller does not run")?;
        let begun = Instant::now();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)?;
        let status = wait::until("the controller to stop", STOP, || Ok(process.try_wait()?));
        // One that does not listen is ended as the cluster would end it.
        let status = status.inspect_err(|_| process::end(&mut process))?;
        ensure!(status.success(), "the controller ended with {status}");
        Ok(begun.elapsed())
    }

    /// Leaves it running.
    pub fn keep(self) {
        self.0.take();
    }

    /// # Errors
    /// If it has ended, although nobody has told it to.
    pub fn ensure_running(&self) -> Result<()> {
        self.0.ensure_running()
    }
}

/// Ends the controller that an earlier demo has left running in this bed.
pub fn end_earlier(cluster: &Cluster) -> Result<()> {
    process::end_earlier(cluster, SERVICE)
}

/// Where it logs to.
pub fn log(folder: &Path) -> PathBuf {
    process::log(folder, SERVICE)
}

/// An address that was free a moment ago.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.to_string())
}
