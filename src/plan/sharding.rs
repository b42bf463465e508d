//! Splits a group with more images than a pod should have into shards, each with a DaemonSet of its own.
//!
//! ```text
//! group ─► claims: the newest generation of a shard keeps its images ─► limits ─► new images fill the shards ─► shards
//! ```
//! Nothing is remembered but the generations: they say which image is in which shard. So an image that is added or removed changes
//! one shard, and the others keep their generations. From here on, the plan treats each shard like a group of its own, and an image
//! that changes its shard like one that changes its group.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::generation::{Generation, content_hash};
use crate::list::Config;
use crate::list::config::{Group, Image};
use crate::list::names::{ResourceName, shortened};
use crate::naming::MAX_LABEL;

/// The list with shards in place of groups, in order. Groups that one pod can hold stay as they are.
pub fn split<'c>(config: &'c Config, generations: &[Generation]) -> Cow<'c, Config> {
    let shards: Vec<Option<Vec<Group>>> = config.groups.iter().map(|group| shards_of(group, generations)).collect();
    if shards.iter().all(Option::is_none) {
        return Cow::Borrowed(config);
    }
    let groups = config.groups.iter().zip(shards);
    let groups = groups.flat_map(|(group, shards)| shards.unwrap_or_else(|| vec![group.clone()]));
    Cow::Owned(Config { groups: groups.collect(), ..config.clone() })
}

/// A group that is split, as the generation was built from it, if it was: with the images that the generation has. `all` are the
/// list's generations.
pub fn as_built(group: &Group, generation: &Generation, all: &[Generation]) -> Option<Group> {
    // If one pod can hold the group, its shards stay as they are; without any, the generation had all images.
    let has_shards = || all.iter().any(|it| it.group == generation.group && it.shard != 0);
    if generation.shard == 0 && group.new_shards() == 1 && !has_shards() {
        return None;
    }
    let names: HashMap<&str, &str> =
        generation.images.iter().map(|(name, reference)| (reference.as_str(), name.as_str())).collect();
    let images = group.images.iter().filter_map(|image| {
        let name = names.get(image.reference.as_str())?;
        Some(Image { name: kept_name(name, image), ..image.clone() })
    });
    Some(group.shard_of(generation.shard, images.collect()))
}

/// `None` if one pod holds the whole group.
fn shards_of(group: &Group, generations: &[Generation]) -> Option<Vec<Group>> {
    let newest = newest_of_shards(group, generations);
    if group.new_shards() <= 1 && newest.iter().all(|generation| generation.shard == 0) {
        return None;
    }
    let shards = Shards::new(group, &newest).into_groups();
    let is_whole = matches!(shards.as_slice(), [only] if only.shard == 0);
    (!is_whole).then_some(shards)
}

/// The newest generation of each of the group's shards, the newest of them first.
fn newest_of_shards<'g>(group: &Group, generations: &'g [Generation]) -> Vec<&'g Generation> {
    let own = generations.iter().filter(|it| !it.deleting && it.group == group.name.as_str());
    let mut own: Vec<&Generation> = own.collect();
    own.sort_by_cached_key(|generation| (generation.newest_first(), generation.shard));
    let mut seen = HashSet::new();
    own.retain(|generation| seen.insert(generation.shard));
    own
}

/// An image in a shard: its index in the group, and the name of the container that holds it already.
#[derive(Clone, Copy, Debug)]
struct Member<'g> {
    index: usize,
    kept_name: Option<&'g str>,
}

/// The images of each shard, in the order of the list.
struct Shards<'g> {
    group: &'g Group,
    members: BTreeMap<u32, Vec<Member<'g>>>,
}

impl<'g> Shards<'g> {
    fn new(group: &'g Group, newest: &[&'g Generation]) -> Self {
        let mut shards = Self { group, members: claims(group, newest) };
        shards.limit(newest);
        shards.fill();
        shards
    }

    /// Takes images from shards that have too many, and all from shards that are too many.
    fn limit(&mut self, newest: &[&Generation]) {
        let (images, most) = (self.group.images.len(), self.group.images_per_pod());
        let (parallel, shards) = (self.group.parallel_pulls, self.group.new_shards());
        let split_for = || {
            let used = newest.iter().filter(|generation| self.members.contains_key(&generation.shard));
            used.map(|generation| generation.parallel_pulls)
        };
        // Only a change of the key splits or joins what exists: a shard whose last image was removed changes no other.
        let splits = self.members.len() < images.min(parallel as usize) && split_for().min() < Some(parallel);
        if split_for().max() > Some(parallel) && self.members.len() > shards {
            let kept: BTreeSet<u32> = self.members.keys().copied().take(shards).collect();
            self.members.retain(|shard, _| kept.contains(shard));
        }
        // Another default alone, in a new version of the controller, moves no image.
        let stays = |shard: u32, members: &[Member]| {
            let built = newest.iter().find(|generation| generation.shard == shard).and_then(|it| it.record.as_ref());
            let unchanged = || match shard == 0 && members.len() == images {
                true => content_hash(self.group),
                false => content_hash(&self.group.shard_of(shard, images_of(self.group, members))),
            };
            !splits && self.group.images_per_pod.is_none() && built.is_some_and(|record| record.content == unchanged())
        };
        // The first shards keep what cannot be divided.
        let (each, mut rest) = if splits { (images / shards, images % shards) } else { (most, 0) };
        let over = self.members.iter().filter(|(shard, members)| members.len() > each && !stays(**shard, members));
        let kept: Vec<(u32, usize)> = over
            .map(|(shard, _)| {
                let more = rest.min(1);
                rest -= more;
                (*shard, each + more)
            })
            .collect();
        for (shard, kept) in kept {
            self.members.entry(shard).and_modify(|members| members.truncate(kept));
        }
    }

    /// Puts each image that is in no shard into the emptiest of those that pull in parallel, else into the first that is not full.
    fn fill(&mut self) {
        let assigned: HashSet<usize> = self.members.values().flatten().map(|member| member.index).collect();
        let most = self.group.images_per_pod();
        for index in (0..self.group.images.len()).filter(|index| !assigned.contains(index)) {
            let size = |shard: u32| self.members.get(&shard).map_or(0, Vec::len);
            let parallel =
                (0..self.group.parallel_pulls).filter(|shard| size(*shard) < most).min_by_key(|it| size(*it));
            let first = || (0..u32::MAX).find(|shard| size(*shard) < most);
            let shard = parallel.or_else(first).unwrap_or_default();
            self.members.entry(shard).or_default().push(Member { index, kept_name: None });
        }
        self.members.values_mut().for_each(|members| members.sort_by_key(|member| member.index));
        self.members.retain(|_, members| !members.is_empty());
    }

    fn into_groups(self) -> Vec<Group> {
        let shards = self.members.iter();
        shards.map(|(shard, members)| self.group.shard_of(*shard, images_of(self.group, members))).collect()
    }
}

/// Which images the shards have already: those with the same reference, and those whose container has another reference now.
fn claims<'g>(group: &Group, newest: &[&'g Generation]) -> BTreeMap<u32, Vec<Member<'g>>> {
    let mut by_reference: HashMap<&str, (u32, &str)> = HashMap::new();
    let mut by_name: HashMap<&str, Vec<(u32, &str)>> = HashMap::new();
    for generation in newest {
        for (name, reference) in &generation.images {
            by_reference.entry(reference).or_insert((generation.shard, name));
            by_name.entry(name).or_default().push((generation.shard, name));
        }
    }
    let same = |image: &Image| by_reference.get(image.reference.as_str()).copied();
    let mut claims: Vec<Option<(u32, &str)>> = group.images.iter().map(same).collect();
    let mut taken: HashSet<(u32, &str)> = claims.iter().flatten().copied().collect();
    for (image, claim) in group.images.iter().zip(&mut claims).filter(|(_, claim)| claim.is_none()) {
        let renewed = by_name.get(image.name.as_str()).into_iter().flatten();
        *claim = renewed.copied().find(|container| taken.insert(*container));
    }
    let mut members: BTreeMap<u32, Vec<Member>> = BTreeMap::new();
    for (index, claim) in claims.into_iter().enumerate() {
        let Some((shard, name)) = claim else { continue };
        members.entry(shard).or_default().push(Member { index, kept_name: Some(name) });
    }
    members
}

/// The images of a shard. Lists name containers by position where images of one repository differ in their tags only, so an image
/// before them would rename all others: a container keeps its name as long as it stays in its shard.
fn images_of(group: &Group, members: &[Member]) -> Vec<Image> {
    let mut taken: HashSet<String> = members.iter().filter_map(|it| it.kept_name).map(str::to_owned).collect();
    let mut named = |member: &Member| {
        let image = &group.images[member.index];
        let name = match member.kept_name {
            Some(name) => kept_name(name, image),
            None => free_name(image, &taken),
        };
        taken.insert(name.to_string());
        Image { name, ..image.clone() }
    };
    members.iter().map(&mut named).collect()
}

fn kept_name(name: &str, image: &Image) -> ResourceName {
    ResourceName::parse(name).unwrap_or_else(|_| image.name.clone())
}

/// The image's own name, or one with a number that no other container of the shard has.
fn free_name(image: &Image, taken: &HashSet<String>) -> ResourceName {
    let numbered = |number: usize| shortened(&format!("{}-{number}", image.name), MAX_LABEL);
    let names = (2..).map(numbered).filter_map(|name| ResourceName::parse(&name).ok());
    let mut free = std::iter::once(image.name.clone()).chain(names).filter(|name| !taken.contains(name.as_str()));
    free.next().unwrap_or_else(|| image.name.clone())
}
