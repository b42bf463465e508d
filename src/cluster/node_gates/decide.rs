//! What is due about gates and conditions. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::written::Written;
use crate::cluster::observed::GateFactsByName;
use crate::coverage::{Coverage, ImagesReady, Node, NodeSet};
use crate::gate::NodeWrite;
use crate::gate::condition::{ConditionWrite, WantedCondition, due};
use crate::gate::decision::{Freed, NodeDecision};
use crate::gate::lists_on_nodes::{GatedList, ListsOnNodes};
use crate::gate::warmth::NodeWarmth;
use crate::list::config::TaintKey;
use crate::messages::node_gates;

/// The most conditions of nodes that are not gated that are written at once, so that a change of all nodes is spread over some minutes.
const CONDITIONS_AT_ONCE: usize = 200;

/// What is known.
pub struct GateSources<'s> {
    /// The lists that have a gate.
    pub lists: &'s [GatedList],
    /// The nodes with a taint of a gate; one for each taint.
    pub gated: &'s [(Arc<Node>, TaintKey)],
    /// All nodes, if the conditions of all are to be compared.
    pub all: Option<&'s NodeSet>,
    /// What is known of these nodes.
    pub facts: &'s GateFactsByName,
    /// The pods of all lists.
    pub coverage: &'s Coverage,
    /// What was written lately.
    pub written: &'s Written,
    /// The namespace of the controller, by which its conditions are recognized.
    pub namespace: &'s str,
    /// The current time.
    pub now: Timestamp,
}

/// What is due.
#[derive(Default)]
pub struct Decided {
    /// Nodes to free.
    pub freed: Vec<FreedNode>,
    /// How many nodes have a taint of a gate.
    pub gated: usize,
    /// Conditions to write.
    pub conditions: Vec<DueCondition>,
    /// When something is due if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// A node that is to be freed.
pub struct FreedNode {
    /// The node.
    pub node: Arc<Node>,
    /// Its UID.
    pub uid: String,
    /// The taint that is removed.
    pub taint: TaintKey,
    /// The lists whose images are missing, if its time is over.
    pub timed_out: Option<Vec<(String, NodeWarmth)>>,
}

/// A condition that is to be written.
pub struct DueCondition {
    /// The name of the node.
    pub node: String,
    /// Its UID.
    pub uid: String,
    /// What it says now.
    pub current: Option<ImagesReady>,
    /// What it is to say; `None`: it is to go.
    pub wanted: Option<WantedCondition>,
}

impl DueCondition {
    /// Which of them are written first: those that say something else, then those that say why, then those that only say it in other words.
    fn urgency(&self) -> u8 {
        match (&self.current, &self.wanted) {
            (Some(current), Some(wanted)) if current.is_true != wanted.is_warm => 0,
            (Some(current), Some(wanted)) if *current.reason == *wanted.reason => 2,
            _ => 1,
        }
    }
}

impl Decided {
    fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

impl GateSources<'_> {
    /// Decides what is due.
    pub fn decide(&self) -> Decided {
        let nodes: NodeSet = match self.all {
            Some(all) => all.clone(),
            None => self.gated.iter().map(|(node, _)| Node::clone(node)).collect(),
        };
        let on_nodes = ListsOnNodes::new(self.lists, &nodes, self.coverage, self.now);
        let mut decided = Decided::default();
        let closed = self.decide_gates(&on_nodes, &mut decided);
        self.decide_conditions(&on_nodes, &nodes, &closed, &mut decided);
        decided
    }

    /// Returns the names of the nodes that have a taint of a gate.
    fn decide_gates(&self, on_nodes: &ListsOnNodes, decided: &mut Decided) -> BTreeSet<String> {
        let mut closed = BTreeSet::new();
        for (node, taint) in self.gated {
            // A node that was replaced by another one since is decided about next time.
            let Some(facts) = self.facts.get(&node.name).filter(|facts| facts.created == node.created) else {
                continue;
            };
            if self.written.has_removed(&facts.uid, taint) {
                continue;
            }
            closed.insert(node.name.clone());
            let timed_out = match on_nodes.decision(node, taint) {
                NodeDecision::Waits { until, .. } => {
                    decided.wake_up_at(until);
                    continue;
                }
                NodeDecision::Free(Freed::TimedOut { lists }) => {
                    Some(lists.into_iter().map(|(list, warmth)| (list.to_owned(), warmth)).collect())
                }
                NodeDecision::Free(Freed::Warm | Freed::NotNeeded) => None,
            };
            if self.written.may_write(NodeWrite::Taint, &facts.uid) {
                let (node, uid) = (Arc::clone(node), facts.uid.clone());
                decided.freed.push(FreedNode { node, uid, taint: taint.clone(), timed_out });
            }
        }
        decided.gated = closed.len();
        closed
    }

    fn decide_conditions(
        &self,
        on_nodes: &ListsOnNodes,
        nodes: &[Arc<Node>],
        closed: &BTreeSet<String>,
        decided: &mut Decided,
    ) {
        let mut due: Vec<DueCondition> = Vec::new();
        for node in nodes {
            let Some(facts) = self.facts.get(&node.name) else { continue };
            let current = self.written.condition(&facts.uid, facts.condition.as_ref());
            let warmth = on_nodes.for_condition(node);
            let wanted = warmth.as_ref().map(|warmth| node_gates::condition(warmth, self.namespace));
            match self.write_of(node, current, wanted.as_ref()) {
                ConditionWrite::Now if self.written.may_write(NodeWrite::Condition, &facts.uid) => {
                    due.push(DueCondition {
                        node: node.name.clone(),
                        uid: facts.uid.clone(),
                        current: current.cloned(),
                        wanted,
                    })
                }
                ConditionWrite::At(at) => decided.wake_up_at(at),
                ConditionWrite::Now | ConditionWrite::Nothing => {}
            }
        }
        due.sort_by_cached_key(|it| (!closed.contains(&it.node), it.urgency()));
        due.truncate(closed.len() + CONDITIONS_AT_ONCE);
        decided.conditions = due;
    }

    fn write_of(&self, node: &Node, current: Option<&ImagesReady>, wanted: Option<&WantedCondition>) -> ConditionWrite {
        match wanted {
            // What was true before the node was lost stays until it is back.
            Some(_) if !node.ready && current.is_some() => ConditionWrite::Nothing,
            Some(wanted) => due(current, wanted, self.now),
            None if current.is_some_and(|current| node_gates::is_by(current, self.namespace)) => ConditionWrite::Now,
            // Another controller's, of another namespace.
            None => ConditionWrite::Nothing,
        }
    }
}
