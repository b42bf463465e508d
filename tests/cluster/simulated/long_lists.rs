//! Lists that are too long for one pod.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::events::note;
use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, images, within};

const IMAGES: usize = 1_000;
const LONG: Duration = Duration::from_secs(240);

/// Images of one repository, whose containers are named by position.
fn list(tags: impl Iterator<Item = usize>) -> String {
    let images: Vec<String> = tags.map(|tag| format!("registry.test/app:{tag}")).collect();
    json!({"images": images}).to_string()
}

/// Waits until the list is warm with exactly these many images in these many DaemonSets, which it returns by name.
async fn warm(trial: &Trial, number: usize, daemon_sets: usize) -> BTreeMap<String, DaemonSet> {
    within(LONG, "the list to be warm", async || {
        let made = trial.daemon_sets().await;
        let held: BTreeSet<String> = made.iter().flat_map(images).collect();
        let report = (made.len() == daemon_sets && held.len() == number).then(|| trial.status())?;
        let list: &Value = &report["lists"][0];
        let rollout = &list["groups"][0]["rollout"];
        (list["warm"] == true && rollout["state"] == "complete").then_some(())?;
        assert_eq!(list["groups"].as_array().map(Vec::len), Some(1), "users see one group");
        assert_eq!(list["groups"][0]["images"].as_array().map(Vec::len), Some(number));
        Some(made.into_iter().map(|it| (it.name_any(), it)).collect())
    })
    .await
}

#[tokio::test]
async fn a_list_of_a_thousand_images_becomes_ten_daemon_sets_and_an_edit_replaces_one() {
    let trial = trial("long").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", &list(0..IMAGES)).await;
    let first = warm(&trial, IMAGES, 10).await;
    let complete = note(&trial, "RolloutComplete").await;
    assert!(complete.contains("1000 images are held"), "{complete}");
    let shards: BTreeSet<&String> = first.values().map(|it| &it.labels()["kube-prepull.io/shard"]).collect();
    assert_eq!(shards.len(), 10);
    // The first image goes, which renames the containers of all others by position, and one is added.
    trial.write_list("tools", &list((1..IMAGES).chain([5_000]))).await;
    let second = warm(&trial, IMAGES, 10).await;
    let kept = second.iter().filter(|(name, made)| {
        first.get(*name).is_some_and(|before| before.metadata.generation == made.metadata.generation)
    });
    assert_eq!(kept.count(), 9);
    trial.write_list("tools", &list(0..IMAGES + 1)).await;
    let rejected = trial.validated("tools", "rejected").await;
    let problems = &rejected.annotations()["kube-prepull.io/problems"];
    assert!(problems.contains("1001 images of one group exceed the limit of 1000"), "{problems}");
}
