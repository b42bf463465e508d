//! Which processes belong to a bed.
//!
//! Every process that a bed starts carries the bed's folder in its environment, and its children inherit that. So all of
//! them are found in /proc, whoever started them and whatever became of their parents. No lists of process ids are kept
//! that could be incomplete after a crash, or name a stranger after a reboot.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

const MARK: &str = "KUBE_PREPULL_BED_MEMBER";
const SERVICE: &str = "KUBE_PREPULL_BED_SERVICE";
/// How many milliseconds a program may take to get its environment. Those that have none by intention take so long, too.
const BEGINNING: usize = 100;
/// More bytes than most environments have.
const ENVIRONMENT: usize = 64 << 10;

/// A process of a bed.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its id, as seen from the host.
    pub pid: Pid,
    /// What it was started as (or an ancestor of it): `node1/kubelet`.
    pub service: String,
}

impl Member {
    /// The file name of the program that it runs.
    #[must_use]
    pub fn program(&self) -> Option<OsString> {
        let path = fs::read_link(format!("/proc/{}/exe", self.pid)).ok()?;
        path.file_name().map(OsStr::to_os_string)
    }

    /// Sends it a signal. That it has gone meanwhile is no error.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot end process {} ({})", self.pid, self.service)),
        }
    }
}

/// Gives a command the bed's environment: its mark and little else. Proxies and the like of the user's must not leak in.
pub fn mark(command: &mut Command, folder: &Path, service: &str, path: &str) {
    command.env_clear();
    command.env("PATH", path).env("HOME", folder).env(MARK, folder).env(SERVICE, service);
}

/// All living processes of the bed in that folder.
pub fn all(folder: &Path) -> Result<Vec<Member>> {
    let mark = [MARK.as_bytes(), b"=", folder.as_os_str().as_encoded_bytes()].concat();
    let myself = nix::unistd::getpid();
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw) else {
            continue;
        };
        let environment = environment(pid);
        if pid != myself && environment.split(|&byte| byte == 0).any(|variable| variable == mark) {
            members.push(Member { pid, service: service_in(&environment) });
        }
    }
    Ok(members)
}

/// Kills all processes of the bed in that folder, and returns when there are none left.
pub fn kill_all(folder: &Path) -> Result<()> {
    let mut killed = BTreeSet::new();
    wait::until_uninterrupted("the bed's processes to end", Duration::from_secs(60), || {
        let members = all(folder)?;
        for member in &members {
            member.signal(Signal::SIGKILL)?;
            killed.insert(member.pid);
        }
        // A machine's init loses its environment first, and then waits for the kernel to end all others in the machine.
        killed.retain(|&pid| is_alive(pid));
        Ok((members.is_empty() && killed.is_empty()).then_some(()))
    })
}

/// The variables of a process. Other users' processes cannot be read, and those that have just ended have none: neither is ours.
///
/// A process that begins to run another program has none for a moment either: the kernel takes the old ones away before it
/// lays out the new ones. That moment is waited out, or else a process that has just been started seems to have ended.
fn environment(pid: Pid) -> Vec<u8> {
    for _ in 0..BEGINNING {
        match read_environment(pid) {
            // Threads of the kernel and processes that have ended have no program.
            Ok(none) if none.is_empty() && fs::read_link(format!("/proc/{pid}/exe")).is_ok() => {
                thread::sleep(Duration::from_millis(1));
            }
            variables => return variables.unwrap_or_default(),
        }
    }
    Vec::new()
}

/// At once, because the file ends where the process begins another program.
fn read_environment(pid: Pid) -> io::Result<Vec<u8>> {
    let mut variables = Vec::with_capacity(ENVIRONMENT);
    File::open(format!("/proc/{pid}/environ"))?.read_to_end(&mut variables)?;
    Ok(variables)
}

/// A process that only waits for its parent to notice its end is not alive.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

fn service_in(environment: &[u8]) -> String {
    let prefix = [SERVICE.as_bytes(), b"="].concat();
    let value = environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(prefix.as_slice()));
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_process_is_found_while_it_begins_to_run_another_program() {
        let folder = Path::new("/tmp/kube-prepull-test-of-programs");
        let mut command = Command::new("sh");
        mark(&mut command, folder, "hub/sh", "/usr/bin:/bin");
        let again = r#"[ "$1" = 0 ] || exec sh -c "$0" "$0" $(($1 - 1)); exec sleep 60"#;
        let mut child = command.args(["-c", again, again, "500"]).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        while (Member { pid, service: String::new() }).program().is_some_and(|program| program != "sleep") {
            assert_eq!(all(folder).unwrap().len(), 1);
        }
        kill_all(folder).unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_is_found_by_its_mark_and_killed() {
        let folder = Path::new("/tmp/kube-prepull-test-of-marks");
        let mut command = Command::new("sleep");
        mark(&mut command, folder, "hub/sleep", "/usr/bin:/bin");
        let mut child = command.arg("60").stdout(Stdio::null()).spawn().unwrap();

        let found = all(folder).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].service, "hub/sleep");
        assert_eq!(found[0].pid.as_raw(), i32::try_from(child.id()).unwrap());
        assert!(all(Path::new("/tmp/kube-prepull-test")).unwrap().is_empty());

        kill_all(folder).unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
