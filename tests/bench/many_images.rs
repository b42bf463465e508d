//! What a list of many images costs, in pods of 50 of them. Twice the images on the same nodes may take twice as long, not four times.

use std::time::Duration;

use kube_prepull::coverage::{Coverage, NodeSet, SlimPod};
use kube_prepull::list::Config;
use kube_prepull::messages::lists::accepted;
use kube_prepull::plan::generation::tag_check::TagCheck;
use kube_prepull::plan::{Action, Generation, Plan};
use kube_prepull::status::{ListInput, Report, StatusInput};
use serde_json::json;

use crate::{accept, generation_of, list, node, node_name, plan_at, reference, timed};

const NODES: usize = 1_000;
const IMAGES_PER_POD: usize = 50;
/// How far nodes are: as many kinds of pods of each shard.
const KINDS: usize = 4;
const BEGIN: &str = "2026-11-22T18:30:00Z";
const A_DAY_LATER: &str = "2026-11-23T18:30:00Z";

/// Prints what each step takes with twice as many images as before.
pub fn measure() {
    let numbers = [250, 500, 1_000];
    let took: Vec<_> = numbers.into_iter().map(took).collect();
    println!("lists of {numbers:?} images in pods of {IMAGES_PER_POD} on {NODES} nodes:");
    for (step, (name, _)) in took[0].iter().enumerate() {
        let times: Vec<Duration> = took.iter().map(|steps| steps[step].1).collect();
        let ratios: Vec<String> =
            times.windows(2).map(|it| format!("×{:.1}", it[1].as_secs_f64() / it[0].as_secs_f64())).collect();
        let times: Vec<String> = times.iter().map(|time| format!("{time:>10.1?}")).collect();
        println!("  {name:<46} {}   {}", times.join(" "), ratios.join(" "));
    }
}

fn took(images: usize) -> Vec<(&'static str, Duration)> {
    let nodes: NodeSet = (0..NODES).map(node).collect();
    let (before, after, renamed) = (config(images, "a", ""), config(images, "b", ""), config(images, "b", "new/"));
    let mut coverage = Coverage::default();
    let mut generations = created(&plan_at(&before, &[], &[], &coverage, &nodes, BEGIN));
    let (_, folded) = timed(|| fill(&mut coverage, &generations, images, |_, _| true));
    let (edited, edit) = timed(|| plan_at(&after, &generations, &[], &coverage, &nodes, BEGIN));
    let (due, refresh) = timed(|| plan_at(&before, &generations, &[], &coverage, &nodes, A_DAY_LATER));
    let checks = tag_checks(&due);
    let (_, checked) = timed(|| plan_at(&before, &generations, &checks, &coverage, &nodes, A_DAY_LATER));
    let new = created(&edited);
    generations.extend(new.iter().cloned());
    let (_, begun) = timed(|| plan_at(&after, &generations, &[], &coverage, &nodes, BEGIN));
    fill(&mut coverage, &new, images, |kind, image| image % IMAGES_PER_POD < kind * IMAGES_PER_POD / KINDS);
    let (_, half_done) = timed(|| plan_at(&after, &generations, &[], &coverage, &nodes, BEGIN));
    let facts = StatusInput {
        namespace: "n".to_owned(),
        lists: vec![ListInput { generations, ..list(after.clone()) }],
        nodes: Some(nodes.clone()),
        ..StatusInput::default()
    };
    let (_, reported) = timed(|| Report::new(&facts, &coverage));
    let (_, words) = timed(|| accepted(&renamed, &[], Some(&after), ""));
    vec![
        ("pods of a generation taken in", folded),
        ("an edit of all shards planned", edit),
        ("a refresh planned", refresh),
        ("the same while tag checks run", checked),
        ("a rollout of all shards planned, just begun", begun),
        ("the same half done", half_done),
        ("reported", reported),
        ("an edit of all images in words", words),
    ]
}

fn config(images: usize, annotation: &str, folder: &str) -> Config {
    let images: Vec<String> =
        (0..images).map(|image| format!("{{name: image-{image}, image: {folder}{}}}", reference(image))).collect();
    accept(&format!(
        "{{imagesPerPod: {IMAGES_PER_POD}, podAnnotations: {{made: {annotation}}}, refresh: {{every: 1h}}, images: [{}]}}",
        images.join(", ")
    ))
}

fn created(plan: &Plan) -> Vec<Generation> {
    let created = plan.actions.iter().filter_map(|action| match action {
        Action::Create { daemon_set, .. } => Some(generation_of(daemon_set.metadata.clone())),
        _ => None,
    });
    created.collect()
}

/// The tag checks that a plan starts, without pods yet.
fn tag_checks(plan: &Plan) -> Vec<TagCheck> {
    let started = plan.actions.iter().filter_map(|action| match action {
        Action::CheckTags { daemon_set } => {
            let mut metadata = daemon_set.metadata.clone();
            metadata.uid = metadata.name.clone();
            TagCheck::from_metadata(&metadata, &[])
        }
        _ => None,
    });
    started.collect()
}

/// Adds a pod of each generation on each node. `is_held` says which images a kind of pods holds.
fn fill(coverage: &mut Coverage, generations: &[Generation], images: usize, is_held: impl Fn(usize, usize) -> bool) {
    for generation in generations {
        let own: Vec<usize> =
            (0..images).filter(|image| generation.images.contains_key(&format!("image-{image}"))).collect();
        let kinds: Vec<SlimPod> = (0..KINDS).map(|kind| pod(generation, &own, |image| is_held(kind, image))).collect();
        for node in 0..NODES {
            let mut pod = kinds[node % KINDS].clone();
            pod.metadata.uid = Some(format!("{node:08x}-{}", generation.name));
            pod.spec.node_name = Some(node_name(node));
            coverage.apply(&pod);
        }
    }
}

fn pod(generation: &Generation, images: &[usize], is_held: impl Fn(usize) -> bool) -> SlimPod {
    let containers = images.iter().map(|image| json!({"name": format!("image-{image}"), "image": reference(*image)}));
    let statuses = images.iter().map(|image| match is_held(*image) {
        true => json!({
            "name": format!("image-{image}"), "imageID": format!("sha256:{image:064x}"),
            "state": {"running": {"startedAt": "2026-11-22T18:00:00Z"}},
        }),
        false => json!({"name": format!("image-{image}"), "state": {"waiting": {"reason": "ContainerCreating"}}}),
    });
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": generation.name, "uid": "d", "controller": true});
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "p", "labels": {"kube-prepull.io/list": "tools"}, "ownerReferences": [owner],
            "annotations": {"kube-prepull.io/pull-policies": generation.template},
        },
        "spec": {"nodeName": "", "containers": containers.collect::<Vec<_>>()},
        "status": {
            "phase": "Running",
            "initContainerStatuses": [{"name": "install-holder", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": statuses.collect::<Vec<_>>(),
        },
    }))
    .unwrap()
}
