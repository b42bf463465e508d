//! How long each new node takes from being ready to holding all of its images. A fold over nodes.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::node_state::NodeState;
use crate::coverage::SlimNode;

/// A new node may get its labels and lose its startup taints some time after it is ready. If no image belongs on it for so long,
/// it is no longer measured.
const IDLE: SignedDuration = SignedDuration::from_mins(10);
/// A node that is not warm after so long is counted as one that took longer. The reason is reported elsewhere.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The nodes that joined since the watch started and are not warm yet, with the time since which each is ready.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeWarmUps(BTreeMap<String, Option<Timestamp>>);

impl NodeWarmUps {
    /// Applies the current state of a node; `joins`: it has just joined. Only the first time that it is ready counts.
    pub fn apply(&mut self, node: &SlimNode, joins: bool) {
        let Some(name) = &node.metadata.name else { return };
        if joins {
            self.0.insert(name.clone(), None);
        }
        if let Some(ready_since @ None) = self.0.get_mut(name) {
            *ready_since = since_when_ready(node);
        }
    }

    /// Continues after all nodes were listed again: `listed` has all of them, and `known` says which of them existed before.
    pub fn go_on(mut self, listed: Self, known: impl Fn(&str) -> bool) -> Self {
        let still_there = listed.0.into_iter().filter_map(|(node, since)| match known(&node) {
            false => Some((node, since)),
            true => self.0.remove(&node).map(|before| (node, before.or(since))),
        });
        Self(still_there.collect())
    }

    /// Forgets a node that is gone.
    pub fn left(&mut self, node: &str) {
        self.0.remove(node);
    }

    /// Whether that node is ready and not warm yet.
    pub fn awaits(&self, node: &str) -> bool {
        matches!(self.0.get(node), Some(Some(_)))
    }

    /// Applies the state of each image on each node. Returns how long the nodes took that hold all of their images now, and
    /// forgets these nodes.
    pub fn settle<'a>(
        &mut self,
        images: impl IntoIterator<Item = (&'a str, NodeState)>,
        now: Timestamp,
    ) -> Vec<SignedDuration> {
        let mut warm: HashMap<&str, bool> = HashMap::new();
        for (node, state) in images {
            *warm.entry(node).or_insert(true) &= state == NodeState::Warm;
        }
        let mut took = Vec::new();
        self.0.retain(|node, ready_since| {
            let Some(waits) = ready_since.map(|since| now.duration_since(since).max(SignedDuration::ZERO)) else {
                return true;
            };
            match warm.get(node.as_str()) {
                None => return waits < IDLE,
                Some(true) => took.push(waits),
                Some(false) if waits > LONGEST => took.push(waits),
                Some(false) => return true,
            }
            false
        });
        took
    }
}

/// Since when a node is ready: the time of its condition, or else of its creation. `None` if it is not ready.
fn since_when_ready(node: &SlimNode) -> Option<Timestamp> {
    let conditions = node.status.as_ref()?.conditions.iter();
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    ready.last_transition_time.as_ref().or(node.metadata.creation_timestamp.as_ref()).map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).expect("a time")
    }

    fn node(name: &str, ready: Option<i64>) -> SlimNode {
        let condition =
            ready.map(|at| json!({"type": "Ready", "status": "True", "lastTransitionTime": minute(at).to_string()}));
        let none = json!({"type": "Ready", "status": "False", "lastTransitionTime": minute(0).to_string()});
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Node", "spec": {},
            "metadata": {"name": name, "creationTimestamp": minute(0).to_string()},
            "status": {"conditions": [condition.unwrap_or(none)]},
        }))
        .expect("a node")
    }

    /// `n`, which joined and is ready since minute 1.
    fn arrived() -> NodeWarmUps {
        let mut node_warm_ups = NodeWarmUps::default();
        node_warm_ups.apply(&node("n", None), true);
        assert!(!node_warm_ups.awaits("n"), "it is not ready yet");
        node_warm_ups.apply(&node("n", Some(1)), false);
        node_warm_ups
    }

    #[test]
    fn a_node_that_joins_takes_from_being_ready_to_holding_all_of_its_images() {
        let mut node_warm_ups = arrived();
        assert_eq!(node_warm_ups.settle([("n", NodeState::Warm), ("n", NodeState::Pulling)], minute(2)), []);
        assert_eq!(
            node_warm_ups.settle([("n", NodeState::Warm), ("n", NodeState::Warm)], minute(4)),
            [SignedDuration::from_mins(3)]
        );
        assert_eq!(node_warm_ups.settle([("n", NodeState::Warm)], minute(5)), [], "once");
        assert_eq!(node_warm_ups, NodeWarmUps::default());
    }

    #[test]
    fn only_the_first_time_that_it_is_ready_counts() {
        let mut node_warm_ups = arrived();
        node_warm_ups.apply(&node("n", None), false);
        node_warm_ups.apply(&node("n", Some(7)), false);
        assert_eq!(node_warm_ups.settle([("n", NodeState::Warm)], minute(8)), [SignedDuration::from_mins(7)]);
    }

    #[test]
    fn nodes_that_were_there_or_are_gone_again_say_nothing() {
        let mut node_warm_ups = arrived();
        node_warm_ups.apply(&node("before", Some(1)), false);
        node_warm_ups.left("n");
        assert_eq!(node_warm_ups.settle([("n", NodeState::Warm), ("before", NodeState::Warm)], minute(2)), []);
    }

    #[test]
    fn a_new_listing_reports_which_nodes_joined_meanwhile_and_which_are_gone() {
        let mut node_warm_ups = arrived();
        node_warm_ups.apply(&node("gone", Some(1)), true);
        let mut listed = NodeWarmUps::default();
        for name in ["n", "before", "new"] {
            listed.apply(&node(name, Some(2)), true);
        }
        let mut node_warm_ups = node_warm_ups.go_on(listed, |name| ["n", "gone", "before"].contains(&name));
        let warm = ["n", "gone", "before", "new"].map(|name| (name, NodeState::Warm));
        assert_eq!(node_warm_ups.settle(warm, minute(4)), [3, 2].map(SignedDuration::from_mins), "n and new");
    }

    #[test]
    fn a_node_that_nothing_belongs_on_is_waited_for_ten_minutes() {
        let mut node_warm_ups = arrived();
        assert_eq!(node_warm_ups.settle([], minute(10)), []);
        assert!(node_warm_ups.awaits("n"));
        assert_eq!(node_warm_ups.settle([], minute(11)), []);
        assert!(!node_warm_ups.awaits("n"));
    }

    #[test]
    fn a_node_that_is_not_warm_within_an_hour_took_longer_than_that() {
        let mut node_warm_ups = arrived();
        assert_eq!(node_warm_ups.settle([("n", NodeState::Failed)], minute(61)), []);
        let took = node_warm_ups.settle([("n", NodeState::Failed)], minute(62));
        assert!(took.iter().all(|took| *took > LONGEST) && took.len() == 1, "{took:?}");
        assert_eq!(node_warm_ups, NodeWarmUps::default());
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_negative_time() {
        assert_eq!(arrived().settle([("n", NodeState::Warm)], minute(0)), [SignedDuration::ZERO]);
    }
}
