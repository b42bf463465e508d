//! The controller as a process of its own, as users run it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use test_bed::{member, wait};

use crate::cluster::{Cluster, NAMESPACE, SOON};
use crate::images::HOLDER;
use crate::screen::Screen;

/// By what a bed knows it, so that the bed's end is also its own.
const SERVICE: &str = "demo/controller";
/// It only has to say goodbye.
const STOP: Duration = Duration::from_secs(10);

/// A running controller. It ends when this is dropped.
pub struct Controller {
    process: RefCell<Option<Child>>,
}

impl Controller {
    /// Starts it, and waits until it has seen the whole cluster.
    pub fn start(screen: &Screen, cluster: &Cluster) -> Result<Self> {
        let folder = cluster.folder()?;
        let address = free_address()?;
        let log = File::options().create(true).append(true).open(log(&folder)).context("cannot write its log")?;
        let mut command = Command::new(beside("kube-prepull")?);
        // A member of the bed: whatever becomes of this program, `make down` ends the controller too.
        let bed = folder.parent().context("the bed has no folder")?;
        member::mark(&mut command, bed, SERVICE, "/usr/bin:/bin");
        command.args(["run", "--namespace", NAMESPACE, "--holder-image", HOLDER, "--listen", &address]);
        command.args(["--log-format", "human", "--kubeconfig"]).arg(cluster.kubeconfig());
        // A group of its own: Ctrl-C in the user's terminal is for the demo, which then ends it.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        screen.command(&format!("kube-prepull run --namespace {NAMESPACE} --holder-image {HOLDER} &"));
        let process = command.spawn().context("cannot start the controller")?;
        let controller = Self { process: RefCell::new(Some(process)) };
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
        let Some(mut process) = self.process.take() else { bail!("the controller does not run") };
        let begun = Instant::now();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)?;
        let status = wait::until("the controller to stop", STOP, || Ok(process.try_wait()?));
        // One that does not listen is ended as the cluster would end it.
        let status = status.inspect_err(|_| end(&mut process))?;
        ensure!(status.success(), "the controller ended with {status}");
        Ok(begun.elapsed())
    }

    /// Leaves it running.
    pub fn keep(self) {
        self.process.take();
    }

    /// # Errors
    /// If it has ended, although nobody has told it to.
    pub fn ensure_running(&self) -> Result<()> {
        let ended = self.process.borrow_mut().as_mut().map(Child::try_wait).transpose()?.flatten();
        ensure!(ended.is_none(), "the controller has ended by itself: {}", ended.unwrap_or_default());
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.process.take().iter_mut().for_each(end);
    }
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// Ends the controller that an earlier demo has left running in this bed.
pub fn end_earlier(cluster: &Cluster) -> Result<()> {
    let folder = cluster.folder()?;
    let bed = folder.parent().context("the bed has no folder")?;
    let earlier =
        || -> Result<Vec<_>> { Ok(member::all(bed)?.into_iter().filter(|member| member.service == SERVICE).collect()) };
    earlier()?.iter().try_for_each(|member| member.signal(Signal::SIGTERM))?;
    wait::until("the controller of an earlier demo to end", STOP, || Ok(earlier()?.is_empty().then_some(())))?;
    match fs::remove_file(log(&folder)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("cannot remove its log"),
        _ => Ok(()),
    }
}

/// Where it logs to.
pub fn log(folder: &Path) -> PathBuf {
    folder.join("controller.log")
}

/// A program that was built together with this one.
pub fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(program.is_file(), "{} is not built: run `make demo`, or `cargo build` first", program.display());
    Ok(program)
}

/// An address that was free a moment ago.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.to_string())
}
