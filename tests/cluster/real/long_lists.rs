//! Lists that are too long for one pod. They take minutes, so `make test-faults` runs them.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;

use super::{RealTrial, content};
use crate::trial::within;

const IMAGES: usize = 300;
const LONG: Duration = Duration::from_secs(280);

#[tokio::test]
#[ignore = "make test-faults"]
async fn three_hundred_images_are_held_on_a_node_by_three_pods() {
    let real = RealTrial::begin("long").await;
    let digests: BTreeSet<String> =
        (0..IMAGES).map(|it| real.push(&format!("app{it}:1"), &content(&it.to_string())).as_str().to_owned()).collect();
    let _controller = real.controller().await;
    let images: Vec<String> = (0..IMAGES).map(|it| real.reference(&format!("app{it}:1"))).collect();
    let node = real.nodes[0].name().to_owned();
    let list = json!({"images": images, "nodeSelector": {"kubernetes.io/hostname": node}});
    real.trial.write_list("tools", &list.to_string()).await;
    within(LONG, "all images to be held", async || {
        let held: BTreeSet<String> = real.held_on(&node).into_iter().collect();
        digests.is_subset(&held).then_some(())
    })
    .await;
    let shards: BTreeSet<String> =
        real.trial.daemon_sets().await.iter().map(|it| it.labels()["kube-prepull.io/shard"].clone()).collect();
    assert_eq!(shards.into_iter().collect::<Vec<_>>(), ["0", "1", "2"]);
}
