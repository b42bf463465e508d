//! Control groups outlive the processes in them, so a bed's have names of its own and are removed at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

const ROOT: &str = "/sys/fs/cgroup";

/// Creates a group in every hierarchy.
pub fn create(name: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(name);
        fs::create_dir_all(&group).with_context(|| format!("cannot create the control group {}", group.display()))?;
        if is_unified(&hierarchy) {
            pass_controllers_on(&hierarchy);
        } else {
            inherit_cpuset(&hierarchy, &group)?;
        }
    }
    Ok(())
}

/// Removes all groups whose names begin with `prefix`, and ends what runs in them.
pub fn remove(prefix: &str) -> Result<()> {
    wait::until_uninterrupted("the control groups to be empty", Duration::from_secs(20), || {
        existing(prefix).iter().for_each(|group| remove_tree(group));
        Ok(existing(prefix).is_empty().then_some(()))
    })
}

/// The groups that are there whose names begin with `prefix`.
#[must_use]
pub fn existing(prefix: &str) -> Vec<PathBuf> {
    let all = hierarchies().into_iter().flat_map(|hierarchy| children(&hierarchy));
    all.filter(|group| name_of(group).starts_with(prefix)).collect()
}

/// With version 2 the root is the only hierarchy; with version 1 each folder below is one, also version 2's in a hybrid.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(ROOT);
    if is_unified(&root) { vec![root] } else { children(&root) }
}

fn is_unified(hierarchy: &Path) -> bool {
    hierarchy.join("cgroup.controllers").exists()
}

/// In version 2 a group has the controllers that its parent passes on. Those that cannot be passed on are no loss: the
/// kubelet says what it lacks.
fn pass_controllers_on(hierarchy: &Path) {
    let controllers = fs::read_to_string(hierarchy.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(hierarchy.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// In version 1 no process can join a cpuset that has no processors or memory, and a new one has none.
fn inherit_cpuset(hierarchy: &Path, group: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read(hierarchy.join(file)) {
            fs::write(group.join(file), value)?;
        }
    }
    Ok(())
}

/// What cannot be removed yet, because a process in it is still ending, is left for the next try.
fn remove_tree(group: &Path) {
    for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
        // 0 stands for a process of another process namespace, which is not to be seen from here.
        if let Some(pid) = pid.parse().ok().filter(|&pid| pid > 0) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    children(group).iter().for_each(|child| remove_tree(child));
    let _ = fs::remove_dir(group);
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn name_of(group: &Path) -> String {
    group.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
