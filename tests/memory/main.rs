//! What a cluster costs on the heap: bytes while its objects are decoded, and bytes that stay. Objects are as large as those of real
//! clusters.

#![allow(clippy::unwrap_used, missing_docs)]

mod objects;

use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::core::ObjectList;
use kube_prepull::coverage::{Coverage, LabelPool, Node, Sizes, SlimNode, SlimPod};
use kube_prepull::plan::SlimDaemonSet;
use peak_alloc::PeakAlloc;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Objects per page, or of a cluster.
const MANY: usize = 100;

/// Bytes are counted for the whole process, so one test measures at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes at most while something is done, and bytes that stay after it, for each of [`MANY`] objects.
fn per_object<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    let bytes = |now: usize| now.saturating_sub(before) / MANY;
    let (peak, stays) = (bytes(MEMORY.peak_usage()), bytes(MEMORY.current_usage()));
    (result, peak, stays)
}

fn page(objects: impl Iterator<Item = Value>) -> String {
    let items: Vec<Value> = objects.collect();
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}).to_string()
}

fn decoded<K: DeserializeOwned + Clone>(page: &str) -> Vec<K> {
    serde_json::from_str::<ObjectList<K>>(page).unwrap().items
}

#[track_caller]
fn assert_within(what: &str, bytes: usize, most: usize) {
    println!("{what}: {bytes} bytes of at most {most}");
    assert!(bytes <= most, "{what}: {bytes} bytes, and at most {most} are allowed");
}

#[test]
fn a_pod_takes_less_than_its_json_while_it_is_decoded() {
    let _alone = alone();
    let page = page((0..MANY).map(|node| objects::pod("a", node, true)));
    assert!((34_000..42_000).contains(&(page.len() / MANY)), "{} bytes of JSON", page.len() / MANY);
    let (_pods, peak, _) = per_object(|| decoded::<SlimPod>(&page));
    assert_within("a pod while it is decoded", peak, 36_000);
}

#[test]
fn a_node_takes_no_more_than_its_json_while_it_is_decoded() {
    let _alone = alone();
    let page = page((0..MANY).map(objects::node));
    assert!((18_000..24_000).contains(&(page.len() / MANY)), "{} bytes of JSON", page.len() / MANY);
    let (_nodes, peak, _) = per_object(|| decoded::<SlimNode>(&page));
    assert_within("a node while it is decoded", peak, 22_500);
}

#[test]
fn of_a_daemon_set_only_its_own_metadata_and_node_counts_stay() {
    let _alone = alone();
    let page = page((0..MANY).map(objects::daemon_set));
    assert!(page.len() / MANY > 18_000, "{} bytes of JSON", page.len() / MANY);
    let (daemon_sets, _, stays) = per_object(|| decoded::<SlimDaemonSet>(&page));
    assert_eq!(daemon_sets.len(), MANY);
    assert_within("a DaemonSet in a store", stays, 5_000);
}

#[test]
fn pods_that_look_alike_share_nearly_everything() {
    let _alone = alone();
    let pages = ["a", "b"].map(|generation| page((0..MANY).map(|node| objects::pod(generation, node, true))));
    let (coverage, _, stays) = per_object(|| {
        let mut coverage = Coverage::default();
        decoded::<SlimPod>(&pages[0]).iter().for_each(|pod| coverage.apply(pod));
        coverage
    });
    assert_within("the first pods of a list", stays, 1_100);
    let mut coverage = coverage;
    let ((), _, stays) = per_object(|| decoded::<SlimPod>(&pages[1]).iter().for_each(|pod| coverage.apply(pod)));
    assert_within("a pod of another generation on the same node", stays, 1_000);
}

#[test]
fn nodes_share_the_labels_that_they_have_in_common() {
    let _alone = alone();
    let page = page((0..MANY).map(objects::node));
    let (kept, _, stays) = per_object(|| {
        let (mut labels, mut sizes) = (LabelPool::default(), Sizes::default());
        let nodes: Vec<Node> = decoded::<SlimNode>(&page)
            .iter()
            .map(|node| {
                sizes.apply(node);
                Node::sharing(node, &mut labels)
            })
            .collect();
        (nodes, labels, sizes)
    });
    assert_within("a node with 25 labels", stays, 900);
    let (_copies, _, stays) = per_object(|| (kept.0.clone(), kept.2.clone()));
    assert_within("a copy of a node", stays, 250);
}
