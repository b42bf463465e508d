//! Many lists on few nodes, and one long list.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::ListParams;
use kube_prepull::naming::labels;
use test_bed::Simulated;

use crate::controller::Controller;
use crate::deletion::delete;
use crate::meter::Meter;
use crate::process::Process;
use crate::table::{Goal, Row, Unit};
use crate::trial::{Trial, within};
use crate::{FEW_NODES, IMAGES, PATIENCE, all_warm, idle, progress, start, write_list};

/// How many lists stay when most are deleted.
const KEPT: usize = 10;
/// The images of a list that is split over several pods.
const LONG: usize = 1_000;
/// Between two lists of all DaemonSets, which are many megabytes.
const PAUSE: Duration = Duration::from_secs(2);

/// Measures one thing after the other.
pub async fn measure(cluster: &Simulated, lists: usize) -> Vec<Row> {
    let trial = Trial::begin(cluster.kubeconfig(), "lists").await;
    let mut meter = Meter::new();
    let controller = start(&trial).await;
    let process = Process(controller.id());
    meter.phase("start, without a list", &controller).await;
    let base = process.resident();
    write(&trial, 0..1).await;
    let alone = meter.phase("a list, until it is warm", &controller).await;
    write(&trial, 1..lists / 2).await;
    meter.phase("half of the lists", &controller).await;
    let half = process.resident() - base;
    write(&trial, lists / 2..lists - 1).await;
    meter.phase("all lists but one", &controller).await;
    let exists = add(&trial, lists - 1).await;
    let among = meter.phase("the last list, until it is warm", &controller).await;
    let all = process.resident();
    let idle = idle::cpu(&controller).await;
    meter.phase("a minute in which nothing happens", &controller).await;
    let peak = process.peak();
    delete(&trial, (KEPT..lists).map(name), KEPT).await;
    meter.phase("most lists are deleted", &controller).await;
    let on = format!("{lists} lists × {IMAGES} images on {FEW_NODES} nodes");
    let scale = lists as f64 / 500.0;
    let mut rows = vec![
        Row::new(format!("memory, {on}"), all, Unit::Mebibytes, Goal::AtMost(12.0 + 28.0 * scale)),
        Row::new(format!("memory at most, {on}"), peak, Unit::Mebibytes, Goal::None),
        Row::new(
            "memory, when all but 10 lists are deleted",
            process.resident(),
            Unit::Mebibytes,
            Goal::AtMost(12.0 + 8.0 * scale),
        ),
        Row::new(
            "memory of the second half of the lists to that of the first",
            (all - base - half) / half,
            Unit::Ratio,
            Goal::AtMost(1.5),
        ),
        Row::new(
            "a new list among them, until its DaemonSet exists",
            exists.as_secs_f64(),
            Unit::Seconds,
            Goal::AtMost(3.0),
        ),
        Row::new(
            "API requests of a new list among them",
            among.total() as f64,
            Unit::Count,
            Goal::AtMost(alone.total() as f64),
        ),
        Row::new(format!("idle CPU, {lists} lists"), idle, Unit::Percent, Goal::AtMost(1.0)),
    ];
    delete(&trial, (0..KEPT).map(name), 0).await;
    rows.push(long(&trial, &controller, &mut meter).await);
    rows
}

fn name(list: usize) -> String {
    format!("list-{list}")
}

/// Writes these lists, and waits until all are warm.
async fn write(trial: &Trial, lists: std::ops::Range<usize>) {
    let (all, started) = (lists.end, Instant::now());
    for list in lists {
        write_list(trial, &name(list), IMAGES).await;
    }
    progress(&format!("{all} lists are written"));
    await_all(trial, all, started).await;
}

async fn await_all(trial: &Trial, lists: usize, started: Instant) {
    let mut reported = Instant::now();
    loop {
        let daemon_sets = trial.daemon_sets().await;
        if daemon_sets.len() == lists && all_warm(&daemon_sets, lists * IMAGES, FEW_NODES) {
            return;
        }
        if reported.elapsed() > Duration::from_secs(20) {
            progress(&format!("{} of {lists} DaemonSets", daemon_sets.len()));
            reported = Instant::now();
        }
        assert!(started.elapsed() < PATIENCE, "not all lists become warm");
        tokio::time::sleep(if lists == 1 { PAUSE / 20 } else { PAUSE }).await;
    }
}

/// How long it takes from a new list to its DaemonSet.
async fn add(trial: &Trial, list: usize) -> Duration {
    write_list(trial, &name(list), IMAGES).await;
    let started = Instant::now();
    let of_list = ListParams::default().labels(&format!("{}={}", labels::LIST, name(list)));
    within(PATIENCE, "the DaemonSet of the last list", async || {
        let found = trial.api::<DaemonSet>().list_metadata(&of_list).await.unwrap();
        (!found.items.is_empty()).then_some(())
    })
    .await;
    let took = started.elapsed();
    await_all(trial, list + 1, started).await;
    took
}

/// How many images of one long list become warm.
async fn long(trial: &Trial, controller: &Controller, meter: &mut Meter) -> Row {
    write_list(trial, "long", LONG).await;
    let warm = within(PATIENCE, "the long list to be warm or rejected", async || {
        if all_warm(&trial.daemon_sets().await, LONG, FEW_NODES) {
            return Some(LONG);
        }
        let list = trial.list("long").await;
        let state = list.metadata.labels.unwrap_or_default().get(labels::STATE).cloned();
        (state.as_deref() == Some("rejected")).then_some(0)
    })
    .await;
    meter.phase("a long list, until it is warm", controller).await;
    Row::new("images in a list", warm as f64, Unit::Count, Goal::AtLeast(LONG as f64))
}
