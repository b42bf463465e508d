//! What the controller costs on 1,000 simulated nodes × 20 images: its requests to the API server, its memory, and how long
//! `status` takes. `make bench` starts the cluster and prints it.
//!
//! Requests are counted in the API server's audit log, so they do not depend on the machine. Times do; beside them stands
//! what they are to be measured against.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../../cluster/audit.rs"]
mod audit;
#[path = "../../cluster/controller.rs"]
mod controller;
mod former;
mod meter;
#[path = "../../cluster/tag_checks.rs"]
mod tag_checks;
#[path = "../../cluster/trial.rs"]
mod trial;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use test_bed::Simulated;

use controller::Controller;
use meter::Meter;
use trial::{Trial, within};

const NODES: u32 = 1_000;
const IMAGES: usize = 20;
/// What `status` may take.
const STATUS_LIMIT: Duration = Duration::from_secs(2);
/// A machine that is busy with other things takes its time over 1,000 pods.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cluster = Simulated::running().unwrap();
    let before = nodes(&cluster);
    println!("{NODES} simulated nodes × {IMAGES} images");
    cluster.scale(NODES).unwrap();
    let met = measure(&cluster).await;
    cluster.scale(before).unwrap();
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn nodes(cluster: &Simulated) -> u32 {
    let names = cluster.kubectl(["get", "nodes", "--selector", "type=kwok", "-o", "name"]).unwrap();
    names.lines().count().try_into().unwrap()
}

/// Measures one thing after the other, and says whether `status` was fast enough.
async fn measure(cluster: &Simulated) -> bool {
    let trial = Trial::begin(cluster.kubeconfig(), "bench").await;
    let mut meter = Meter::new();
    let controller = Controller::start_with(&trial, &["--leader-elect=true"]).await;
    meter.phase("start, without a list", &controller).await;
    write_list(&trial, IMAGES).await;
    all_warm(&trial, IMAGES).await;
    meter.phase("a list, until it is warm everywhere", &controller).await;
    write_list(&trial, IMAGES + 1).await;
    all_warm(&trial, IMAGES + 1).await;
    meter.phase("an edit, until its rollout is over", &controller).await;
    tag_checks::request(&trial, "now").await;
    let answered = tag_checks::answered(&trial, "now").await;
    assert_eq!(tag_checks::number(&answered), 2, "nothing has moved");
    meter.phase("a refresh that finds nothing", &controller).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    meter.phase("a minute in which nothing happens", &controller).await;
    controller.kill();
    let controller = Controller::start_with(&trial, &["--leader-elect=true"]).await;
    meter.phase("a start after a crash, with all of that there", &controller).await;
    former::measure(cluster, IMAGES).await;
    let took = status(&trial);
    println!("\nkube-prepull status   {took:.2?} at best of 5 (limit {STATUS_LIMIT:?})");
    took <= STATUS_LIMIT
}

async fn write_list(trial: &Trial, images: usize) {
    let images: Vec<_> =
        (0..images).map(|image| format!("{{name: image-{image}, image: {}}}", reference(image))).collect();
    trial.write_list("tools", &format!("images: [{}]", images.join(", "))).await;
}

fn reference(image: usize) -> String {
    format!("registry.example.com/platform/team/service-{image}:2026.11")
}

/// Waits until there is one generation of so many images, whose pods are ready on all nodes.
async fn all_warm(trial: &Trial, images: usize) {
    within(PATIENCE, "all nodes to be warm", async || {
        let [only] = <[DaemonSet; 1]>::try_from(trial.daemon_sets().await).ok()?;
        let ready = only.status.as_ref()?.number_ready;
        (ready == NODES.cast_signed() && trial::images(&only).len() == images).then_some(())
    })
    .await;
}

/// The shortest of some runs: the longer ones measure what else the machine does.
fn status(trial: &Trial) -> Duration {
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
        command.args(["status", "--namespace", &trial.namespace, "--kubeconfig"]).arg(&trial.kubeconfig);
        let started = Instant::now();
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        let took = started.elapsed();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        took
    };
    (0..5).map(|_| run()).min().unwrap()
}
