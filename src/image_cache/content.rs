//! The images and settings that a list asks for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::digests::Digests;
use super::object::MAX_IMAGES;
use crate::coverage::{Sizes, digest};
use crate::list::cache_platform::CachePlatform;
use crate::list::config::{Config, GroupName, ImageCache};
use crate::list::reference::ImageReference;
use crate::naming::hash::short_hash;

/// What one ImageCache is created from, except for the digests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shard {
    /// References as the list spells them, at most [`MAX_IMAGES`].
    pub images: Vec<String>,
    /// `namespace:name` of each Secret.
    pub secrets: Vec<String>,
    /// The size that the list sets, in GiB. A size that is computed from nodes' reports is not part of it, because reports change.
    pub size: Option<u32>,
    /// Annotations for the ImageCache.
    pub annotations: BTreeMap<String, String>,
    /// The platform, if the list names any. The annotations say it too, so it is not part of the hash.
    #[serde(skip)]
    pub platform: Option<CachePlatform>,
}

impl Shard {
    /// A hash of all fields.
    pub fn base(&self) -> String {
        // Texts, numbers and maps with text keys are always JSON.
        let json = serde_json::to_vec(self).unwrap_or_else(|error| unreachable!("{error}"));
        short_hash(&json)
    }

    /// The images without a digest.
    pub fn tags(&self) -> impl Iterator<Item = &String> {
        self.images.iter().filter(|image| !image.contains('@'))
    }
}

/// The platforms that a list asks for; `None` alone if it names none.
pub fn platforms(cache: &ImageCache) -> Vec<Option<CachePlatform>> {
    match cache.platforms.as_slice() {
        [] => vec![None],
        named => named.iter().map(|settings| Some(settings.platform)).collect(),
    }
}

/// What a list asks for, for each of its platforms.
pub fn shards(namespace: &str, config: &Config, cache: &ImageCache) -> Vec<Shard> {
    let of = |platform, groups, annotations| of_groups(namespace, config, cache, groups, platform, annotations);
    match cache.platforms.as_slice() {
        [] => of(None, &cache.groups, &cache.annotations),
        named => named.iter().flat_map(|it| of(Some(it.platform), &it.groups, &it.annotations)).collect(),
    }
}

/// The images of groups in the order of the list, each spelling once, split into as many ImageCaches as they need.
fn of_groups(
    namespace: &str,
    config: &Config,
    cache: &ImageCache,
    named: &BTreeSet<GroupName>,
    platform: Option<CachePlatform>,
    annotations: &BTreeMap<String, String>,
) -> Vec<Shard> {
    let groups = || config.groups.iter().filter(|group| named.contains(&group.name));
    let images = groups().flat_map(|group| &group.images).map(|image| image.reference.to_string());
    let secrets = groups().flat_map(|group| &group.image_pull_secrets).chain(&cache.image_pull_secrets);
    let secrets = distinct(secrets.map(|secret| format!("{namespace}:{secret}")));
    let shard = |images: &[String]| Shard {
        images: images.to_vec(),
        secrets: secrets.clone(),
        size: cache.size,
        annotations: annotations.clone(),
        platform,
    };
    distinct(images).chunks(MAX_IMAGES).map(shard).collect()
}

/// The hash of a shard's [`Shard::base`] and of the digests of its images. The list is part of it, because two lists never share
/// an ImageCache.
pub fn hash(namespace: &str, list: &str, base: &str, digests: &Digests) -> String {
    // Texts and maps of texts are always JSON.
    let digests = serde_json::to_string(digests).unwrap_or_else(|error| unreachable!("{error}"));
    short_hash(format!("{namespace}\n{list}\n{base}\n{digests}").as_bytes())
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

/// The bytes that nodes report for each image of a list, as the list spells it.
pub fn sizes(config: &Config, reported: &Sizes) -> BTreeMap<String, u64> {
    let images = config.groups.iter().flat_map(|group| &group.images).map(|image| &image.reference);
    let size = |reference: &ImageReference| {
        // Runtimes report the index of a tag under the tag's name, so the name finds both.
        let pinned = digest(reference.as_str()).filter(|_| reference.is_pinned());
        Some((reference.to_string(), reported.of(pinned, &reference.normal_form())?))
    };
    images.filter_map(size).collect()
}

/// The size of an ImageCache in GiB: as the list sets it, or twice the bytes that nodes report for its images, rounded up.
pub fn size(shard: &Shard, bytes: Option<&BTreeMap<String, u64>>) -> u32 {
    const GIB: u64 = 1 << 30;
    let reported = || {
        let of_images = shard.images.iter().filter_map(|image| bytes?.get(image));
        let twice = of_images.fold(0_u64, |sum, bytes| sum.saturating_add(*bytes)).saturating_mul(2);
        u32::try_from(twice.div_ceil(GIB)).unwrap_or(u32::MAX)
    };
    shard.size.unwrap_or_else(|| reported().clamp(*ImageCache::SIZES.start(), *ImageCache::SIZES.end()))
}
