//! What is due about gates and conditions. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::written::Written;
use crate::cluster::observed::{GateFacts, GateFactsByName};
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

/// When to check again a taint that was removed and is still observed.
const REMOVED_AGAIN: SignedDuration = SignedDuration::from_secs(5);

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
    /// Whether there are more of them than are written at once.
    pub more: bool,
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
        let gated: Vec<Arc<Node>>;
        let nodes: &[Arc<Node>] = match self.all {
            Some(all) => all,
            None => {
                gated = self.distinct();
                &gated
            }
        };
        let on_nodes = ListsOnNodes::new(self.lists, nodes, self.coverage, self.now);
        let mut decided = Decided::default();
        let closed = self.decide_gates(&on_nodes, &mut decided);
        self.decide_conditions(&on_nodes, nodes, &closed, &mut decided);
        decided
    }

    /// What is known of a node. One that was replaced by another one of its name since is decided about next time.
    fn facts_of(&self, node: &Node) -> Option<&GateFacts> {
        self.facts.get(&node.name).map(|facts| &**facts).filter(|facts| facts.created == node.created)
    }

    /// The nodes with a taint of a gate, each once.
    fn distinct(&self) -> Vec<Arc<Node>> {
        let by_name: BTreeMap<&str, &Arc<Node>> =
            self.gated.iter().map(|(node, _)| (node.name.as_str(), node)).collect();
        by_name.into_values().cloned().collect()
    }

    /// Returns the names of the nodes that have a taint of a gate.
    fn decide_gates(&self, on_nodes: &ListsOnNodes, decided: &mut Decided) -> BTreeSet<String> {
        let mut closed = BTreeSet::new();
        for (node, taint) in self.gated {
            let Some(facts) = self.facts_of(node) else { continue };
            if self.written.has_removed(&facts.uid, taint) {
                // Somebody may have put it back since.
                decided.wake_up_at(self.now + REMOVED_AGAIN);
                continue;
            }
            closed.insert(node.name.clone());
            let timed_out = match on_nodes.decision(node, taint) {
                NodeDecision::Waits { until } => {
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
            let Some(facts) = self.facts_of(node) else { continue };
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
        let most = closed.len() + CONDITIONS_AT_ONCE;
        decided.more = due.len() > most;
        due.truncate(most);
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Taint;

    use super::*;
    use crate::list::config::GateTaints;
    use crate::list::{ListData, parse};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
    }

    fn keys() -> BTreeSet<TaintKey> {
        ["example.com/a", "example.com/b"].into_iter().filter_map(TaintKey::new).collect()
    }

    /// A list whose gate has the first taint and a condition.
    fn list() -> GatedList {
        let text = "{images: [app:1], nodeGate: {taint: example.com/a, condition: true, timeout: 5m}}";
        let data = [("images.yaml".to_owned(), text.to_owned())].into();
        let data = ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None };
        let mut config = parse(&data).config.expect("a list");
        config.restrict_node_gate(&GateTaints::Only(keys()));
        GatedList::new("tools", "tools", &Arc::new(config), Vec::new).expect("it has a gate")
    }

    /// A node with both taints that was created at 0.
    fn node(name: &str) -> Arc<Node> {
        let taint =
            |key: &TaintKey| Taint { key: key.to_string(), effect: "NoSchedule".to_owned(), ..Taint::default() };
        Arc::new(Node {
            name: name.to_owned(),
            created: Some(at(0)),
            labels: [("kubernetes.io/os".to_owned(), "linux".to_owned())].into(),
            taints: keys().iter().map(taint).collect(),
            ready: true,
            ready_since: Some(at(0)),
            ..Node::default()
        })
    }

    fn decided(written: &Written, created: i64, now: i64) -> Decided {
        let names = ["one", "other"];
        let of_node = |name: &str| keys().into_iter().map(|key| (node(name), key)).collect::<Vec<_>>();
        let gated: Vec<_> = names.into_iter().flat_map(of_node).collect();
        let facts = |name: &str| {
            let facts = GateFacts { uid: format!("uid-{name}"), created: Some(at(created)), condition: None };
            (name.to_owned(), Arc::new(facts))
        };
        let sources = GateSources {
            lists: &[list()],
            gated: &gated,
            all: None,
            facts: &names.into_iter().map(facts).collect(),
            coverage: &Coverage::default(),
            written,
            namespace: "prepull",
            now: at(now),
        };
        sources.decide()
    }

    #[test]
    fn a_node_with_two_taints_counts_once_and_so_do_its_images() {
        let decided = decided(&Written::default(), 0, 60);
        assert_eq!((decided.gated, decided.freed.len()), (2, 0));
        let messages: Vec<_> =
            decided.conditions.iter().filter_map(|it| Some(it.wanted.as_ref()?.message.as_str())).collect();
        assert_eq!(messages.len(), 2);
        assert!(messages.iter().all(|message| message.starts_with("0 of 1 image: ")), "{messages:?}");
        assert_eq!(decided.wake_at, Some(at(300)), "when the time of the list is over");
    }

    #[tokio::test]
    async fn a_node_that_could_not_be_written_delays_no_other_one() {
        let mut written = Written::default();
        written.failed(NodeWrite::Taint, "uid-one");
        let decided = decided(&written, 0, 301);
        let freed: Vec<_> = decided.freed.iter().map(|it| (it.node.name.as_str(), it.taint.as_str())).collect();
        assert_eq!(freed, [("other", "example.com/a")]);
        assert_eq!(decided.conditions.len(), 2);
    }

    #[test]
    fn a_node_that_has_been_replaced_by_another_one_of_its_name_is_not_freed_for_the_age_of_the_first() {
        let decided = decided(&Written::default(), 299, 301);
        assert_eq!((decided.gated, decided.freed.len()), (0, 0));
    }
}
