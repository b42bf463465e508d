//! One list on many nodes.

use test_bed::Simulated;

use crate::controller::Controller;
use crate::meter::Meter;
use crate::process::Process;
use crate::rollout::{self, Rollout};
use crate::table::{Goal, Row, Unit};
use crate::trial::Trial;
use crate::{IMAGES, await_warm, commands, former, idle, progress, start, tag_checks, write_list};

/// More pods than these are not made only to count how many the predecessor makes.
const MOST_FOR_FORMER: usize = 1_000;

/// Measures one thing after the other.
pub async fn measure(cluster: &Simulated, nodes: usize) -> Vec<Row> {
    let trial = Trial::begin(cluster.kubeconfig(), "bench").await;
    let mut meter = Meter::new();
    let controller = start(&trial).await;
    meter.phase("start, without a list", &controller).await;
    write_list(&trial, "tools", IMAGES).await;
    await_warm(&trial, IMAGES, nodes).await;
    let first = meter.phase("a list, until it is warm everywhere", &controller).await;
    controller.kill();
    let controller = start(&trial).await;
    let restart = meter.phase("a start after a crash, with all of that there", &controller).await;
    let started = Process(controller.id()).peak();
    let rollout = rollout::measure(&trial, &controller, IMAGES, nodes).await;
    let edit = meter.phase("an edit, until its rollout is over", &controller).await;
    let idle = idle::cpu(&controller).await;
    let quiet = meter.phase("a minute in which nothing happens", &controller).await;
    let mut rows = memory(&controller, nodes, started);
    rows.extend(of_rollout(&rollout, nodes));
    tag_checks::request(&trial, "now").await;
    tag_checks::answered(&trial, "now").await;
    let refresh = meter.phase("a refresh that finds nothing", &controller).await;
    rows.push(Row::new("idle CPU", idle, Unit::Percent, Goal::AtMost(1.0)));
    rows.extend(status(&trial, &controller, nodes));
    rows.extend([
        requests("a new list, until it is warm on all nodes", first.total(), 38),
        requests("an edit, until its rollout is complete", edit.total(), 27),
        requests("a refresh that finds nothing", refresh.total(), 23),
        requests("a minute in which nothing happens", quiet.total(), 0),
        requests("writes of a restart", restart.writes(), 0),
    ]);
    controller.kill();
    let pods = if nodes <= MOST_FOR_FORMER { former::measure(&trial, IMAGES, nodes).await } else { nodes };
    let made =
        Row::new("pods that a refresh makes that finds nothing", refresh.pods as f64, Unit::Count, Goal::AtMost(1.0));
    rows.push(made.former(pods.to_string()));
    rows
}

/// The goals are for 1,000 and 5,000 nodes, and lie on a line.
fn memory(controller: &Controller, nodes: usize, started: f64) -> Vec<Row> {
    let process = Process(controller.id());
    let thousands = nodes as f64 / 1000.0;
    let most = Goal::AtMost(11.5 + 2.5 * thousands);
    let peak = Row::new("memory, most from start through a rollout", process.peak(), Unit::Mebibytes, most);
    let steady = Goal::AtMost(10.0 + 2.0 * thousands);
    vec![
        former::memory(nodes).into_iter().fold(peak, Row::former),
        Row::new("memory, most at start", started, Unit::Mebibytes, Goal::None),
        Row::new("memory, steady", process.resident(), Unit::Mebibytes, steady),
    ]
}

fn of_rollout(rollout: &Rollout, nodes: usize) -> Vec<Row> {
    let cpu = Goal::AtMost(9.0 * nodes as f64 / 1000.0);
    let latency = &rollout.latency;
    vec![
        Row::new("CPU of a rollout", rollout.cpu.as_secs_f64(), Unit::Seconds, cpu).former("< 1 s"),
        Row::new("`/livez` meanwhile, median", latency.median, Unit::Milliseconds, Goal::None),
        Row::new("`/livez` meanwhile, 99 of 100", latency.p99, Unit::Milliseconds, Goal::AtMost(50.0)),
        Row::new("`/livez` meanwhile, most", latency.most, Unit::Milliseconds, Goal::AtMost(200.0)),
        Row::new(
            "last node warm → old generation deleted",
            rollout.release.as_secs_f64(),
            Unit::Seconds,
            Goal::AtMost(5.0),
        ),
    ]
}

/// Simulated nodes forward no ports, so the command lists pods. What it asks the leader for elsewhere is asked here without it.
fn status(trial: &Trial, controller: &Controller, nodes: usize) -> Vec<Row> {
    progress(&format!("status of {nodes} nodes"));
    let listed = commands::status(trial, &[]);
    let answered = commands::answer(controller);
    vec![
        Row::new("`status` without the leader", listed.time.as_secs_f64(), Unit::Seconds, Goal::AtMost(4.0)),
        Row::new(
            "`status` without the leader, memory",
            listed.peak,
            Unit::Mebibytes,
            Goal::AtMost(150.0 * 1e6 / 1_048_576.0),
        ),
        Row::new(
            "the leader's answer to `status`",
            1000.0 * answered.as_secs_f64(),
            Unit::Milliseconds,
            Goal::AtMost(1000.0),
        ),
    ]
}

fn requests(what: &str, count: usize, most: usize) -> Row {
    Row::new(format!("API requests: {what}"), count as f64, Unit::Count, Goal::AtMost(most as f64))
}
