//! The part of the report about nodes that wait for their images.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Filter, ListInput, StatusInput};
use crate::coverage::{Coverage, Node};
use crate::gate::decision::{Freed, NodeDecision};
use crate::gate::is_tainted;
use crate::gate::lists_on_nodes::{GatedList, ListsOnNodes};
use crate::gate::warmth::NodeWarmth;
use crate::list::config::TaintKey;
use crate::messages::node_gates;
use crate::naming::labels;
use crate::text::CleanText;

/// The gate of a list, and the nodes that it keeps closed now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The documentation for users says it.
pub struct NodeGateReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taint: Option<CleanText>,
    pub condition: bool,
    pub nodes: Vec<GatedNode>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct GatedNode {
    pub node: CleanText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub until: Timestamp,
    pub images: usize,
    pub warm: usize,
    pub waiting_for: CleanText,
}

impl NodeGateReport {
    /// The gate of a list, if it has one.
    pub fn new(input: &StatusInput, coverage: &Coverage, list: &ListInput, filter: &Filter) -> Option<Self> {
        let config = list.config.as_ref()?;
        let gate = config.node_gate.as_ref()?;
        let nodes =
            gate.taint.as_ref().and_then(|taint| nodes(input, coverage, list, taint, filter)).unwrap_or_default();
        Some(Self { taint: gate.taint.as_ref().map(CleanText::of), condition: gate.condition, nodes })
    }
}

/// The nodes that have the taint and wait for this list; `None` if no node has it.
fn nodes(
    input: &StatusInput,
    coverage: &Coverage,
    list: &ListInput,
    taint: &TaintKey,
    filter: &Filter,
) -> Option<Vec<GatedNode>> {
    let tainted = input.nodes.iter().flat_map(|nodes| nodes.iter());
    let tainted: Vec<Arc<Node>> =
        tainted.filter(|node| is_tainted(node, taint) && filter.has_node(&node.name)).cloned().collect();
    if tainted.is_empty() {
        return None;
    }
    let label = labels::list_value(&list.name);
    let gated = GatedList::new(&label, &list.name, list.config.as_ref()?, || list.generations.clone())?;
    // Other lists may wait longer for the same node.
    let gates = input.lists.iter().filter_map(|it| it.config.as_ref()?.node_gate.as_ref());
    let longest = gates.filter(|gate| gate.taint.as_ref() == Some(taint)).map(|gate| gate.timeout).max()?;
    let lists = std::slice::from_ref(&gated);
    let on_nodes = ListsOnNodes::new(lists, &tainted, coverage, input.now);
    let waiting = tainted.iter().filter_map(|node| {
        let last = node.created.and_then(|created| created.checked_add(longest).ok());
        let until = match on_nodes.decision(node, taint) {
            NodeDecision::Waits { until } => last.map_or(until, |last| last.max(until)),
            // If its time is over, nobody may remove the taint, or no controller runs.
            NodeDecision::Free(Freed::TimedOut { .. }) => last?,
            NodeDecision::Free(Freed::Warm | Freed::NotNeeded) => return None,
        };
        let warmth = on_nodes.warmth(&list.name, &node.name).cloned();
        Some(GatedNode::new(node, until, &warmth.unwrap_or_default()))
    });
    Some(waiting.collect())
}

impl GatedNode {
    fn new(node: &Node, until: Timestamp, warmth: &NodeWarmth) -> Self {
        Self {
            node: node.name.as_str().into(),
            since: node.created,
            until,
            images: warmth.images,
            warm: warmth.warm,
            waiting_for: node_gates::progress(warmth).into(),
        }
    }
}
