//! Whatever happens to a bed, `bed down` leaves nothing of it on the machine.
//!
//! These tests have beds of their own in temporary folders, beside the checkout's.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_bed::state::{Kind, State};
use test_bed::{member, wait};

/// A bed starts in half a minute, on a busy machine in minutes.
const SOON: Duration = Duration::from_secs(300);
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

    fn state(&self, kind: Kind) -> State {
        State::in_temporary(&self.folder, kind)
    }

    /// The control groups of this place's nodes. Beds of others may come and go meanwhile.
    fn cgroups(&self) -> Vec<PathBuf> {
        test_bed::cgroup::existing(&self.state(Kind::Real).unique_name())
    }

    /// The services of a bed here that have processes.
    fn services(&self, kind: Kind) -> BTreeSet<String> {
        let members = member::all(&self.state(kind).folder()).unwrap();
        members.into_iter().map(|member| member.service).collect()
    }

    /// Kills a `bed` that starts, as soon as it has come so far.
    fn kill_at(&self, kind: Kind, arguments: &[&str], service: &str) {
        let mut bed = self.start(arguments);
        wait::until(service, SOON, || {
            let came = self.services(kind).contains(service);
            assert!(came || bed.try_wait().unwrap().is_none(), "{}", self.log());
            Ok(came.then_some(()))
        })
        .unwrap();
        bed.kill().unwrap();
        bed.wait().unwrap();
    }

    /// Everything of this place's beds that is on the machine.
    fn traces(&self, namespaces: &Namespaces) -> Vec<String> {
        let mut traces = Vec::new();
        for kind in [Kind::Real, Kind::Simulated] {
            traces.extend(self.services(kind));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = self.folder.display().to_string();
        traces.extend(mounts.lines().filter(|mount| mount.contains(&place)).map(str::to_owned));
        traces.extend(
            namespaces_of(&all_processes()).intersection(&namespaces.names).map(|path| path.display().to_string()),
        );
        traces.extend(self.cgroups().into_iter().map(|group| group.display().to_string()));
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
    fn observe() -> Self {
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

/// All processes but those that have ended and wait for the machine's init to notice.
fn all_processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let lives = |path: &PathBuf| {
        fs::read_to_string(path.join("status")).is_ok_and(|status| !status.lines().any(|line| line == ZOMBIE))
    };
    entries.filter(lives).collect()
}

const ZOMBIE: &str = "State:\tZ (zombie)";

/// The namespaces that a place's processes have and this test has not, such as `pid:[4026532614]`.
#[derive(Default)]
struct Namespaces {
    names: BTreeSet<PathBuf>,
    /// Keeps the kernel from giving the number of one that has gone to the next that anybody makes.
    _open: Vec<fs::File>,
}

impl Namespaces {
    fn of(place: &Place, kind: Kind) -> Self {
        let members = member::all(&place.state(kind).folder()).unwrap();
        let processes: Vec<_> = members.iter().map(|member| PathBuf::from(format!("/proc/{}", member.pid))).collect();
        let open = links(&processes).into_iter().filter_map(|link| fs::File::open(link).ok()).collect();
        Self { names: &namespaces_of(&processes) - &namespaces_of(&["/proc/self".into()]), _open: open }
    }
}

fn links(processes: &[PathBuf]) -> Vec<PathBuf> {
    processes.iter().flat_map(|process| ["mnt", "pid", "net"].map(|kind| process.join("ns").join(kind))).collect()
}

fn namespaces_of(processes: &[PathBuf]) -> BTreeSet<PathBuf> {
    links(processes).into_iter().flat_map(fs::read_link).collect()
}

fn require_root() {
    assert!(nix::unistd::geteuid().is_root(), "real nodes, and so their tests, need root");
}

#[test]
fn real_nodes_leave_nothing() {
    require_root();
    let place = Place::new("leaves-nothing");
    let host = Host::observe();
    assert!(place.start(&["node", "--count", "2"]).wait().unwrap().success(), "{}", place.log());

    let namespaces = Namespaces::of(&place, Kind::Real);
    assert!(namespaces.names.len() >= 9, "three machines with three namespaces each: {:?}", namespaces.names);
    assert!(!place.cgroups().is_empty());
    assert_eq!(Host::observe(), host, "while the nodes run");
    assert_eq!(place.traces(&namespaces).iter().filter(|trace| trace.contains("/log")).count(), 0);

    assert!(place.down().status.success());
    assert_eq!(place.traces(&namespaces), Vec::<String>::new());
    assert_eq!(Host::observe(), host, "after they have ended");
    assert!(place.down().status.success(), "it can be said twice");
}

#[test]
fn a_start_that_is_killed_leaves_nothing_after_down() {
    require_root();
    let place = Place::new("killed");
    let host = Host::observe();
    for service in ["hub/init", "hub/kube-apiserver", "node1/containerd", "node1/kubelet"] {
        place.kill_at(Kind::Real, &["node"], service);
        let namespaces = Namespaces::of(&place, Kind::Real);
        assert!(!namespaces.names.is_empty(), "{service}");
        assert!(place.down().status.success());
        assert_eq!(place.traces(&namespaces), Vec::<String>::new(), "{service}");
        assert_eq!(Host::observe(), host, "{service}");
    }
}

#[test]
fn after_a_killed_start_the_next_one_succeeds() {
    require_root();
    let place = Place::new("again");
    place.kill_at(Kind::Real, &["node"], "node1/containerd");
    assert!(place.start(&["node"]).wait().unwrap().success(), "{}", place.log());
}

#[test]
fn a_simulated_cluster_leaves_nothing() {
    let place = Place::new("simulated");
    place.kill_at(Kind::Simulated, &["cluster"], "kwok");
    assert!(place.down().status.success());
    assert_eq!(place.traces(&Namespaces::default()), Vec::<String>::new());
}

#[test]
fn an_interrupted_run_ends_the_cluster_that_it_started() {
    let place = Place::new("interrupted");
    let waiting = place.folder.join("waiting");
    let command = format!("touch {}; exec sleep 300", waiting.display());
    let mut bed = place.start(&["run", "--simulated", "sh", "-c", &command]);
    wait::until("the command", SOON, || {
        assert!(bed.try_wait().unwrap().is_none(), "{}", place.log());
        Ok(waiting.exists().then_some(()))
    })
    .unwrap();
    fs::remove_file(waiting).unwrap();
    kill(Pid::from_raw(i32::try_from(bed.id()).unwrap()), Signal::SIGINT).unwrap();
    assert!(!bed.wait().unwrap().success());
    assert_eq!(place.traces(&Namespaces::default()), Vec::<String>::new(), "{}", place.log());
}
