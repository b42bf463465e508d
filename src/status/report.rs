//! The report. Its fields are the keys of the JSON.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::credentials::CredentialVerification;
use super::discovered::DiscoveredReport;
use super::node_gate::NodeGateReport;
use super::node_names::NodeNames;
use super::rollout::{RefreshReport, RolloutReport};
use super::{Filter, ListInput, ListState, StatusInput};
use crate::coverage::{Coverage, CoveringPod, FailureCause, PULL_FAILURES};
use crate::image_cache::{self, ImageCacheReport};
use crate::list::Config;
use crate::list::discover::found::GroupFound;
use crate::messages::diagnosis::{Diagnosis, explain};
use crate::messages::{excluded_nodes, init_containers};
use crate::naming::labels;
use crate::plan::Generation;
use crate::summary::node_state::NodeState;
use crate::summary::progress::{GroupProgress, GroupProgressCount, furthest_behind};
use crate::summary::reserved::Reserved;
use crate::summary::{Behind, GroupSummary, ImageSummary, Summary};
use crate::text::CleanText;

/// The version of the JSON. It changes when a key is removed or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

/// The architecture of nodes that do not report theirs, or that may not be read.
const UNKNOWN_ARCHITECTURE: &str = "unknown";

/// Where each image is warm. `docs/status.md` documents each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The documentation for users says it.
pub struct Report {
    pub version: u32,
    pub namespace: CleanText,
    pub time: Timestamp,
    pub nodes_known: bool,
    pub warm: bool,
    pub requests: Reserved,
    pub lists: Vec<ListReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ListReport {
    pub namespace: CleanText,
    pub name: CleanText,
    pub state: ListState,
    /// That of its ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<CleanText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_hash: Option<CleanText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    pub problems: Vec<CleanText>,
    pub warm: bool,
    pub requests: Reserved,
    pub groups: Vec<GroupReport>,
    pub image_caches: Vec<ImageCacheReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_gate: Option<NodeGateReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct GroupReport {
    pub name: CleanText,
    pub generations: Vec<CleanText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_shards: Vec<CleanText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutReport>,
    pub refresh: RefreshReport,
    pub requests: Reserved,
    pub images: Vec<ImageReport>,
    pub eviction_loops: Vec<NodeInEvictionLoop>,
    pub always_pull_enforced: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_verification: Option<CredentialVerification>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<CleanText, CleanText>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ImageReport {
    pub name: CleanText,
    pub reference: CleanText,
    pub size_bytes: Option<u64>,
    pub digests: BTreeMap<CleanText, BTreeMap<CleanText, usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_at: Option<Timestamp>,
    pub nodes: NodeCounts,
    pub behind: Vec<NodesBehind>,
    pub held_by_older: Vec<NodesBehind>,
    pub not_counted: Vec<NotCounted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovered: Option<DiscoveredReport>,
}

/// The number of nodes, in total and by state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct NodeCounts {
    pub total: usize,
    #[serde(flatten)]
    pub by_state: BTreeMap<&'static str, usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct NodesBehind {
    pub state: NodeState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<CleanText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<CleanText>,
    #[serde(default, skip_serializing_if = "CleanText::is_empty")]
    pub cause: CleanText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<CleanText>,
    pub nodes: Vec<CleanText>,
}

/// Nodes that are not counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NotCounted {
    pub state: NodeState,
    pub nodes: Vec<CleanText>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct NodeInEvictionLoop {
    pub node: CleanText,
    pub generation: CleanText,
    pub last_eviction: CleanText,
}

impl Report {
    /// Reports everything in one namespace.
    pub fn new(input: &StatusInput, coverage: &Coverage) -> Self {
        Self::of(&[(input, coverage)], &Filter::default())
    }

    /// Reports what the filter selects in several namespaces.
    pub fn of(namespaces: &[(&StatusInput, &Coverage)], filter: &Filter) -> Self {
        let lists =
            || namespaces.iter().flat_map(|(input, coverage)| input.lists.iter().map(|it| (*input, *coverage, it)));
        let pods = lists().flat_map(|(_, coverage, list)| pods_of(coverage, &labels::list_value(&list.name), filter));
        let requests = Reserved::by(pods);
        let lists: Vec<ListReport> =
            lists().filter_map(|(input, coverage, list)| ListReport::new(input, coverage, list, filter)).collect();
        let first = namespaces.first().map(|(input, _)| *input);
        Self {
            version: VERSION,
            namespace: first
                .filter(|_| namespaces.len() == 1)
                .map_or_else(CleanText::default, |input| input.namespace.as_str().into()),
            time: first.map(|input| input.now).unwrap_or_default(),
            nodes_known: namespaces.iter().all(|(input, _)| input.nodes.is_some()),
            warm: lists.iter().all(|list| list.warm),
            requests,
            lists,
        }
    }
}

fn pods_of<'a>(coverage: &'a Coverage, label: &str, filter: &Filter) -> Vec<&'a CoveringPod> {
    coverage.pods_of(label).filter(|pod| pod.node.as_deref().is_some_and(|node| filter.has_node(node))).collect()
}

impl ListReport {
    /// `None` if the filter excludes all of its images.
    fn new(input: &StatusInput, coverage: &Coverage, list: &ListInput, filter: &Filter) -> Option<Self> {
        let label = labels::list_value(&list.name);
        let groups: Vec<GroupReport> = input.summary_of(list, &label, coverage).map_or_else(Vec::new, |summary| {
            let (config, summary) = (summary.config, Summary::new(summary));
            let report = |group: GroupSummary| {
                // A rollout is about all nodes, whatever is shown of them.
                let of_all_nodes = (!filter.nodes.is_empty()).then(|| group.progress());
                let shown = group.only_on(|node| filter.has_node(node));
                GroupReport::new(input, list, config, &shown, of_all_nodes, filter)
            };
            summary.groups().filter_map(report).collect()
        });
        let images_are_warm = groups.iter().flat_map(|group| &group.images).all(ImageReport::is_warm);
        (filter.images.is_empty() || !groups.is_empty()).then(|| Self {
            namespace: input.namespace.as_str().into(),
            name: list.name.as_str().into(),
            state: list.state,
            resource_version: list.resource_version.as_deref().map(CleanText::from),
            data_hash: list.data_hash.as_deref().map(CleanText::from),
            accepted_at: list.accepted_at,
            problems: list.problems.iter().map(CleanText::from).collect(),
            warm: matches!(list.state, ListState::Accepted | ListState::Empty) && images_are_warm,
            requests: Reserved::by(pods_of(coverage, &label, filter)),
            groups,
            image_caches: image_cache::status::of(&list.image_caches, list.ledger.as_ref()),
            node_gate: NodeGateReport::new(input, coverage, list, filter),
        })
    }
}

impl ListReport {
    /// How many nodes have all images of their group, and how many there are, in the group that lacks them on most nodes.
    pub fn nodes_with_all(&self) -> Option<[usize; 2]> {
        let rollouts = self.groups.iter().filter_map(|group| group.rollout.as_ref());
        furthest_behind(rollouts.map(|rollout| [rollout.nodes_with_all, rollout.nodes]))
    }
}

impl GroupReport {
    /// `None` if the filter excludes all of its images.
    fn new(
        input: &StatusInput,
        list: &ListInput,
        config: &Config,
        group: &GroupSummary,
        of_all_nodes: Option<GroupProgress>,
        filter: &Filter,
    ) -> Option<Self> {
        let current: Vec<&Generation> = group.current().collect();
        let older = group.generations().filter(|older| current.iter().all(|newest| newest.name != older.name));
        let generations: Vec<&Generation> = current.iter().copied().chain(older).collect();
        let epochs: HashMap<&str, Timestamp> =
            list.generations.iter().filter_map(|it| Some((it.name.as_str(), it.record.as_ref()?.epoch))).collect();
        let mut count = GroupProgressCount::default();
        let images = group.images().inspect(|image| count.add(image)).filter(|image| filter.has_image(image.image));
        let names = NodeNames::of(group.nodes());
        let found = config.found.as_ref().and_then(|found| found.0.get(group.group.name.as_str()));
        let images: Vec<ImageReport> =
            images.map(|image| ImageReport::new(input, &image, found, &epochs, &names)).collect();
        let eviction_loops =
            group.eviction_loops().into_iter().filter(|eviction_loop| filter.has_node(eviction_loop.node));
        let eviction_loops = eviction_loops.map(|eviction_loop| NodeInEvictionLoop {
            node: eviction_loop.node.into(),
            generation: eviction_loop.generation.into(),
            last_eviction: CleanText::of(eviction_loop.last),
        });
        let request = list.refresh_request.as_deref();
        let on_nodes = group.pods().filter(|pod| pod.node.as_deref().is_some_and(|node| filter.has_node(node)));
        (!images.is_empty()).then(|| Self {
            name: CleanText::of(&group.group.name),
            generations: generations.iter().map(|generation| CleanText::from(&generation.name)).collect(),
            other_shards: current.iter().skip(1).map(|generation| CleanText::from(&generation.name)).collect(),
            rollout: RolloutReport::new(
                &current,
                generations.len() == current.len(),
                of_all_nodes.unwrap_or_else(|| count.total()),
                input.nodes.is_some(),
                input.now,
            ),
            refresh: RefreshReport::new(&config.refresh, group.group, &current, request, input.now),
            requests: Reserved::by(on_nodes),
            images,
            eviction_loops: eviction_loops.collect(),
            always_pull_enforced: group.is_always_pulled(),
            credential_verification: CredentialVerification::new(group),
            left_out: left_out(found),
        })
    }
}

impl GroupReport {
    /// The generations that are retiring, the newest first.
    pub fn older(&self) -> impl Iterator<Item = &CleanText> {
        self.generations.iter().skip(1).filter(|name| !self.other_shards.contains(name))
    }
}

impl ImageReport {
    fn new(
        input: &StatusInput,
        image: &ImageSummary,
        found: Option<&GroupFound>,
        epochs: &HashMap<&str, Timestamp>,
        names: &NodeNames,
    ) -> Self {
        let (counts, held) = (image.counts(), image.digests());
        let reference = &image.image.reference;
        let digests = held.values().flat_map(|digests| digests.keys().copied());
        let on_nodes = |behind: &Behind| NodesBehind::new(behind, reference.as_str(), &input.namespace, names);
        Self {
            name: CleanText::of(&image.image.name),
            reference: CleanText::of(reference),
            size_bytes: input.sizes.of(digests, &reference.normal_form()),
            digests: held.iter().map(|(architecture, digests)| by_digest(*architecture, digests)).collect(),
            nodes: NodeCounts {
                total: counts.total(),
                by_state: NodeState::ALL.into_iter().map(|(state, name)| (name, counts.of(state))).collect(),
            },
            rollout_at: image.held_since(|generation| epochs.get(generation).copied()),
            behind: image.behind().iter().map(on_nodes).collect(),
            held_by_older: image.kept().iter().map(on_nodes).collect(),
            not_counted: not_counted(image, names),
            discovered: found.and_then(|found| found.images.get(reference.as_str())).map(DiscoveredReport::from),
        }
    }

    /// Whether it is warm on all nodes that count.
    pub fn is_warm(&self) -> bool {
        self.behind.is_empty()
    }
}

fn left_out(found: Option<&GroupFound>) -> BTreeMap<CleanText, CleanText> {
    let left_out = found.iter().flat_map(|found| &found.left_out);
    left_out.map(|(image, why)| (CleanText::from(image), CleanText::from(why))).collect()
}

fn not_counted(image: &ImageSummary, names: &NodeNames) -> Vec<NotCounted> {
    let mut nodes: BTreeMap<NodeState, Vec<CleanText>> = BTreeMap::new();
    for it in image.nodes.iter().filter(|it| !it.state.counts()) {
        nodes.entry(it.state).or_default().push(names.get(it.node));
    }
    nodes.into_iter().map(|(state, nodes)| NotCounted { state, nodes }).collect()
}

fn by_digest(architecture: Option<&str>, digests: &BTreeMap<&str, usize>) -> (CleanText, BTreeMap<CleanText, usize>) {
    let digests = digests.iter().map(|(digest, nodes)| (CleanText::from(*digest), *nodes)).collect();
    (architecture.unwrap_or(UNKNOWN_ARCHITECTURE).into(), digests)
}

impl NodesBehind {
    fn new(behind: &Behind, reference: &str, namespace: &str, names: &NodeNames) -> Self {
        let (reason, message) = behind.why.map_or(("", ""), |why| (why.reason, why.message));
        let (what, remedy) = match behind.why.and_then(|why| why.init) {
            Some(failure) => init_containers::explain(&failure.with_cause(FailureCause { reason, message })),
            None => {
                // A container that ended keeps its image on the node, but cannot be started again if the image has to be
                // pulled first.
                let not_pulled = behind.state == NodeState::CannotStart && PULL_FAILURES.contains(&reason);
                let explained = if not_pulled { NodeState::Failed } else { behind.state };
                let Diagnosis { what, remedy, .. } = explain(explained, reason, message, reference);
                (what, remedy.map(|remedy| remedy.replace(excluded_nodes::NAMESPACE, namespace)))
            }
        };
        Self {
            state: behind.state,
            reason: Some(CleanText::from(reason)).filter(|reason| !reason.is_empty()),
            message: Some(CleanText::from(message)).filter(|message| !message.is_empty()),
            cause: what.into(),
            remedy: remedy.map(CleanText::from),
            nodes: behind.nodes.iter().map(|node| names.get(node)).collect(),
        }
    }
}
