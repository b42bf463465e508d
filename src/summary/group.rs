//! The coverage of one group.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::image::ImageSummary;
use super::list::{Summary, SummaryInput};
use super::node_contents::{Belonging, ListedImage, NodeContents, PodHere};
use super::node_state::{Held, ImageOnNode, NodeState, Why};
use super::progress::{GroupProgress, GroupProgressCount};
use super::reported::reported_by;
use crate::coverage::{CoveringPod, EvictionLoop, Node};
use crate::list::config::{Group, Image};
use crate::plan::Generation;
use crate::plan::generation::exclusion::Exclusion;

/// The newest generation of a shard.
#[derive(Debug)]
struct NewestOfShard<'s, 'a> {
    generation: &'a Generation,
    shard: &'s Group,
    exclusion: Exclusion<'a>,
}

impl<'a> NewestOfShard<'_, 'a> {
    /// The label that the generation's pod needs on the node and that is not there, if admission added it.
    fn excluded_by(&self, place: &NodeContents<'a>, pod: Option<&'a CoveringPod>) -> Option<&'a str> {
        let own = |pod: &CoveringPod| *pod.generation == *self.generation.name;
        match (place.node, pod) {
            _ if self.generation.altered.is_some() => None,
            (_, Some(pod)) if !own(pod) => None,
            (Some(node), _) => self.exclusion.on(node),
            (None, Some(pod)) => self.exclusion.of_pod(pod),
            (None, None) => None,
        }
    }
}

impl<'a> Summary<'a> {
    /// The groups of the list.
    pub fn groups(&self) -> impl Iterator<Item = GroupSummary<'_, 'a>> {
        self.sources.config.groups.iter().map(|group| GroupSummary::of(self, group))
    }
}

/// The coverage of one group.
#[derive(Debug)]
pub struct GroupSummary<'s, 'a> {
    summary: &'s Summary<'a>,
    /// The group.
    pub group: &'a Group,
    /// The newest generation of each of its shards, the newest of them first.
    current: Vec<NewestOfShard<'s, 'a>>,
    /// Which of these has an image, by reference.
    wanted: HashMap<&'s str, usize>,
    places: Vec<(&'a str, &'s NodeContents<'a>, Belonging)>,
}

impl<'s, 'a> GroupSummary<'s, 'a> {
    /// The coverage of this group.
    pub(super) fn of(summary: &'s Summary<'a>, group: &'a Group) -> Self {
        let newest = |shard: &'s Group| {
            let generation = summary.newest_first.iter().find(|generation| generation.is_of(shard)).copied()?;
            let pods = summary.sources.coverage.pods_of_generation(summary.sources.list, &generation.name);
            Some(NewestOfShard { generation, shard, exclusion: Exclusion::of(generation, shard, pods) })
        };
        let shards = summary.shards.shards_of(group.name.as_str());
        let mut current: Vec<NewestOfShard> = shards.filter_map(newest).collect();
        current.sort_by_cached_key(|it| it.generation.newest_first());
        let mut wanted = HashMap::new();
        for (index, it) in current.iter().enumerate() {
            let held = it.shard.images.iter().filter(|image| it.generation.holds(image));
            wanted.extend(held.map(|image| (image.reference.as_str(), index)));
        }
        Self { summary, group, current, wanted, places: places(summary, group) }
    }
}

/// The nodes that a group belongs on.
fn places<'s, 'a>(summary: &'s Summary<'a>, group: &Group) -> Vec<(&'a str, &'s NodeContents<'a>, Belonging)> {
    let own = summary.orders_of(group);
    let places = summary.places.iter();
    if summary.nodes_known() {
        return places.filter_map(|(name, place)| Some((*name, place, place.takes(group, own)?))).collect();
    }
    let revision = |place: &NodeContents| place.pods_of(own.iter()).map(PodHere::revision).max();
    let newest = summary.places.values().filter_map(revision).max();
    let belonging = places.filter(|(_, place)| {
        place.leaving.contains(group.name.as_str()) || (newest.is_some() && revision(place) == newest)
    });
    belonging.map(|(name, place)| (*name, place, Belonging::Counted)).collect()
}

impl<'a> GroupSummary<'_, 'a> {
    /// Restricts the summary to some nodes.
    pub fn only_on(mut self, is_wanted: impl Fn(&str) -> bool) -> Self {
        self.places.retain(|(node, ..)| is_wanted(node));
        self
    }

    /// The nodes that it belongs on, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &'a str> {
        self.places.iter().map(|(node, ..)| *node)
    }

    /// How many of its nodes verify that pods may use the images on their disks, as far as their kubelets' versions say.
    pub fn verifying_nodes(&self) -> usize {
        let nodes = self.places.iter().filter_map(|(_, place, _)| place.node);
        nodes.filter(|node| node.verifies_credentials).count()
    }

    /// Its generations that are not being deleted, the newest first.
    pub fn generations(&self) -> impl Iterator<Item = &'a Generation> {
        let all = self.summary.newest_first.iter().copied();
        all.filter(|generation| generation.group == self.group.name.as_str())
    }

    /// The newest generation of each of its shards, the newest of them first. All others are retiring.
    pub fn current(&self) -> impl Iterator<Item = &'a Generation> {
        self.current.iter().map(|it| it.generation)
    }

    /// The pods of its generations, including those that are being deleted.
    pub fn pods(&self) -> impl Iterator<Item = &'a CoveringPod> {
        let SummaryInput { list, coverage, generations, .. } = self.summary.sources;
        let own = generations.iter().filter(|generation| generation.group == self.group.name.as_str());
        own.flat_map(move |generation| coverage.pods_of_generation(list, &generation.name))
    }

    /// How many of its nodes have all images.
    pub fn progress(&self) -> GroupProgress {
        let mut count = GroupProgressCount::default();
        self.images().for_each(|image| count.add(&image));
        count.total()
    }

    /// Its images, in the order of the list. Each is computed when the iterator reaches it.
    pub fn images(&self) -> impl Iterator<Item = ImageSummary<'a>> {
        self.group.images.iter().map(|image| self.image(image))
    }

    /// The nodes on which its holders are evicted again and again for lack of disk.
    pub fn eviction_loops(&self) -> Vec<EvictionLoop<'a>> {
        let names: HashSet<&str> = self.generations().map(|generation| generation.name.as_str()).collect();
        let SummaryInput { coverage, now, .. } = self.summary.sources;
        let seen = coverage.eviction_loops(now).filter(|eviction_loop| names.contains(eviction_loop.generation));
        // What an earlier controller process saw.
        let noted = self.current().flat_map(|newest| {
            let evicted = newest.reported.eviction_loops(now);
            evicted.map(|(node, last)| EvictionLoop { node, generation: newest.name.as_str(), last })
        });
        let mut by_node: BTreeMap<&str, EvictionLoop> = BTreeMap::new();
        for eviction_loop in noted.chain(seen) {
            let known = by_node.entry(eviction_loop.node).or_insert_with(|| eviction_loop.clone());
            if known.last <= eviction_loop.last {
                *known = eviction_loop;
            }
        }
        by_node.into_values().collect()
    }

    /// Whether admission makes pods of its newest generations ask the registry for images that their nodes have.
    pub fn is_always_pulled(&self) -> bool {
        let SummaryInput { list, coverage, .. } = self.summary.sources;
        let pods = |newest: &Generation| coverage.pods_of_generation(list, &newest.name);
        self.current().any(|newest| newest.is_overridden_in_any(pods(newest)))
    }

    fn image(&self, image: &'a Image) -> ImageSummary<'a> {
        let listed = self.summary.listed(image);
        let newest = self.wanted.get(image.reference.as_str()).map(|index| &self.current[*index]);
        let wanted = newest.map(|newest| newest.generation);
        let on = |(name, place, belonging): &(&'a str, &NodeContents<'a>, Belonging)| {
            let held: Vec<Held> = place.held(listed).collect();
            let (state, why) = self.state(place, *belonging, listed, newest, !held.is_empty());
            let is_renewed = || held.iter().any(|held| wanted.is_some_and(|wanted| held.generation == wanted.name));
            let not_renewed =
                if state != NodeState::Warm || is_renewed() { None } else { place.not_renewed(listed, wanted) };
            ImageOnNode {
                node: name,
                architecture: place.node.and_then(Node::architecture),
                state,
                why,
                not_renewed,
                held,
            }
        };
        ImageSummary { image, nodes: self.places.iter().map(on).collect() }
    }
}

impl<'a> GroupSummary<'_, 'a> {
    /// The state of an image on a node. `newest` is the newest generation of its shard, if it has the image, and `is_held` whether any
    /// holds it.
    fn state(
        &self,
        place: &NodeContents<'a>,
        belonging: Belonging,
        image: ListedImage,
        newest: Option<&NewestOfShard<'_, 'a>>,
        is_held: bool,
    ) -> (NodeState, Option<Why<'a>>) {
        if let Belonging::Aside(state) = belonging {
            return (state, None);
        }
        if is_held {
            return (NodeState::Warm, None);
        }
        match belonging {
            Belonging::Cordoned => return (NodeState::Cordoned, None),
            Belonging::Tainted => return (NodeState::Tainted, None),
            Belonging::Counted | Belonging::Aside(_) => {}
        }
        let wanted = newest.map(|newest| newest.generation);
        let in_pod = place.in_the_newest(image, wanted);
        if let Some(label) = newest.and_then(|newest| newest.excluded_by(place, in_pod.map(|(pod, _)| pod))) {
            return (NodeState::Excluded, Some(Why { reason: "NodeSelector", message: label, init: None }));
        }
        in_pod.map_or_else(|| self.no_pod(place, wanted), |(pod, image)| reported_by(pod, image, wanted))
    }

    fn no_pod(&self, place: &NodeContents<'a>, wanted: Option<&'a Generation>) -> (NodeState, Option<Why<'a>>) {
        let Some(wanted) = wanted else { return (NodeState::Waiting, None) };
        if let Some(alteration) = &wanted.altered {
            let message = alteration.by.first().map_or("", String::as_str);
            return (NodeState::Displaced, Some(Why { reason: "Altered", message, init: None }));
        }
        let Summary { sources, youngest_pods, .. } = self.summary;
        let joined = place.node.and_then(|node| node.created);
        let is_replaced = place.leaving.contains(self.group.name.as_str());
        let youngest = youngest_pods.get(wanted.name.as_str()).copied();
        match !is_replaced && wanted.is_overdue(joined, youngest, sources.now) {
            true => (NodeState::Displaced, Some(Why { reason: "Missing", ..Why::default() })),
            false => (NodeState::Waiting, Some(Why { reason: "PodNotCreated", ..Why::default() })),
        }
    }
}
