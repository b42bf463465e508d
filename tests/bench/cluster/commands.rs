//! What commands of the program take: time, and the most memory.
//!
//! The kernel reports that memory only for all children of a process together, and a child begins with its parent's: so each command is
//! run by a small process, which is this benchmark again.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::controller::{Controller, program};
use crate::trial::Trial;

/// The first argument of such a process.
const MEASURE: &str = "measure-a-command";

/// What a command took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Taken {
    pub time: Duration,
    /// In MiB.
    pub peak: f64,
}

/// Plays the small process, if this is one.
pub fn is_measured() -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(MEASURE) {
        return false;
    }
    let mut command = Command::new(arguments.next().unwrap());
    let started = Instant::now();
    let output = command.args(arguments).stderr(Stdio::inherit()).output().unwrap();
    let time = started.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    println!("{}", serde_json::to_string(&Taken { time, peak: kibibytes as f64 / 1024.0 }).unwrap());
    true
}

/// The shortest of some runs: the longer ones measure what else the machine does. The memory is the most of all.
pub fn status(trial: &Trial, arguments: &[&str]) -> Taken {
    let runs: Vec<Taken> = (0..5).map(|_| measure(trial, arguments)).collect();
    let time = runs.iter().map(|it| it.time).min().unwrap();
    Taken { time, peak: runs.iter().map(|it| it.peak).fold(0.0, f64::max) }
}

fn measure(trial: &Trial, arguments: &[&str]) -> Taken {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(MEASURE).arg(program()).args(["status", "--namespace", &trial.namespace, "--kubeconfig"]);
    let output = command.arg(&trial.kubeconfig).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How long the controller takes to answer for its status, at best of some times.
pub fn answer(controller: &Controller) -> Duration {
    let run = || {
        let started = Instant::now();
        let (code, _) = controller.get("/status").unwrap();
        assert_eq!(code, 200);
        started.elapsed()
    };
    (0..5).map(|_| run()).min().unwrap()
}
