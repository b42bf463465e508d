//! Random lists.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use crate::list::reference::ImageReference;

pub const IMAGES: [&str; 5] = ["a:1", "a:2", "docker.io/library/a:2", "b:1", "c:1"];
const PLACES: [&str; 3] = ["", ", nodeSelector: {zone: a}", ", tolerations: [{key: gpu, operator: Exists}]"];
/// What makes several shards of a group: with three images, three at most.
const SHARDS: [&str; 6] = ["", "", "", ", imagesPerPod: 1", ", imagesPerPod: 2", ", parallelPulls: 2"];
/// How many shards a group has at most.
pub const MOST_SHARDS: usize = 3;

pub fn list() -> impl Strategy<Value = String> {
    let group = (btree_set(0..IMAGES.len(), 1..4), 0..PLACES.len(), 0..SHARDS.len());
    let groups = btree_map(prop::sample::select(vec!["p", "q", "r"]), group, 1..4).prop_map(|groups| {
        let groups = groups.iter().map(|(name, (images, place, shards))| {
            let mut seen = BTreeSet::new();
            let mut images: Vec<&str> = images.iter().map(|image| IMAGES[*image]).collect();
            images.retain(|image| seen.insert(normal(image)));
            format!("- {{name: {name}, images: [{}]{}{}}}\n", images.join(", "), PLACES[*place], SHARDS[*shards])
        });
        groups.collect::<String>()
    });
    let refresh = prop_oneof![
        Just("every: 8000h"),
        Just("every: 1m"),
        Just("every: 1m, mode: Always"),
        Just("every: 1m, mode: Recreate")
    ];
    (groups, refresh).prop_map(|(groups, refresh)| format!("refresh: {{{refresh}}}\ngroups:\n{groups}"))
}

pub fn normal(image: &str) -> String {
    ImageReference::parse(image).expect("a reference").normal_form()
}
