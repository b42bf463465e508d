//! The summary of a group with several shards.

use std::sync::Arc;

use serde_json::json;

use super::world::node;
use crate::coverage::{Coverage, Node, SlimPod};
use crate::list::{Config, ListData, parse};
use crate::naming::labels;
use crate::plan::Generation;
use crate::plan::sharding::split;
use crate::summary::{Summary, SummaryInput};

fn config() -> Config {
    let text = "{images: [app:1, app:2, app:3, app:4, app:5], imagesPerPod: 2}".to_owned();
    let data = [("images.yaml".to_owned(), text)].into();
    let list = ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None };
    parse(&list).config.expect("a good list")
}

/// A generation of each shard; its revision is one more than its number.
fn generations(config: &Config) -> Vec<Generation> {
    let some = super::world::generations().remove(0);
    let of = |shard: &crate::list::config::Group| {
        let mut record = some.record.clone().expect("a record");
        record.revision = shard.shard + 1;
        let images = shard.images.iter().map(|it| (it.name.to_string(), it.reference.to_string())).collect();
        let name = format!("tools-{}", shard.shard);
        Generation {
            name,
            group: "default".to_owned(),
            shard: shard.shard,
            record: Some(record),
            images,
            ..some.clone()
        }
    };
    split(config, &[]).groups.iter().map(of).collect()
}

fn pod(generation: &Generation) -> SlimPod {
    let containers: Vec<_> =
        generation.images.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
    let statuses: Vec<_> = (generation.images.iter())
        .map(|(name, image)| json!({"name": name, "imageID": format!("{image}@sha256:1"), "state": {"running": {}}}))
        .collect();
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": generation.name, "uid": "", "controller": true});
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": generation.name, "uid": generation.name, "labels": {labels::LIST: "tools"}, "ownerReferences": [owner],
        },
        "spec": {"nodeName": "n0", "containers": containers},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }))
    .expect("a pod")
}

/// The coverage by a pod of each of these on the node `n0`.
fn coverage(generations: &[Generation]) -> Coverage {
    let mut coverage = Coverage::default();
    generations.iter().for_each(|generation| coverage.apply(&pod(generation)));
    coverage
}

/// The summary of the list a moment after its pods came.
fn summary<'a>(
    config: &'a Config,
    generations: &'a [Generation],
    coverage: &'a Coverage,
    nodes: &'a [Arc<Node>],
) -> Summary<'a> {
    let now = "2026-03-01T12:10:00Z".parse().expect("a time");
    Summary::new(SummaryInput { list: "tools", config, generations, coverage, nodes: Some(nodes), now })
}

#[test]
fn the_images_of_all_shards_are_those_of_the_group() {
    let config = config();
    let mut generations = generations(&config);
    assert_eq!(generations.len(), 3);
    let coverage = coverage(&generations);
    // One that none of the shards needs any more.
    generations.push(Generation { name: "tools-old".to_owned(), shard: 7, record: None, ..generations[0].clone() });
    let nodes = [node("n0"), node("n1")].map(Arc::new);
    let summary = summary(&config, &generations, &coverage, &nodes);
    let groups: Vec<_> = summary.groups().collect();
    let [group] = &groups[..] else { panic!("{} groups", groups.len()) };
    assert_eq!(group.current().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["tools-2", "tools-1", "tools-0"]);
    assert_eq!(group.generations().count(), 4);
    let progress = group.progress();
    assert_eq!((progress.nodes, progress.with_all), (2, 1));
    let warm: Vec<usize> =
        group.images().map(|it| it.counts().of(crate::summary::node_state::NodeState::Warm)).collect();
    assert_eq!(warm, [1; 5]);
}

#[test]
fn an_image_is_looked_for_in_the_pods_of_its_shard_alone() {
    let config = config();
    let generations = generations(&config);
    let coverage = coverage(&generations);
    let nodes = [Arc::new(node("n0"))];
    let summary = summary(&config, &generations, &coverage, &nodes);
    for image in &config.groups[0].images {
        let orders = summary.listed(image).generations;
        assert_eq!(summary.places["n0"].pods_of(orders.iter()).count(), 1, "of {} pods", generations.len());
    }
    assert_eq!(summary.places["n0"].pods_of(summary.orders_of(&config.groups[0]).iter()).count(), 3);
}

#[test]
fn pods_hold_images_although_nothing_is_known_of_their_daemon_sets() {
    let config = config();
    let made = generations(&config);
    let coverage = coverage(&made);
    let nodes = [Arc::new(node("n0"))];
    for known in [&made[..], &made[..1], &[]] {
        let summary = summary(&config, known, &coverage, &nodes);
        let group = summary.groups().next().expect("the group");
        assert!(group.images().all(|image| image.counts().warm() == 1), "{} are known", known.len());
    }
}
