//! Which digests an ImageCache is created for.
//!
//! During a rollout nodes hold different digests of a tag, and users should not pay for two ImageCaches when a tag moves once.
//! So the digests of an ImageCache remain valid until the newest generation's pods clearly hold others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::coverage::{Coverage, CoveringPod, Hold, Node, PodState};
use crate::list::Config;
use crate::list::config::Group;
use crate::plan::generation::Generation;
use crate::plan::generation::digests::Digest;
use crate::plan::generation::pods::as_listed;
use crate::plan::sharding;

/// For each image (as the list spells it) and architecture, one digest.
pub type Digests = BTreeMap<String, BTreeMap<String, Digest>>;

/// The digests that the newest generations' pods hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldDigests {
    /// On how many nodes each digest is held, by image and architecture.
    digests: BTreeMap<String, BTreeMap<String, BTreeMap<Digest, usize>>>,
    /// Images that are held, although the runtime reports no digest.
    held: BTreeSet<String>,
}

impl HeldDigests {
    /// Counts what the pods of each group's newest generation hold now.
    pub fn of(
        config: &Config,
        list: &str,
        generations: &[Generation],
        coverage: &Coverage,
        nodes: Option<&[Arc<Node>]>,
    ) -> Self {
        let newest = |shard: &Group| {
            let live = generations.iter().filter(|it| !it.deleting && it.is_of(shard));
            live.min_by_key(|generation| generation.newest_first())
        };
        let shards = sharding::split(config, generations);
        let newest: HashMap<&str, &Generation> =
            shards.groups.iter().filter_map(newest).map(|it| (it.name.as_str(), it)).collect();
        let architectures: Option<HashMap<&str, &str>> = nodes
            .map(|nodes| nodes.iter().map(|it| (it.name.as_str(), it.architecture().unwrap_or_default())).collect());
        let mut known = Self::default();
        let mut alike_pods: HashMap<_, (&Generation, &CoveringPod, usize)> = HashMap::new();
        for pod in coverage.pods_of(list).filter(|pod| !pod.deleting && pod.state == PodState::Live) {
            let Some((generation, node)) = newest.get(&*pod.generation).zip(pod.node.as_deref()) else { continue };
            let architecture = architectures.as_ref().map_or(Some(""), |known| known.get(node).copied());
            let Some(architecture) = architecture else { continue };
            // Pods that look alike share their images.
            let alike = (generation.name.as_str(), architecture, pod.images.as_ptr());
            alike_pods.entry(alike).or_insert((*generation, pod, 0)).2 += 1;
        }
        for ((_, architecture, _), (generation, pod, nodes)) in alike_pods {
            for image in pod.images.iter().filter(|image| image.state.hold() == Hold::Running) {
                let listed = as_listed(image, Some(generation));
                match Digest::of_image_id(&image.image_id) {
                    Some(digest) => known.add(listed, architecture, digest, nodes),
                    None => drop(known.held.insert(listed.to_owned())),
                }
            }
        }
        known.expect_all(config, nodes.unwrap_or_default());
        known
    }

    /// Expects the images of a list's ImageCaches of several platforms on all nodes that can run them.
    fn expect_all(&mut self, config: &Config, nodes: &[Arc<Node>]) {
        if config.image_cache.as_ref().is_none_or(|cache| cache.platforms.is_empty()) {
            return;
        }
        for group in &config.groups {
            let able = nodes.iter().filter(|node| node.can_run(&group.placement));
            let architectures: BTreeSet<&str> = able.filter_map(|node| node.architecture()).collect();
            for image in &group.images {
                architectures.iter().for_each(|it| self.expect(image.reference.as_str(), it));
            }
        }
    }

    /// Counts more nodes that hold that digest.
    pub fn add(&mut self, image: &str, architecture: &str, digest: Digest, nodes: usize) {
        let of_image = self.digests.entry(image.to_owned()).or_default();
        *of_image.entry(architecture.to_owned()).or_default().entry(digest).or_default() += nodes;
    }

    /// What counts for one architecture: what its nodes hold or are about to hold. Where it has no such node, all others count,
    /// because registries know an image of several architectures by one digest.
    pub fn of_architecture(&self, architecture: &str) -> Self {
        let of_image = |counts: &BTreeMap<String, BTreeMap<Digest, usize>>| {
            let counts = counts.get(architecture).cloned().unwrap_or_else(|| sum(counts.values()));
            BTreeMap::from([(architecture.to_owned(), counts)])
        };
        let digests = self.digests.iter().map(|(image, counts)| (image.clone(), of_image(counts))).collect();
        Self { digests, held: self.held.clone() }
    }

    /// Notes that nodes of that architecture are about to hold an image.
    pub fn expect(&mut self, image: &str, architecture: &str) {
        self.digests.entry(image.to_owned()).or_default().entry(architecture.to_owned()).or_default();
    }

    /// Whether a node holds the image, so that waiting for its digest is pointless.
    pub fn has_seen(&self, image: &str) -> bool {
        let is_held = |of_image: &BTreeMap<String, BTreeMap<Digest, usize>>| of_image.values().any(|it| !it.is_empty());
        self.held.contains(image) || self.digests.get(image).is_some_and(is_held)
    }

    /// New digests for `images` if those they were created for are outdated, and `None` otherwise. An image without a known
    /// digest is not outdated: it was created from whatever the tag was then ([`Self::learnt`]).
    pub fn outdates(&self, made_for: &Digests, images: &[String]) -> Option<Digests> {
        let moved = images.iter().any(|image| match (made_for.get(image), self.digests.get(image)) {
            (Some(before), Some(now)) => is_over(before, now),
            _ => false,
        });
        moved.then(|| self.brought_up_to_date(made_for, images))
    }

    /// Adds the digests of images without a known digest.
    pub fn learnt(&self, made_for: &Digests, images: &[String]) -> Digests {
        let mut learnt = made_for.clone();
        for image in images.iter().filter(|image| !made_for.contains_key(*image)) {
            let now: BTreeMap<_, _> = self.digests.get(image).into_iter().flatten().filter_map(most).collect();
            learnt.extend((!now.is_empty()).then(|| (image.clone(), now)));
        }
        learnt
    }

    fn brought_up_to_date(&self, made_for: &Digests, images: &[String]) -> Digests {
        let nothing = BTreeMap::new();
        let of = |image: &String| {
            let mut digests = made_for.get(image).unwrap_or(&nothing).clone();
            for (architecture, counts) in self.digests.get(image).into_iter().flatten() {
                let before = digests.get(architecture);
                if before.is_none_or(|before| is_outnumbered(before, counts)) {
                    digests.extend(most((architecture, counts)));
                }
            }
            (image.clone(), digests)
        };
        images.iter().map(of).filter(|(_, digests)| !digests.is_empty()).collect()
    }
}

fn sum<'d>(counts: impl Iterator<Item = &'d BTreeMap<Digest, usize>>) -> BTreeMap<Digest, usize> {
    let mut sum = BTreeMap::new();
    for (digest, count) in counts.flatten() {
        *sum.entry(digest.clone()).or_default() += count;
    }
    sum
}

/// Whether nodes now hold other digests than those known before. Another architecture alone does not count, unless it is the
/// only one that is left.
fn is_over(before: &BTreeMap<String, Digest>, now: &BTreeMap<String, BTreeMap<Digest, usize>>) -> bool {
    let seen = |architecture: &String| now.get(architecture).filter(|counts| !counts.is_empty());
    let outnumbered = before
        .iter()
        .any(|(architecture, digest)| seen(architecture).is_some_and(|counts| is_outnumbered(digest, counts)));
    let none_left = before.keys().all(|architecture| seen(architecture).is_none());
    outnumbered || (none_left && now.values().any(|counts| !counts.is_empty()))
}

/// A digest is valid until another one is on more than twice as many nodes, so that joining and leaving nodes do not change it
/// back and forth.
fn is_outnumbered(digest: &Digest, counts: &BTreeMap<Digest, usize>) -> bool {
    let own = counts.get(digest).copied().unwrap_or_default();
    counts.values().any(|count| *count > 2 * own)
}

/// The digest on most nodes.
fn most((architecture, counts): (&String, &BTreeMap<Digest, usize>)) -> Option<(String, Digest)> {
    let (digest, _) = counts.iter().max_by_key(|(digest, count)| (**count, std::cmp::Reverse((*digest).clone())))?;
    Some((architecture.clone(), digest.clone()))
}
