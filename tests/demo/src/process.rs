//! Programs of the demo's own that run beside it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use test_bed::{Process, member, wait};

use crate::cluster::Cluster;

/// It only has to say goodbye. This is what Kubernetes gives a pod by default.
pub const STOP: Duration = Duration::from_secs(30);

/// Starts a program that was built together with this one. It logs into the demo's folder.
pub fn start(cluster: &Cluster, name: &str, service: &str, arguments: &[&str]) -> Result<Process> {
    let folder = cluster.folder()?;
    let mut command = Command::new(beside(name)?);
    // A member of the bed: whatever becomes of this program, `make down` ends that one too.
    let bed = folder.parent().context("the bed has no folder")?;
    member::mark(&mut command, bed, &member_name(service), "/usr/bin:/bin");
    command.args(arguments).arg("--kubeconfig").arg(cluster.kubeconfig());
    // A group of its own: Ctrl-C in the user's terminal is for the demo, which then ends it.
    command.process_group(0);
    Process::start(command, &log(&folder, service))
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
