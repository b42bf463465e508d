//! Which images are in which shard: a function of the list and its generations.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::simulation::generation;
use super::super::{accepted, at, named, settings};
use crate::list::Config;
use crate::plan::daemon_set::build;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, content_hash};
use crate::plan::sharding::split;
use crate::plan::{Generation, Record};

/// A list of images of one repository, whose containers are named by position.
fn list(tags: &[u32], keys: &str) -> Config {
    let images: Vec<String> = tags.iter().map(|tag| format!("app:{tag}")).collect();
    accepted(&format!("{{images: [{}]{keys}}}", images.join(", ")))
}

/// The tags in each shard.
fn shards(config: &Config, generations: &[Generation]) -> BTreeMap<u32, Vec<u32>> {
    let split = split(config, generations);
    let tag = |reference: &str| reference.strip_prefix("app:").and_then(|tag| tag.parse().ok()).expect("a tag");
    let images = split.groups.iter().map(|shard| {
        (shard.shard, shard.images.iter().map(|image| tag(image.reference.as_str())).collect::<Vec<u32>>())
    });
    images.collect()
}

/// Creates what is missing, as the plan does, and deletes what no shard needs any more. Returns how many were created.
fn roll_out(config: &Config, generations: &mut Vec<Generation>) -> usize {
    let split = split(config, generations).into_owned();
    let revision = 1 + generations.iter().map(Generation::revision).max().unwrap_or_default();
    let is_current = |it: &Generation| {
        let content = it.record.as_ref().map(|record| record.content.clone());
        split.groups.iter().any(|shard| it.is_of(shard) && content == Some(content_hash(shard)))
    };
    let missing = split.groups.iter().filter(|shard| {
        !generations
            .iter()
            .any(|it| it.is_of(shard) && it.record.as_ref().is_some_and(|record| record.content == content_hash(shard)))
    });
    let created = missing.map(|shard| {
        let record = Record {
            revision,
            content: content_hash(shard),
            epoch: at("2026-03-01T12:00:00Z"),
            spread_seconds: 0,
            holder_image: settings().own_images.holder,
            format: FORMAT,
            folder: Default::default(),
            refresh_request: None,
            pulled_always: PulledAlways::all_of(shard),
            gate_taints: Default::default(),
        }
        .with_own_folder("tools", shard, &settings().seed);
        let mut daemon_set = build(named(config), shard, &record, &settings());
        daemon_set.metadata.uid = daemon_set.metadata.name.clone();
        generation(&daemon_set).expect("a generation")
    });
    let created: Vec<Generation> = created.collect();
    let number = created.len();
    generations.retain(is_current);
    generations.extend(created);
    number
}

fn rolled_out(config: &Config) -> Vec<Generation> {
    let mut generations = Vec::new();
    roll_out(config, &mut generations);
    generations
}

/// The content of the list's generations, by shard.
fn contents(generations: &[Generation]) -> BTreeMap<u32, String> {
    let content = |it: &Generation| it.record.as_ref().map(|record| record.content.clone()).expect("a record");
    generations.iter().map(|it| (it.shard, content(it))).collect()
}

fn tags(numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
    numbers.into_iter().collect()
}

#[test]
fn a_group_that_one_pod_can_hold_is_not_split() {
    for images in [1, 99, 100] {
        let config = list(&tags(0..images), "");
        assert!(matches!(split(&config, &[]), std::borrow::Cow::Borrowed(_)), "{images}");
        assert!(matches!(split(&config, &rolled_out(&config)), std::borrow::Cow::Borrowed(_)), "{images}");
    }
    assert!(matches!(split(&list(&[1], ", parallelPulls: 4"), &[]), std::borrow::Cow::Borrowed(_)));
}

#[test]
fn a_group_that_grows_opens_a_shard_and_leaves_the_first_alone() {
    let mut generations = rolled_out(&list(&tags(0..100), ""));
    let before = contents(&generations);
    // Even where the new image renames the containers of all others.
    let config = list(&tags([100].into_iter().chain(0..100)), "");
    assert_eq!(roll_out(&config, &mut generations), 1);
    assert_eq!(contents(&generations)[&0], before[&0]);
    assert_eq!(shards(&config, &generations), [(0, tags(0..100)), (1, vec![100])].into());
}

#[test]
fn new_images_fill_the_first_shard_that_is_not_full_and_shards_are_not_joined() {
    let mut generations = rolled_out(&list(&tags(0..9), ", imagesPerPod: 3"));
    let config = list(&[0, 4, 6, 7, 8], ", imagesPerPod: 3");
    roll_out(&config, &mut generations);
    assert_eq!(shards(&config, &generations), [(0, vec![0]), (1, vec![4]), (2, vec![6, 7, 8])].into());
    let config = list(&[0, 4, 6, 7, 8, 20, 21, 22], ", imagesPerPod: 3");
    assert_eq!(shards(&config, &generations), [(0, vec![0, 20, 21]), (1, vec![4, 22]), (2, vec![6, 7, 8])].into());
}

#[test]
fn an_image_whose_tag_changes_stays_in_its_shard() {
    let config = accepted("{images: [a:1, b:1, c:1, d:1], imagesPerPod: 2}");
    let mut generations = rolled_out(&config);
    let before = contents(&generations);
    let edited = accepted("{images: [a:1, b:1, c:2, d:1], imagesPerPod: 2}");
    assert_eq!(roll_out(&edited, &mut generations), 1);
    assert_eq!(contents(&generations)[&0], before[&0]);
    assert_ne!(contents(&generations)[&1], before[&1]);
}

/// What a release without shards makes of a list.
fn in_one_daemon_set(config: &Config) -> Vec<Generation> {
    let short = rolled_out(&list(&[0], ""));
    let record = short[0].record.clone().expect("a record");
    let whole = &config.groups[0];
    let record = Record { content: content_hash(whole), pulled_always: PulledAlways::all_of(whole), ..record };
    let mut daemon_set = build(named(config), whole, &record, &settings());
    daemon_set.metadata.uid = Some("u".to_owned());
    vec![generation(&daemon_set).expect("a generation")]
}

#[test]
fn a_shard_from_before_there_was_a_limit_is_split_when_containers_are_renamed() {
    let named = |prefix: &str| {
        let images: Vec<_> =
            (0..300).map(|number| format!("{{name: {prefix}{number}, image: 'app:{number}'}}")).collect();
        accepted(&format!("images: [{}]", images.join(", ")))
    };
    let generations = in_one_daemon_set(&named("a"));
    assert_eq!(shards(&named("a"), &generations).len(), 1);
    assert_eq!(shards(&named("b"), &generations).len(), 3);
}

#[test]
fn a_shard_from_before_there_was_a_limit_stays_until_its_images_change() {
    let longer = list(&tags(0..300), "");
    let generations = in_one_daemon_set(&longer);
    assert!(matches!(split(&longer, &generations), std::borrow::Cow::Borrowed(_)));
    let wanted = list(&tags(0..300), ", imagesPerPod: 100");
    assert_eq!(shards(&wanted, &generations).len(), 3, "whoever asks for it gets it");
    let edited = list(&tags(1..301), "");
    let shards = shards(&edited, &generations);
    assert_eq!(shards.values().map(Vec::len).collect::<Vec<_>>(), [100, 100, 100]);
}

#[test]
fn images_are_dealt_to_the_pods_that_pull_in_parallel() {
    let config = list(&tags(0..10), ", parallelPulls: 4");
    let dealt = [(0, vec![0, 4, 8]), (1, vec![1, 5, 9]), (2, vec![2, 6]), (3, vec![3, 7])];
    assert_eq!(shards(&config, &[]), dealt.into());
    assert_eq!(shards(&list(&[1, 2], ", parallelPulls: 4"), &[]), [(0, vec![1]), (1, vec![2])].into());
    let sizes = |config: &Config| shards(config, &[]).values().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&list(&tags(0..7), ", parallelPulls: 2, imagesPerPod: 2")), [2, 2, 2, 1]);
}

#[test]
fn a_change_of_the_parallel_pulls_splits_and_joins() {
    let with = |parallel: u32| list(&tags(0..20), &format!(", parallelPulls: {parallel}"));
    let mut generations = rolled_out(&with(1));
    for parallel in [4, 2, 10, 1] {
        roll_out(&with(parallel), &mut generations);
        let shards = shards(&with(parallel), &generations);
        assert_eq!(shards.len(), parallel as usize);
        assert!(shards.values().all(|images| images.len() == 20 / parallel as usize), "{shards:?}");
        assert_eq!(roll_out(&with(parallel), &mut generations), 0);
    }
    for (images, before, after) in [(4, 2, 3), (12, 6, 10), (7, 1, 5)] {
        let with = |parallel: usize| list(&tags(0..images), &format!(", parallelPulls: {parallel}"));
        let mut generations = rolled_out(&with(before));
        roll_out(&with(after), &mut generations);
        assert_eq!(shards(&with(after), &generations).len(), after, "{images} images do not divide evenly");
        assert_eq!(roll_out(&with(after), &mut generations), 0);
    }
    // As many as are needed for their number are enough.
    let long = |parallel: u32| list(&tags(0..20), &format!(", imagesPerPod: 2, parallelPulls: {parallel}"));
    let mut generations = rolled_out(&long(1));
    assert_eq!(roll_out(&long(4), &mut generations), 0);
}

/// A list, and edits of it.
fn edits() -> impl Strategy<Value = (Vec<u32>, Vec<(bool, usize)>, u32, u32)> {
    let list = (1..12usize).prop_map(|length| tags(0..u32::try_from(length).expect("few")));
    (list, prop::collection::vec((any::<bool>(), 0..16usize), 1..12), 1..4u32, 1..4u32)
}

proptest! {
    #[test]
    fn an_image_that_is_added_or_removed_changes_one_shard(
        (mut tags, edits, images_per_pod, parallel) in edits(),
    ) {
        let keys = format!(", imagesPerPod: {images_per_pod}, parallelPulls: {parallel}");
        let mut generations = rolled_out(&list(&tags, &keys));
        let mut next = 100;
        for (adds, place) in edits {
            if adds || tags.len() == 1 {
                tags.insert(place.min(tags.len()), next);
                next += 1;
            } else {
                tags.remove(place % tags.len());
            }
            let (config, before) = (list(&tags, &keys), contents(&generations));
            let shards = shards(&config, &generations);
            // Every image is in one shard, in the order of the list, and none has too many.
            let mut all: Vec<u32> = shards.values().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(&all, &{ let mut tags = tags.clone(); tags.sort_unstable(); tags });
            let index = |tag: &u32| tags.iter().position(|it| it == tag);
            prop_assert!(shards.values().all(|images| images.is_sorted_by_key(index)));
            prop_assert!(shards.values().all(|images| (1..=images_per_pod as usize).contains(&images.len())));
            let was_alone = before.len() == 1 && before.contains_key(&0);
            let created = roll_out(&config, &mut generations);
            prop_assert!(created <= 1, "{created} DaemonSets were created");
            prop_assert_eq!(roll_out(&config, &mut generations), 0, "it is stable");
            let after = contents(&generations);
            let shards: BTreeSet<&u32> = before.keys().chain(after.keys()).collect();
            let changed = shards.into_iter().filter(|shard| before.get(shard) != after.get(shard)).count();
            // What one pod holds is named by position again.
            let is_alone = after.len() == 1 && after.contains_key(&0);
            prop_assert!(changed <= 1 || was_alone || is_alone, "{before:?}\n{after:?}");
        }
    }

    #[test]
    fn a_rollout_that_was_interrupted_ends_with_the_same_shards(
        length in 1..30u32, images_per_pod in 1..6u32, parallel in (1..5u32, 1..5u32), created in any::<u32>(), changes in any::<bool>(),
    ) {
        let with = |parallel: u32| list(&tags(0..length), &format!(", imagesPerPod: {images_per_pod}, parallelPulls: {parallel}"));
        let config = with(parallel.1);
        let before = if changes { rolled_out(&with(parallel.0)) } else { Vec::new() };
        let mut after = before.clone();
        roll_out(&config, &mut after);
        let wanted = shards(&config, &after);
        // Any of the new ones exist, beside all of those before.
        let new = after.iter().filter(|it| before.iter().all(|old| old.name != it.name)).enumerate();
        let some = new.filter(|(index, _)| created >> (index % 32) & 1 == 1).map(|(_, it)| it.clone());
        let halfway: Vec<Generation> = before.iter().cloned().chain(some).collect();
        prop_assert_eq!(shards(&config, &halfway), wanted);
    }
}
