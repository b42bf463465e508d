//! The first process of a machine: prepares its file systems, then reaps orphans until it is asked to end.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// The file in the machine's folder that says that the machine is prepared.
pub const READY: &str = "ready";

/// A kubelet raises these for the whole kernel. In a machine they are plain files, so the host keeps its own.
const SHIELDED: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

/// Folders that a node would share with the host, and what they are called in the machine's folder.
const OWN_FOLDERS: [(&str, &str); 2] = [("/var/lib", "lib"), ("/var/log", "var-log")];

/// Runs as the first process of new namespaces. Returns when it is to end, and everything in the machine with it.
pub fn run(folder: &Path) -> Result<()> {
    ensure!(std::process::id() == 1, "this is only for the first process of a machine");
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;

    prepare(folder)?;
    fs::write(folder.join(READY), "")?;
    while signals.wait()? != Signal::SIGTERM {
        reap();
    }
    Ok(())
}

fn prepare(folder: &Path) -> Result<()> {
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).context("cannot make the mounts private")?;
    mount_new("proc", Path::new("/proc"))?;
    mount_new("tmpfs", Path::new("/run"))?;
    for (path, name) in OWN_FOLDERS {
        let own = folder.join(name);
        fs::create_dir_all(&own)?;
        bind(&own, Path::new(path))?;
    }
    for name in SHIELDED {
        shield(folder, name)?;
    }
    // Each network namespace has its own value of this one.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot switch on forwarding")
}

fn shield(folder: &Path, name: &str) -> Result<()> {
    let path = Path::new("/proc/sys").join(name);
    let copy = folder.join("sysctl").join(name);
    if let Some(parent) = copy.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&copy, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)?;
    bind(&copy, &path)
}

fn mount_new(kind: &str, target: &Path) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount {kind} on {}", target.display()))
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot bind {} to {}", source.display(), target.display()))
}

/// One signal may stand for many children.
fn reap() {
    while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive) {}
}
