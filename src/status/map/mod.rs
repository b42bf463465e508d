//! The report as the controller's page draws it: each image on each node. Pure.
//!
//! ```text
//! Report, the nodes of each group ─► MapReport
//! ```
//! A report names nodes again for each image, and does not name those that are warm. Here each node is named once, sorted by node pool, and
//! all else consists of ranges of these: with 5,000 nodes and 50 images, a hundredth of what the names would take.
//!
//! - [`group_nodes`]: the nodes of each group
//! - [`node_index`]: the numbers of nodes
//! - [`node_pools`]: the node pool of a node
//! - [`ranges`]: sets of numbers

mod group_nodes;
mod node_index;
mod node_pools;
mod ranges;

use jiff::Timestamp;
use serde::Serialize;

use super::report::{GroupReport, ImageReport, ListReport, NodesBehind, NotCounted};
use super::rollout::RolloutReport;
use super::{ListState, Report, StatusInput};
use crate::coverage::Coverage;
use crate::image_cache::status::ImageCacheReport;
use crate::summary::node_state::NodeState;
use crate::text::CleanText;
use group_nodes::GroupNodes;
use node_index::{NodeIndex, PoolOnMap};
use ranges::Ranges;

/// The version of this JSON. It is for the page of the same controller only, so it may change whenever the page does.
const VERSION: u32 = 1;

/// Each image on each node. Its keys are those of [`Report`], but nodes are ranges of the positions in `nodes`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct MapReport {
    pub version: u32,
    pub namespace: CleanText,
    pub time: Timestamp,
    pub nodes_known: bool,
    pub warm: bool,
    /// The nodes of all groups, sorted by node pool.
    pub nodes: Vec<CleanText>,
    /// How many of these each node pool has, in this order.
    pub pools: Vec<PoolOnMap>,
    pub lists: Vec<ListOnMap>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ListOnMap {
    pub namespace: CleanText,
    pub name: CleanText,
    pub state: ListState,
    pub problems: Vec<CleanText>,
    pub warm: bool,
    pub groups: Vec<GroupOnMap>,
    pub image_caches: Vec<ImageCacheReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct GroupOnMap {
    pub name: CleanText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutReport>,
    pub images: Vec<ImageOnMap>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ImageOnMap {
    pub reference: CleanText,
    pub size_bytes: Option<u64>,
    /// How many nodes count.
    pub total: usize,
    pub warm: Ranges,
    pub behind: Vec<StateOnMap>,
    /// Some of the warm ones.
    pub held_by_older: Vec<StateOnMap>,
    pub not_counted: Vec<StateOnMap>,
}

/// Nodes on which an image has the same state for the same reason.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct StateOnMap {
    pub state: NodeState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<CleanText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<CleanText>,
    #[serde(skip_serializing_if = "CleanText::is_empty")]
    pub cause: CleanText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<CleanText>,
    pub nodes: Ranges,
}

impl MapReport {
    /// Draws a report on all lists of these namespaces.
    pub fn new(report: Report, namespaces: &[(&StatusInput, &Coverage)]) -> Self {
        let index = NodeIndex::of(namespaces);
        let lists =
            namespaces.iter().flat_map(|(input, coverage)| input.lists.iter().map(|it| (*input, *coverage, it)));
        let groups = lists.map(|(input, coverage, list)| GroupNodes::of(input, coverage, list, &index));
        let lists = report.lists.into_iter().zip(groups);
        let lists = lists.map(|(list, groups)| ListOnMap::new(list, &groups, &index)).collect();
        let (nodes, pools) = index.into_parts();
        Self {
            version: VERSION,
            namespace: report.namespace,
            time: report.time,
            nodes_known: report.nodes_known,
            warm: report.warm,
            nodes,
            pools,
            lists,
        }
    }
}

impl ListOnMap {
    fn new(list: ListReport, nodes: &GroupNodes, index: &NodeIndex) -> Self {
        let groups = list.groups.into_iter();
        let groups = groups.map(|group| GroupOnMap::new(nodes.get(&group.name), group, index)).collect();
        Self {
            namespace: list.namespace,
            name: list.name,
            state: list.state,
            problems: list.problems,
            warm: list.warm,
            groups,
            image_caches: list.image_caches,
        }
    }
}

impl GroupOnMap {
    fn new(nodes: &[u32], group: GroupReport, index: &NodeIndex) -> Self {
        let images = group.images.into_iter().map(|image| ImageOnMap::new(image, nodes, index)).collect();
        Self { name: group.name, rollout: group.rollout, images }
    }
}

impl ImageOnMap {
    fn new(image: ImageReport, nodes: &[u32], index: &NodeIndex) -> Self {
        let behind = image.behind.iter().map(|it| &it.nodes);
        let not_warm = behind.chain(image.not_counted.iter().map(|it| &it.nodes));
        let not_warm = index.numbers(not_warm.flatten().map(CleanText::as_str));
        let is_warm = |node: &u32| not_warm.binary_search(node).is_err();
        Self {
            reference: image.reference,
            size_bytes: image.size_bytes,
            total: image.nodes.total,
            warm: Ranges::of(nodes.iter().copied().filter(is_warm)),
            behind: image.behind.into_iter().map(|it| StateOnMap::behind(it, index)).collect(),
            held_by_older: image.held_by_older.into_iter().map(|it| StateOnMap::behind(it, index)).collect(),
            not_counted: image.not_counted.into_iter().map(|it| StateOnMap::not_counted(it, index)).collect(),
        }
    }
}

impl StateOnMap {
    fn behind(behind: NodesBehind, index: &NodeIndex) -> Self {
        let NodesBehind { state, reason, message, cause, remedy, nodes } = behind;
        Self { state, reason, message, cause, remedy, nodes: index.ranges(&nodes) }
    }

    fn not_counted(not_counted: NotCounted, index: &NodeIndex) -> Self {
        let NotCounted { state, nodes } = not_counted;
        let cause = CleanText::default();
        Self { state, reason: None, message: None, cause, remedy: None, nodes: index.ranges(&nodes) }
    }
}

#[cfg(test)]
mod tests;
