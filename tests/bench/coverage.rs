//! What coverage costs: bytes for 5,000 nodes × 20 images, in the situations that make pods differ, and the time to fold, to
//! plan, to sum up, and to answer who asks for metrics or the status. `cargo bench --bench coverage` prints it; figures of memory do not
//! depend on the profile. `cargo bench --bench coverage -- many-images` prints only what lists of many images cost.

#![allow(clippy::unwrap_used, missing_docs)]

mod many_images;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::ObjectMeta;
use kube_prepull::coverage::{Coverage, Node, NodeSet, SlimPod};
use kube_prepull::list::{Config, ListData, parse};
use kube_prepull::metrics::Metrics;
use kube_prepull::metrics::exposition::Format;
use kube_prepull::naming::own_images::OwnImages;
use kube_prepull::plan::generation::tag_check::TagCheck;
use kube_prepull::plan::{AcceptedList, Action, Context, Generation, Plan, Settings, plan};
use kube_prepull::status::{ListInput, ListState, Report, StatusInput};
use kube_prepull::summary::{Summary, SummaryInput};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const NODES: usize = 5_000;
const IMAGES: usize = 20;
/// The nodes that the report is about.
const REPORTED: usize = 1_000;

/// What became of an image.
#[derive(Clone, Copy)]
enum Fate {
    Warm,
    Pulling,
    /// The registry fails with the same words everywhere.
    Failed,
    /// The registry puts an id of its own into every answer.
    FailedWithId,
    /// So does everything, in places that nobody can know.
    FailedWithNoise,
}

fn main() {
    if std::env::args().any(|argument| argument == "many-images") {
        return many_images::measure();
    }
    measure("warm", |coverage| fill(coverage, "a", |_, _| Fate::Warm));
    let mut warm = Coverage::default();
    fill(&mut warm, "a", |_, _| Fate::Warm);
    sum_up(&warm);
    answer();
    rollout();
    many_images::measure();
    measure("a rollout half done, two generations", |coverage| {
        fill(coverage, "a", |_, _| Fate::Warm);
        fill(coverage, "b", |node, image| if image < node % (IMAGES + 1) { Fate::Warm } else { Fate::Pulling });
    });
    measure("an outage in a rollout, the same words everywhere", |coverage| {
        fill(coverage, "a", |_, _| Fate::Warm);
        fill(coverage, "b", |_, _| Fate::Failed);
    });
    measure("an outage in a rollout, an id in every message", |coverage| {
        fill(coverage, "a", |_, _| Fate::Warm);
        fill(coverage, "b", |_, _| Fate::FailedWithId);
    });
    measure("an outage in a rollout, all messages differ", |coverage| {
        fill(coverage, "a", |_, _| Fate::Warm);
        fill(coverage, "b", |_, _| Fate::FailedWithNoise);
    });
    measure("warm, after 4 generations and outages", |coverage| {
        for rollout in 0..4 {
            let (old, new) = (format!("g{rollout}"), format!("g{}", rollout + 1));
            fill(coverage, &new, |_, _| Fate::FailedWithId);
            fill(coverage, &new, |_, _| Fate::Warm);
            (0..NODES).for_each(|node| coverage.delete(&pod(&old, node, |_, _| Fate::Warm)));
        }
    });
}

/// What became of an image (second) on a node (first).
type FateOf = fn(usize, usize) -> Fate;

/// How long planning, reporting and taking in a change take at times of a rollout, and how much a plan keeps the watch of pods waiting.
fn rollout() {
    let (before, after) = (config(), config_of(IMAGES + 1));
    let nodes: NodeSet = (0..NODES).map(node).collect();
    let old = created(&before, &[], &Coverage::default(), &nodes);
    let mut coverage = Coverage::default();
    fill(&mut coverage, suffix(&old), |_, _| Fate::Warm);
    let new = created(&after, std::slice::from_ref(&old), &coverage, &nodes);
    let generations = [old, new];
    let new = suffix(&generations[1]);
    let times: [(&str, FateOf); 4] = [
        ("begun", |_, _| Fate::Pulling),
        ("half done", |node, image| if image < node % (IMAGES + 1) { Fate::Warm } else { Fate::Pulling }),
        ("in an outage", |_, image| if image % 2 == 0 { Fate::Warm } else { Fate::FailedWithId }),
        ("done", |_, _| Fate::Warm),
    ];
    for (time, fate) in times {
        fill(&mut coverage, new, fate);
        let change = pod(new, 1, |_, _| Fate::FailedWithId);
        let (_, waited) = timed(|| coverage.snapshot_of("tools"));
        let snapshot = coverage.snapshot_of("tools");
        let (_, changed) = timed(|| coverage.apply(&change));
        coverage.apply(&pod(new, 1, fate));
        drop(snapshot);
        let (_, again) = timed(|| (0..100).for_each(|_| coverage.apply(&change)));
        coverage.apply(&pod(new, 1, fate));
        let (planned, took) = timed(|| planned(&after, &generations, &coverage, &nodes));
        let facts = StatusInput {
            namespace: "n".to_owned(),
            lists: vec![ListInput { generations: generations.to_vec(), ..list(after.clone()) }],
            nodes: Some(nodes.clone()),
            ..StatusInput::default()
        };
        let (_, reported) = timed(|| Report::new(&facts, &coverage));
        println!(
            "a rollout {time:<12} planned in {took:>8.1?} ({} actions), the lock held for {waited:.1?}, reported in {reported:>8.1?}, a \
             change taken in in {changed:.1?} after a snapshot, else in {:.1?}",
            planned.actions.len(),
            again / 100
        );
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let done = work();
    (done, started.elapsed())
}

/// What follows the list's name in the name of a generation.
fn suffix(generation: &Generation) -> &str {
    &generation.name["tools-".len()..]
}

/// The generation that a plan creates.
fn created(config: &Config, generations: &[Generation], coverage: &Coverage, nodes: &NodeSet) -> Generation {
    let plan = planned(config, generations, coverage, nodes);
    let created = plan.actions.into_iter().find_map(|action| match action {
        Action::Create { daemon_set, .. } => Some(daemon_set.metadata),
        _ => None,
    });
    generation_of(created.unwrap())
}

fn generation_of(metadata: ObjectMeta) -> Generation {
    Generation::from_metadata(&ObjectMeta { uid: Some("d".to_owned()), ..metadata }).unwrap()
}

fn planned(config: &Config, generations: &[Generation], coverage: &Coverage, nodes: &NodeSet) -> Plan {
    plan_at(config, generations, &[], coverage, nodes, "2026-11-22T18:30:00Z")
}

fn plan_at(
    config: &Config,
    generations: &[Generation],
    tag_checks: &[TagCheck],
    coverage: &Coverage,
    nodes: &NodeSet,
    now: &str,
) -> Plan {
    plan(&Context {
        list: AcceptedList { namespace: "n", label: "tools", config },
        kept: &[],
        edited_at: None,
        refresh_request: None,
        generations,
        tag_checks,
        coverage,
        adoptable: &Coverage::default(),
        nodes: Some(nodes),
        settings: &Settings {
            own_images: OwnImages::of(Some("registry.example.com/kube-prepull:1"), ""),
            ..Settings::default()
        },
        now: now.parse().unwrap(),
    })
}

fn config() -> Config {
    config_of(IMAGES)
}

fn config_of(images: usize) -> Config {
    let images: Vec<String> =
        (0..images).map(|image| format!("{{name: image-{image}, image: {}}}", reference(image))).collect();
    accept(&format!("images: [{}]", images.join(", ")))
}

fn accept(images_yaml: &str) -> Config {
    let data = [("images.yaml".to_owned(), images_yaml.to_owned())].into();
    parse(&ListData { namespace: "n".to_owned(), name: "tools".to_owned(), data, found: None }).config.unwrap()
}

/// Measures how long building a report blocks the watches, how long the HTTP responses take that are made of it, and the peak of
/// memory. One image fails on all nodes, with messages that differ only in their request ids.
fn answer() {
    let mut coverage = Coverage::default();
    let fate = |_, image| if image == 0 { Fate::FailedWithId } else { Fate::Warm };
    (0..REPORTED).for_each(|node| coverage.apply(&pod("a", node, fate)));
    let facts = StatusInput {
        namespace: "n".to_owned(),
        lists: vec![list(config())],
        nodes: Some((0..REPORTED).map(node).collect()),
        ..StatusInput::default()
    };
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let started = Instant::now();
    let report = Arc::new(Report::new(&facts, &coverage));
    let reported = started.elapsed();
    let text = Metrics::default().exposition(Format::OpenMetrics, true, Some(Arc::clone(&report)));
    let reported = started.elapsed() - reported;
    let json = serde_json::to_string_pretty(&*report).unwrap();
    println!(
        "a report on {REPORTED} nodes × {IMAGES} images in {reported:.1?}, {} KB of metrics of it in {reported:.1?}, {} KB of JSON in \
         {:.1?}, with {:.2} MB for the moment",
        text.len() / 1000,
        json.len() / 1000,
        started.elapsed() - reported - reported,
        (MEMORY.peak_usage() - before) as f64 / 1e6
    );
}

fn list(config: Config) -> ListInput {
    ListInput {
        name: "tools".to_owned(),
        state: ListState::Accepted,
        problems: Vec::new(),
        resource_version: None,
        refresh_request: None,
        data_hash: None,
        accepted_at: None,
        config: Some(Arc::new(config)),
        generations: Vec::new(),
        image_caches: Vec::new(),
        ledger: None,
    }
}

/// How long it takes to sum up every image on every node, and how much memory that needs for the moment.
fn sum_up(coverage: &Coverage) {
    let config = config();
    let nodes: NodeSet = (0..NODES).map(node).collect();
    let generations: Vec<Generation> = Vec::new();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let started = Instant::now();
    let sources = SummaryInput {
        list: "tools",
        config: &config,
        generations: &generations,
        coverage,
        nodes: Some(&nodes),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let summary = Summary::new(sources);
    let warm: usize = summary.groups().map(|group| group.images().map(|it| it.counts().warm()).sum::<usize>()).sum();
    assert_eq!(warm, NODES * IMAGES);
    let bytes = MEMORY.peak_usage() - before;
    println!(
        "summed up: {warm} images on nodes in {:.1?}, with {:.2} MB for the moment",
        started.elapsed(),
        bytes as f64 / 1e6
    );
}

fn node(index: usize) -> Node {
    let labels = [("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")];
    Node {
        name: node_name(index),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ready: true,
        ..Node::default()
    }
}

fn node_name(index: usize) -> String {
    format!("ip-10-0-{}-{}.eu-central-1.compute.internal", index / 256, index % 256)
}

fn measure(situation: &str, fill: impl Fn(&mut Coverage)) {
    let before = MEMORY.current_usage();
    let mut coverage = Coverage::default();
    let started = Instant::now();
    fill(&mut coverage);
    let folded = started.elapsed();
    let bytes = MEMORY.current_usage() - before;
    let pods = coverage.pods_of("tools").count();
    println!("{situation:<50} {pods:>6} pods {:>8.2} MB   folded in {folded:.1?}", bytes as f64 / 1e6);
}

fn fill(coverage: &mut Coverage, generation: &str, fate: impl Fn(usize, usize) -> Fate) {
    (0..NODES).for_each(|node| coverage.apply(&pod(generation, node, &fate)));
}

/// A pod as the API server sends it, decoded as the watch decodes it.
fn pod(generation: &str, node: usize, fate: impl Fn(usize, usize) -> Fate) -> SlimPod {
    let uid = format!("{node:08x}-0000-4000-8000-{:0>12}", generation);
    let name = node_name(node);
    let containers = (0..IMAGES).map(|image| json!({"name": format!("image-{image}"), "image": reference(image)}));
    let statuses = (0..IMAGES).map(|image| {
        let (id, state) = status(generation, node, image, fate(node, image));
        json!({"name": format!("image-{image}"), "imageID": id, "state": state})
    });
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": format!("tools-{generation}"), "uid": "d", "controller": true,
    });
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": uid, "uid": uid, "labels": {"kube-prepull.io/list": "tools"}, "ownerReferences": [owner]},
        "spec": {
            "nodeName": name, "containers": containers.collect::<Vec<_>>(),
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        },
        "status": {
            "phase": "Running",
            "initContainerStatuses": [{"name": "install-holder", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": statuses.collect::<Vec<_>>(),
        },
    }))
    .unwrap()
}

fn reference(image: usize) -> String {
    format!("registry.example.com/platform/team/service-{image}:2026.11")
}

fn status(generation: &str, node: usize, image: usize, fate: Fate) -> (String, Value) {
    let failed = |why: String| {
        let message =
            format!("failed to pull and unpack image \"{}\": failed to resolve reference: {why}", reference(image));
        (String::new(), json!({"waiting": {"reason": "ErrImagePull", "message": message}}))
    };
    let unique = node * IMAGES + image;
    match fate {
        Fate::Warm => {
            let id = format!("registry.example.com/platform/team/service-{image}@sha256:{generation:0>62}{image:02}");
            (id, json!({"running": {"startedAt": "2026-11-22T18:00:00Z"}}))
        }
        Fate::Pulling => (String::new(), json!({"waiting": {"reason": "ContainerCreating"}})),
        Fate::Failed => failed("unexpected status from HEAD request: 503 Service Unavailable".to_owned()),
        Fate::FailedWithId => failed(format!("dial tcp: read udp 10.1.2.3:{}->10.0.0.2:53: i/o timeout", unique)),
        Fate::FailedWithNoise => failed(format!("denied (trace {unique}q)")),
    }
}
