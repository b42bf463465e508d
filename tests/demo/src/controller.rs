//! The controller as a process of its own, as users run it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use test_bed::{Process, free_address};

use crate::cluster::{Cluster, NAMESPACE, SOON};
use crate::images::HOLDER;
use crate::process::{self, STOP};
use crate::screen::Screen;

const SERVICE: &str = "controller";

/// A running controller. It ends when this is dropped.
pub struct Controller(Process);

impl Controller {
    /// Starts it, and waits until it has seen the whole cluster.
    pub fn start(screen: &Screen, cluster: &Cluster) -> Result<Self> {
        let address = free_address()?;
        let seen = format!("run --namespace {NAMESPACE} --holder-image {HOLDER}");
        let (metrics, status) = (free_address()?, free_address()?);
        let listen = ["--probe-listen", &address, "--metrics-listen", &metrics, "--status-listen", &status];
        let unseen = [&listen[..], &["--log-format", "human"]].concat();
        let arguments: Vec<_> = seen.split(' ').chain(unseen).collect();
        screen.command(&format!("kube-prepull {seen} &"));
        let controller = Self(process::start(cluster, "kube-prepull", SERVICE, &arguments)?);
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
        let (status, took) = self.0.stop(STOP)?;
        ensure!(status.success(), "the controller ended with {status}");
        Ok(took)
    }

    /// Leaves it running.
    pub fn keep(self) {
        self.0.keep();
    }

    /// # Errors
    /// If it has ended by itself.
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
