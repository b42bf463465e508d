//! Whatever happens to a bed, `bed down` leaves nothing of it on the machine.
//!
//! These tests have beds of their own in temporary folders, beside the checkout's.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use test_bed::{member, wait};

const SOON: Duration = Duration::from_secs(120);
const SYSCTLS: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

/// A place for temporary files, and so for a bed that no one else sees.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bed-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn bed(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bed"));
        command.args(arguments).env("TMPDIR", &self.folder).stdin(Stdio::null());
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        self.bed(arguments).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn down(&self) -> Output {
        self.bed(&["down"]).output().unwrap()
    }

    /// The folder of a bed here, once there is one.
    fn state(&self, kind: &str) -> Option<PathBuf> {
        let entries = fs::read_dir(&self.folder).unwrap().flatten();
        entries.map(|entry| entry.path().join(kind)).find(|path| path.exists())
    }

    /// The services of a bed here that have processes.
    fn services(&self, kind: &str) -> BTreeSet<String> {
        let members = self.state(kind).map(|folder| member::all(&folder).unwrap()).unwrap_or_default();
        members.into_iter().map(|member| member.service).collect()
    }

    /// Kills a `bed` that starts, as soon as it has come so far.
    fn kill_at(&self, kind: &str, arguments: &[&str], service: &str) {
        let mut bed = self.start(arguments);
        wait::until(service, SOON, || {
            assert!(bed.try_wait().unwrap().is_none(), "{}", self.log());
            Ok(self.services(kind).contains(service).then_some(()))
        })
        .unwrap();
        bed.kill().unwrap();
        bed.wait().unwrap();
    }

    /// Everything of this place's beds that is on the machine.
    fn traces(&self, namespaces: &BTreeSet<PathBuf>) -> Vec<String> {
        let mut traces = Vec::new();
        for kind in ["real", "simulated"] {
            traces.extend(self.services(kind));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = self.folder.display().to_string();
        traces.extend(mounts.lines().filter(|mount| mount.contains(&place)).map(str::to_owned));
        traces.extend(namespaces_of(&all_processes()).intersection(namespaces).map(|path| path.display().to_string()));
        let files = fs::read_dir(&self.folder).unwrap().flatten().map(|entry| entry.path().display().to_string());
        traces.extend(files.filter(|file| !file.ends_with("/log")));
        traces
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.down();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What of the whole machine a bed with real nodes must leave as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    sysctls: Vec<String>,
    links: Vec<String>,
    named_namespaces: Vec<String>,
    containerd: bool,
}

impl Host {
    fn look() -> Self {
        let names = |folder: &str| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        Self {
            sysctls: SYSCTLS.map(|name| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap()).to_vec(),
            links: names("/sys/class/net"),
            named_namespaces: names("/run/netns"),
            containerd: Path::new("/run/containerd").exists(),
        }
    }
}

fn all_processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.join("ns").exists()).collect()
}

fn namespaces_of(processes: &[PathBuf]) -> BTreeSet<PathBuf> {
    let kinds = ["mnt", "pid", "net"];
    let links = processes.iter().flat_map(|process| kinds.map(|kind| fs::read_link(process.join("ns").join(kind))));
    links.flatten().collect()
}

/// The namespaces that this place's processes have, and this test has not.
fn own_namespaces(place: &Place, kind: &str) -> BTreeSet<PathBuf> {
    let members = member::all(&place.state(kind).unwrap()).unwrap();
    let processes: Vec<_> = members.iter().map(|member| PathBuf::from(format!("/proc/{}", member.pid))).collect();
    &namespaces_of(&processes) - &namespaces_of(&["/proc/self".into()])
}

fn cgroups() -> BTreeSet<PathBuf> {
    test_bed::cgroup::existing("kube-prepull-").into_iter().collect()
}

fn require_root() {
    assert!(nix::unistd::geteuid().is_root(), "real nodes, and so their tests, need root");
}

#[test]
fn real_nodes_leave_nothing() {
    require_root();
    let place = Place::new("leaves-nothing");
    let (host, groups) = (Host::look(), cgroups());
    assert!(place.start(&["node", "--count", "2"]).wait().unwrap().success(), "{}", place.log());

    let namespaces = own_namespaces(&place, "real");
    assert!(namespaces.len() >= 9, "three machines with three namespaces each: {namespaces:?}");
    assert!(cgroups().len() > groups.len());
    assert_eq!(Host::look(), host, "while the nodes run");
    assert_eq!(place.traces(&namespaces).iter().filter(|trace| trace.contains("/log")).count(), 0);

    assert!(place.down().status.success());
    assert_eq!(place.traces(&namespaces), Vec::<String>::new());
    assert_eq!(cgroups(), groups);
    assert_eq!(Host::look(), host, "after they have ended");
    assert!(place.down().status.success(), "it can be said twice");
}

#[test]
fn a_start_that_is_killed_leaves_nothing_after_down() {
    require_root();
    let place = Place::new("killed");
    let (host, groups) = (Host::look(), cgroups());
    for service in ["hub/init", "hub/kube-apiserver", "node1/containerd", "node1/kubelet"] {
        place.kill_at("real", &["node"], service);
        let namespaces = own_namespaces(&place, "real");
        assert!(!namespaces.is_empty(), "{service}");
        assert!(place.down().status.success());
        assert_eq!(place.traces(&namespaces), Vec::<String>::new(), "{service}");
        assert_eq!((Host::look(), cgroups()), (host.clone(), groups.clone()), "{service}");
    }
}

#[test]
fn after_a_killed_start_the_next_one_succeeds() {
    require_root();
    let place = Place::new("again");
    place.kill_at("real", &["node"], "node1/containerd");
    assert!(place.start(&["node"]).wait().unwrap().success(), "{}", place.log());
}

#[test]
fn a_simulated_cluster_leaves_nothing() {
    let place = Place::new("simulated");
    place.kill_at("simulated", &["cluster"], "kwok");
    assert!(place.down().status.success());
    assert_eq!(place.traces(&BTreeSet::new()), Vec::<String>::new());
}
