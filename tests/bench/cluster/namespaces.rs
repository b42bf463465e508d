//! Lists in many namespaces, which one controller keeps warm.

use std::time::Instant;

use futures::{StreamExt, stream};
use test_bed::Simulated;

use crate::controller::Controller;
use crate::meter::Meter;
use crate::process::Process;
use crate::table::{Goal, Row, Unit};
use crate::trial::{Trial, within};
use crate::{FEW_NODES, IMAGES, PATIENCE, all_warm, await_warm, idle, progress, write_list};

/// Each with a list of the same name.
const NAMESPACES: usize = 200;
/// How many lists one team writes at once.
const MANY: usize = 300;
/// How many objects are created at a time.
const AT_A_TIME: usize = 8;

/// Measures what the lists take, what one more takes, and what that takes while another team writes many.
pub async fn measure(cluster: &Simulated) -> Vec<Row> {
    let home = Trial::begin(cluster.kubeconfig(), "home").await;
    let mut teams: Vec<Trial> = stream::iter(0..=NAMESPACES)
        .map(|team| async move { Trial::begin(cluster.kubeconfig(), &format!("team-{team}")).await })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    let last = teams.pop().unwrap();
    let mut meter = Meter::new();
    let arguments = ["--leader-elect=true", "--log-level", "info", "--all-namespaces"];
    let controller = Controller::start_with(&home, &arguments).await;
    let process = Process(controller.id());
    stream::iter(&teams).for_each_concurrent(AT_A_TIME, |team| write_list(team, "tools", IMAGES)).await;
    for team in &teams {
        await_warm(team, IMAGES, FEW_NODES).await;
    }
    meter.phase("a list in each namespace, until all are warm", &controller).await;
    let started = Instant::now();
    write_list(&last, "tools", IMAGES).await;
    within(PATIENCE, "the DaemonSet of another list", async || (!last.daemon_sets().await.is_empty()).then_some(()))
        .await;
    let took = started.elapsed();
    within(PATIENCE, "that to be warm", async || all_warm(&last.daemon_sets().await, IMAGES, FEW_NODES).then_some(()))
        .await;
    let another = meter.phase("one more list, until it is warm", &controller).await;
    let idle = idle::cpu(&controller).await;
    let resident = process.resident();
    progress(&format!("lists in {NAMESPACES} namespaces"));
    let exposition = controller.get("/metrics").unwrap().1;
    let series = exposition.lines().filter(|line| !line.starts_with('#')).count() / NAMESPACES;
    let busy = &teams[0];
    stream::iter(0..MANY).for_each_concurrent(AT_A_TIME, |list| busy_list(busy, list)).await;
    let started = Instant::now();
    write_list(&last, "more", IMAGES).await;
    within(PATIENCE, "a DaemonSet beside them", async || (last.daemon_sets().await.len() > 1).then_some(())).await;
    let beside = started.elapsed();
    let accepted = busy.revisions().await.len();
    progress(&format!("{accepted} of {MANY} other lists were accepted before that"));
    vec![
        Row::new(
            format!("memory, {NAMESPACES} lists in as many namespaces"),
            resident,
            Unit::Mebibytes,
            Goal::AtMost(24.0),
        ),
        Row::new(
            "a list in one more namespace, until its DaemonSet exists",
            took.as_secs_f64(),
            Unit::Seconds,
            Goal::AtMost(3.0),
        ),
        Row::new(
            format!("the same while another namespace has {MANY} new lists"),
            beside.as_secs_f64(),
            Unit::Seconds,
            Goal::AtMost(6.0),
        ),
        Row::new("API requests: that list, until it is warm", another.total() as f64, Unit::Count, Goal::AtMost(38.0)),
        Row::new("idle CPU with them", idle, Unit::Percent, Goal::AtMost(1.0)),
        Row::new("series of metrics for each of these lists", series as f64, Unit::Count, Goal::AtMost(300.0)),
    ]
}

/// A list that no node matches, so that it costs the controller and no other part of the cluster.
async fn busy_list(team: &Trial, list: usize) {
    let group = "nodeSelector: {kubernetes.io/hostname: no-such-node}";
    team.write_list(&format!("busy-{list}"), &format!("groups: [{{name: busy-{list}, images: [busy:1], {group}}}]"))
        .await;
}
