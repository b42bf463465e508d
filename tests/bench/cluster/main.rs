//! What the controller costs on simulated nodes of real size: memory, CPU, latency and requests, beside the goals. `make bench` starts
//! the cluster, builds the program as it is released, and prints the table; what goes on meanwhile is on standard error.
//!
//! `SCALE` is the number of nodes, `LISTS` that of lists. `PARTS` chooses from `lists,discovery,namespaces,scale`.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../../cluster/audit.rs"]
mod audit;
mod commands;
#[path = "../../cluster/controller.rs"]
mod controller;
mod deletion;
mod discovery;
mod former;
mod idle;
mod lists;
mod meter;
mod namespaces;
mod nodes;
mod pages;
mod probe;
mod process;
mod rollout;
mod scale;
mod table;
#[path = "../../cluster/tag_checks.rs"]
mod tag_checks;
#[path = "../../cluster/trial.rs"]
mod trial;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use test_bed::Simulated;

use controller::Controller;
use nodes::Nodes;
use table::Row;
use trial::{Trial, within};

const IMAGES: usize = 20;
/// The nodes of the part with many lists.
const FEW_NODES: usize = 5;
/// A machine that is busy with other things takes its time over thousands of pods.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Whose figures are in the last column.
const FORMER: &str = "kubernetes-image-puller";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if commands::is_measured() {
        return ExitCode::SUCCESS;
    }
    let (scale, lists) = (number("SCALE", 1_000), number("LISTS", 500));
    let parts = std::env::var("PARTS").unwrap_or_else(|_| "lists,discovery,namespaces,scale".to_owned());
    progress(&format!("the program is {}", controller::program().display()));
    let cluster = Simulated::running().unwrap();
    let mut nodes = Nodes::begin(&cluster, trial::connect(cluster.kubeconfig()).await);
    let (mut of_lists, mut of_nodes) = (Vec::new(), Vec::new());
    nodes.grow(FEW_NODES).await;
    let title =
        format!("{} nodes × {IMAGES} images, Node objects of {} kB", pages::grouped(scale), nodes.bytes() / 1000);
    if parts.contains("lists") {
        of_lists.extend(lists::measure(&cluster, lists).await);
    }
    if parts.contains("discovery") {
        of_lists.extend(discovery::measure(&cluster).await);
    }
    if parts.contains("namespaces") {
        of_lists.extend(namespaces::measure(&cluster).await);
    }
    if parts.contains("scale") {
        nodes.grow(scale).await;
        of_nodes.extend(scale::measure(&cluster, scale).await);
    }
    report("many lists, and a list that discovers", "bench lists", &of_lists);
    report(&title, &format!("bench {scale} nodes"), &of_nodes);
    if std::env::var_os("UPDATE_README").is_some() {
        pages::update_readme(scale, &of_nodes);
    }
    nodes.end().await;
    conclude(&[of_lists, of_nodes].concat())
}

/// Prints a table, and writes it between its marks on the page if that is wanted.
fn report(title: &str, marks: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let table = table::table(title, FORMER, rows);
    println!("{table}");
    if std::env::var_os("UPDATE_README").is_some() {
        pages::update(marks, &table);
    }
}

fn conclude(rows: &[Row]) -> ExitCode {
    let missed = table::missed(rows);
    missed.iter().for_each(|line| eprintln!("{line}"));
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Says what goes on.
fn progress(what: &str) {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    eprintln!("{:>5.0}s  {what}", STARTED.get_or_init(Instant::now).elapsed().as_secs_f64());
}

/// Starts the controller as it is installed.
async fn start(trial: &Trial) -> Controller {
    Controller::start_with(trial, &["--leader-elect=true", "--log-level", "info", "--log-format", "json"]).await
}

async fn write_list(trial: &Trial, name: &str, images: usize) {
    let images: Vec<_> =
        (0..images).map(|image| format!("{{name: image-{image}, image: {}}}", reference(image))).collect();
    trial.write_list(name, &format!("images: [{}]", images.join(", "))).await;
}

fn reference(image: usize) -> String {
    format!("registry.example.com/platform/team/service-{image}:2026.11")
}

/// Whether these are the DaemonSets of so many images and no others, and their pods are ready on so many nodes.
fn all_warm(daemon_sets: &[DaemonSet], images: usize, nodes: usize) -> bool {
    let held: usize = daemon_sets.iter().map(|it| trial::images(it).len()).sum();
    held == images && daemon_sets.iter().all(|it| ready(it) == nodes)
}

/// On how many nodes its pod is ready.
fn ready(daemon_set: &DaemonSet) -> usize {
    let ready = daemon_set.status.as_ref().map_or(0, |status| status.number_ready);
    ready.try_into().unwrap()
}

/// Waits until there is one generation of so many images, whose pods are ready on all nodes.
async fn await_warm(trial: &Trial, images: usize, nodes: usize) {
    within(PATIENCE, "all nodes to be warm", async || {
        all_warm(&trial.daemon_sets().await, images, nodes).then_some(())
    })
    .await;
}
