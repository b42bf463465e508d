//! Programs of the demo's own that run beside it.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use test_bed::{member, wait};

use crate::cluster::Cluster;

/// It only has to say goodbye.
pub const STOP: Duration = Duration::from_secs(10);

/// A running program. It ends when this is dropped.
pub struct Process {
    name: &'static str,
    process: RefCell<Option<Child>>,
}

impl Process {
    /// Starts a program that was built together with this one. It logs into the demo's folder.
    pub fn start(cluster: &Cluster, name: &'static str, service: &str, arguments: &[&str]) -> Result<Self> {
        let folder = cluster.folder()?;
        let log =
            File::options().create(true).append(true).open(log(&folder, service)).context("cannot write its log")?;
        let mut command = Command::new(beside(name)?);
        // A member of the bed: whatever becomes of this program, `make down` ends that one too.
        let bed = folder.parent().context("the bed has no folder")?;
        member::mark(&mut command, bed, &member_name(service), "/usr/bin:/bin");
        command.args(arguments).arg("--kubeconfig").arg(cluster.kubeconfig());
        // A group of its own: Ctrl-C in the user's terminal is for the demo, which then ends it.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, process: RefCell::new(Some(process)) })
    }

    /// Takes it out of this one's care.
    pub fn take(self) -> Option<Child> {
        self.process.take()
    }

    /// # Errors
    /// If it has ended, although nobody has told it to.
    pub fn ensure_running(&self) -> Result<()> {
        let ended = self.process.borrow_mut().as_mut().map(Child::try_wait).transpose()?.flatten();
        ensure!(ended.is_none(), "{} has ended by itself: {}", self.name, ended.unwrap_or_default());
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.process.take().iter_mut().for_each(end);
    }
}

/// Ends it without asking.
pub fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// Ends all that an earlier demo has left running in this bed as that service.
pub fn end_earlier(cluster: &Cluster, service: &str) -> Result<()> {
    let folder = cluster.folder()?;
    let bed = folder.parent().context("the bed has no folder")?;
    let name = member_name(service);
    let earlier =
        || -> Result<Vec<_>> { Ok(member::all(bed)?.into_iter().filter(|member| member.service == name).collect()) };
    earlier()?.iter().try_for_each(|member| member.signal(Signal::SIGTERM))?;
    wait::until(&format!("the {service} of an earlier demo to end"), STOP, || Ok(earlier()?.is_empty().then_some(())))?;
    match std::fs::remove_file(log(&folder, service)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("cannot remove its log"),
        _ => Ok(()),
    }
}

/// Where it logs to.
pub fn log(folder: &Path, service: &str) -> PathBuf {
    folder.join(format!("{service}.log"))
}

/// By what a bed knows it, so that the bed's end is also its own.
fn member_name(service: &str) -> String {
    format!("demo/{service}")
}

/// A program that was built together with this one.
pub fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(program.is_file(), "{} is not built: run `make demo`, or `cargo build` first", program.display());
    Ok(program)
}
