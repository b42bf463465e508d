//! A program that runs beside the one that started it, until it is stopped or dropped.

use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{log, wait};

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    child: Mutex<Child>,
    kept: bool,
}

impl Process {
    /// Starts it. What it says on standard error is added to the log.
    ///
    /// # Errors
    /// If it cannot be started, or the log not be written.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
        let output = File::options().create(true).append(true).open(log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { name, log: log.to_owned(), pid, child: Mutex::new(child), kept: false })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Pid {
        self.pid
    }

    /// Where it logs to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child().try_wait()?)
    }

    /// # Errors
    /// If it has ended by itself, with the end of its log.
    pub fn ensure_running(&self) -> Result<()> {
        let ended = self.ended()?;
        ensure!(ended.is_none(), "{} has ended: {}\n{}", self.name, ended.unwrap_or_default(), log::tail(&self.log));
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.ensure_running()?;
        kill(self.pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Asks it to stop, as Kubernetes does, and says how it ended and how long that took.
    ///
    /// # Errors
    /// If it has ended before, or does not within the limit: then it is killed.
    pub fn stop(self, limit: Duration) -> Result<(ExitStatus, Duration)> {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM)?;
        let status = wait::until(&format!("{} to stop", self.name), limit, || self.ended())?;
        Ok((status, begun.elapsed()))
    }

    /// Leaves it running.
    pub fn keep(mut self) {
        self.kept = true;
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.kept {
            let mut child = self.child();
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Ports of which the system gives none to connections by itself (`ip_local_port_range` begins at 32768): those could be taken before
/// whoever asks for a free one listens there.
const LISTENING_PORTS: Range<u16> = 15_000..32_000;

/// An address that was free a moment ago, and that this process gives nobody else.
///
/// # Errors
/// If no port is free.
pub fn free_address() -> Result<String> {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    // Each process begins elsewhere.
    let begin = std::process::id() as usize * 97;
    let next = |_| (begin + GIVEN.fetch_add(1, Ordering::Relaxed)) % LISTENING_PORTS.len();
    let mut ports = LISTENING_PORTS.map(next).map(|offset| usize::from(LISTENING_PORTS.start) + offset);
    let free = ports.find_map(|port| TcpListener::bind(format!("127.0.0.1:{port}")).ok()).context("no port is free")?;
    Ok(free.local_addr()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep(name: &str) -> Process {
        let mut command = Command::new("sleep");
        command.arg("60");
        Process::start(command, &std::env::temp_dir().join(format!("{name}-{}", std::process::id()))).unwrap()
    }

    #[test]
    fn it_ends_when_it_is_stopped_or_dropped_but_not_when_it_is_kept() {
        let alive = |pid: Pid| kill(pid, None).is_ok();
        let (stopped, dropped, kept) = (sleep("stopped"), sleep("dropped"), sleep("kept"));
        let ids = [stopped.id(), dropped.id(), kept.id()];
        let logs = [&stopped, &dropped, &kept].map(|process| process.log().to_owned());
        assert!(!stopped.stop(Duration::from_secs(60)).unwrap().0.success());
        drop(dropped);
        kept.keep();
        assert_eq!(ids.map(alive), [false, false, true]);
        kill(ids[2], Signal::SIGKILL).unwrap();
        logs.iter().for_each(|log| std::fs::remove_file(log).unwrap());
    }
}
