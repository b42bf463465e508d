//! A node whose disk is full evicts the holder, collects its images, and does so again when it gets another one.
//!
//! It takes minutes, so `make test-faults` runs it.

use serde_json::json;
use test_bed::Node;

use super::RealTrial;
use super::faults::{HEALING, OtherKubelet, Outage};
use crate::prometheus::Monitoring;
use crate::trial::eventually;

/// A kubelet that takes the disk to be full, since what is free of it is less than all, and collects images that are not in use.
fn full_disk(node: &Node) -> OtherKubelet {
    let full = json!({"nodefs.available": "99%"});
    OtherKubelet::of(node, &[("evictionHard", full), ("imageMinimumGCAge", json!("1s"))])
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_full_disk_that_evicts_the_holder_again_and_again_is_reported_and_the_other_node_loses_nothing() {
    let outage = Outage::on(RealTrial::begin_alone("fulldisk").await).await;
    let (fine, full) = (&outage.real.nodes[0], &outage.real.nodes[1]);
    let app = outage.hold("app:1", "app").await;
    let monitoring = Monitoring::start(&outage.real.trial, &[outage.controller.address()]);
    let watch = outage.real.watch(&[&[app.as_str()]]);

    let before = outage.real.held(full);
    let kubelet = full_disk(full);
    let reported = outage.real.trial.reported_within(HEALING, "EvictionLoop").await;
    assert!(reported.contains("the holder was evicted at least 3 times within 1h on 1 node (node2)"), "{reported}");
    // It is noted on the DaemonSet after it is reported.
    let eviction_loops = eventually("status to know of it", async || {
        let eviction_loops = outage.real.trial.status()["lists"][0]["groups"][0]["evictionLoops"].clone();
        eviction_loops.as_array().is_some_and(|nodes| !nodes.is_empty()).then_some(eviction_loops)
    })
    .await;
    assert_eq!(
        (eviction_loops.as_array().unwrap().len(), &eviction_loops[0]["node"]),
        (1, &json!("node2")),
        "{eviction_loops}"
    );
    monitoring.fires("KubePrepullEvictionLoop", &[("list", "tools"), ("group", "default")]).await;

    let failing = outage.real.trial.events("ImageFailing").await;
    assert!(failing.is_empty(), "an eviction is no failure to start: {failing:#?}");

    drop(kubelet);
    outage.await_held(&[&app]).await;
    let after = outage.real.held(full);
    assert!(!after.is_empty() && after.iter().all(|held| !before.contains(held)), "{before:?}, and then {after:?}");
    assert_eq!(outage.real.trial.events("EvictionLoop").await.len(), 1, "reported once");
    // The full node has gaps, which may be too short to be seen.
    let gaps = watch.gaps();
    assert!(gaps.iter().all(|gap| gap.node == full.name()), "{gaps:?}");
    assert!(outage.real.held_on(fine.name()).contains(&app.to_string()));
}
