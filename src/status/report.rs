//! The report, in the form of its JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::moves::{Refresh, Round};
use super::{Facts, ListFacts, ListState};
use crate::coverage::Coverage;
use crate::coverage::node_state::NodeState;
use crate::coverage::requests::Reserved;
use crate::coverage::summary::{Behind, GroupSummary, ImageSummary, Sources, Summary};
use crate::list::Config;
use crate::plan::{Generation, labels};

/// The version of the JSON: it changes when a key goes or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

/// The architecture of nodes that do not tell theirs, or may not be read.
const UNKNOWN_ARCHITECTURE: &str = "unknown";

/// What is warm where. `docs/status.md` says what each key means.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The documentation for users says it.
pub struct Report {
    pub version: u32,
    pub namespace: String,
    pub time: String,
    pub nodes_known: bool,
    pub warm: bool,
    pub requests: Reserved,
    pub lists: Vec<List>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct List {
    pub name: String,
    pub state: ListState,
    pub problems: Vec<String>,
    pub warm: bool,
    pub requests: Reserved,
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Group {
    pub name: String,
    pub generations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<Round>,
    pub refresh: Refresh,
    pub requests: Reserved,
    pub images: Vec<Image>,
    pub thrashing: Vec<Thrashing>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Image {
    pub name: String,
    pub reference: String,
    pub size_bytes: Option<u64>,
    pub digests: BTreeMap<String, BTreeMap<String, usize>>,
    pub nodes: Nodes,
    pub behind: Vec<NodesBehind>,
}

/// How many nodes there are, and how many of them are in which state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Nodes {
    pub total: usize,
    #[serde(flatten)]
    pub by_state: BTreeMap<&'static str, usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct NodesBehind {
    pub state: NodeState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub nodes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Thrashing {
    pub node: String,
    pub generation: String,
    pub last_eviction: String,
}

impl Report {
    /// Sums everything up.
    pub fn new(facts: &Facts, coverage: &Coverage) -> Self {
        let lists: Vec<List> = facts.lists.iter().map(|list| List::new(facts, coverage, list)).collect();
        let labels: Vec<String> = facts.lists.iter().map(|list| labels::list_value(&list.name)).collect();
        Self {
            version: VERSION,
            namespace: facts.namespace.clone(),
            time: facts.now.to_string(),
            nodes_known: facts.nodes.is_some(),
            warm: lists.iter().all(|list| list.warm),
            requests: Reserved::by(labels.iter().flat_map(|label| coverage.pods_of(label))),
            lists,
        }
    }
}

impl List {
    fn new(facts: &Facts, coverage: &Coverage, list: &ListFacts) -> Self {
        let label = labels::list_value(&list.name);
        let groups: Vec<Group> = list.config.as_ref().map_or_else(Vec::new, |config| {
            let summary = Summary::new(Sources {
                list: &label,
                config,
                generations: &list.generations,
                coverage,
                nodes: facts.nodes.as_deref(),
                now: facts.now,
            });
            summary.groups().map(|group| Group::new(facts, list, config, &group)).collect()
        });
        let images_are_warm = groups.iter().flat_map(|group| &group.images).all(Image::is_warm);
        Self {
            name: list.name.clone(),
            state: list.state,
            problems: list.problems.clone(),
            warm: list.state == ListState::Accepted && images_are_warm,
            requests: Reserved::by(coverage.pods_of(&label)),
            groups,
        }
    }
}

impl Group {
    fn new(facts: &Facts, list: &ListFacts, config: &Config, group: &GroupSummary) -> Self {
        let generations: Vec<&Generation> = group.generations().collect();
        let images: Vec<Image> = group.images().map(|image| Image::new(facts, &image)).collect();
        let request = list.refresh_request.as_deref();
        let newest = generations.first().copied();
        let thrashing = group.thrashing().into_iter().map(|thrash| Thrashing {
            node: thrash.node.to_owned(),
            generation: thrash.generation.to_owned(),
            last_eviction: thrash.last.to_string(),
        });
        Self {
            name: group.group.name.to_string(),
            generations: generations.iter().map(|generation| generation.name.clone()).collect(),
            round: Round::new(&generations, &images, facts.now),
            refresh: Refresh::new(&config.refresh, group.group, newest, request, facts.now),
            requests: Reserved::by(group.pods()),
            images,
            thrashing: thrashing.collect(),
        }
    }
}

impl Image {
    fn new(facts: &Facts, image: &ImageSummary) -> Self {
        let (counts, held) = (image.counts(), image.digests());
        let reference = &image.image.reference;
        let digests = held.values().flat_map(|digests| digests.keys().copied());
        Self {
            name: image.image.name.to_string(),
            reference: reference.to_string(),
            size_bytes: facts.sizes.of(digests, &reference.normal_form()),
            digests: held.iter().map(|(architecture, digests)| by_digest(*architecture, digests)).collect(),
            nodes: Nodes {
                total: counts.total(),
                by_state: NodeState::ALL.into_iter().map(|(state, name)| (name, counts.of(state))).collect(),
            },
            behind: image.behind().iter().map(NodesBehind::new).collect(),
        }
    }

    fn is_warm(&self) -> bool {
        self.behind.is_empty()
    }
}

fn by_digest(architecture: Option<&str>, digests: &BTreeMap<&str, usize>) -> (String, BTreeMap<String, usize>) {
    let digests = digests.iter().map(|(digest, nodes)| ((*digest).to_owned(), *nodes)).collect();
    (architecture.unwrap_or(UNKNOWN_ARCHITECTURE).to_owned(), digests)
}

impl NodesBehind {
    fn new(behind: &Behind) -> Self {
        Self {
            state: behind.state,
            reason: behind.why.map(|why| why.reason.to_owned()).filter(|reason| !reason.is_empty()),
            message: behind.why.map(|why| why.message.to_owned()).filter(|message| !message.is_empty()),
            nodes: behind.nodes.iter().map(|node| (*node).to_owned()).collect(),
        }
    }
}
