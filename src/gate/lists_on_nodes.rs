//! All lists and nodes at one moment → what to do about gates.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::decision::{ListOnNode, NodeDecision, decide};
use super::is_tainted;
use super::warmth::{self, NodeWarmth};
use crate::coverage::{Coverage, Node};
use crate::list::Config;
use crate::list::config::{NodeGate, TaintKey};
use crate::plan::Generation;
use crate::summary::SummaryInput;

/// A list that has a gate.
#[derive(Clone, Debug)]
pub struct GatedList {
    /// The name of its ConfigMap.
    pub name: String,
    /// The value of its label.
    pub label: String,
    /// The list that is in effect.
    pub config: Arc<Config>,
    /// Its DaemonSets.
    pub generations: Vec<Generation>,
}

impl GatedList {
    /// A list, if it has a gate.
    pub fn new(
        label: &str,
        name: &str,
        config: &Arc<Config>,
        generations: impl FnOnce() -> Vec<Generation>,
    ) -> Option<Self> {
        config.node_gate.as_ref()?;
        let (name, label) = (name.to_owned(), label.to_owned());
        Some(Self { name, label, config: Arc::clone(config), generations: generations() })
    }

    fn gate(&self) -> Option<&NodeGate> {
        self.config.node_gate.as_ref()
    }

    fn has_condition(&self) -> bool {
        self.gate().is_some_and(|gate| gate.condition)
    }
}

/// How far the images of each list are on some nodes.
#[derive(Debug)]
pub struct ListsOnNodes<'a> {
    lists: Vec<(&'a GatedList, &'a NodeGate, HashMap<&'a str, NodeWarmth>)>,
    now: Timestamp,
}

impl<'a> ListsOnNodes<'a> {
    /// Finds out how far the lists are on these nodes.
    pub fn new(lists: &'a [GatedList], nodes: &'a [Arc<Node>], coverage: &'a Coverage, now: Timestamp) -> Self {
        let warmth = |list: &'a GatedList| {
            let gate = list.gate()?;
            let input = SummaryInput {
                list: &list.label,
                config: &list.config,
                generations: &list.generations,
                coverage,
                nodes: Some(nodes),
                now,
            };
            Some((list, gate, warmth::of_list(input, gate, nodes)))
        };
        Self { lists: lists.iter().filter_map(warmth).collect(), now }
    }

    /// What becomes of a node with that taint.
    pub fn decision(&self, node: &Node, taint: &TaintKey) -> NodeDecision<'_> {
        let naming = self.lists.iter().filter(|(_, gate, _)| gate.taint.as_ref() == Some(taint));
        let lists: Vec<ListOnNode> = naming
            .map(|(list, gate, warmth)| ListOnNode {
                list: &list.name,
                gate,
                warmth: warmth.get(node.name.as_str()),
                may_grow: list.config.groups.iter().any(|group| !node.is_selected(&group.placement)),
            })
            .collect();
        decide(node, &lists, self.now)
    }

    /// How far the images of all lists with a condition are on a node; `None` if none of them is for the node.
    pub fn for_condition(&self, node: &Node) -> Option<NodeWarmth> {
        let mut sum = None;
        for (list, _, warmth) in &self.lists {
            if let Some(of_list) = warmth.get(node.name.as_str()).filter(|_| list.has_condition()) {
                sum.get_or_insert_with(NodeWarmth::default).add(of_list);
            }
        }
        sum
    }

    /// How far the images of a list are on a node, if any of its groups is for it.
    pub fn warmth(&self, list: &str, node: &str) -> Option<&NodeWarmth> {
        self.lists.iter().find(|(it, ..)| it.name == list)?.2.get(node)
    }
}

/// The nodes that have one of these taints, each with the taint.
pub fn gated<'n>(
    nodes: impl IntoIterator<Item = &'n Arc<Node>>,
    taints: &BTreeSet<TaintKey>,
) -> Vec<(Arc<Node>, TaintKey)> {
    let tainted = nodes.into_iter().filter(|node| !node.taints.is_empty());
    let of_node = |node: &'n Arc<Node>| {
        taints.iter().filter(move |taint| is_tainted(node, taint)).map(move |taint| (Arc::clone(node), taint.clone()))
    };
    tainted.flat_map(of_node).collect()
}

/// Whether a list has a condition on the nodes that it is for.
pub fn any_condition(lists: &[GatedList]) -> bool {
    lists.iter().any(GatedList::has_condition)
}
