//! On which nodes a look takes place: one of each architecture, and some more where they do not hold the same.

use std::collections::{BTreeMap, BTreeSet};

use super::holders::Holders;
use crate::coverage::Node;
use crate::list::config::Placement;
use crate::naming::hash::number;

/// The most nodes of an architecture that are asked at a time.
const MOST: usize = 3;

/// Where one probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The architecture; empty where nothing is known of it.
    pub architecture: &'a str,
    /// Which of the architecture's places it is, from 0.
    pub index: usize,
    /// The node; `None` where the scheduler chooses, since the controller may not read nodes.
    pub node: Option<&'a str>,
}

/// The places of a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places<'a> {
    /// Where its probes go.
    pub places: Vec<Place<'a>>,
    /// The architectures of the group's nodes of which none can run a probe now.
    pub without: Vec<&'a str>,
}

/// Chooses a node of each architecture among those that a group belongs on and that a scheduler would give it now: one
/// that holds images of the group already if there is any, since that needs no more than manifests. `turn` is a text that
/// differs from look to look, so that they go around.
///
/// Where nodes hold different digests for one image, a tag may have moved while they pulled it, and then only those that
/// hold the older one can tell. So one node more is asked for each digest that the first does not hold.
pub fn choose<'a>(nodes: Option<&'a [Node]>, placement: &Placement, holders: &Holders, turn: &str) -> Places<'a> {
    let Some(nodes) = nodes else {
        return Places { places: vec![Place { architecture: "", index: 0, node: None }], without: Vec::new() };
    };
    let mut by_architecture: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.takes(placement)) {
        by_architecture.entry(node.architecture().unwrap_or_default()).or_default().push(node);
    }
    let mut chosen = Places::default();
    for (architecture, nodes) in by_architecture {
        let able = nodes.iter().filter(|node| node.schedules(placement)).map(|node| node.name.as_str());
        let (warm, cold): (BTreeSet<&str>, BTreeSet<&str>) = able.partition(|node| holders.on(node).is_some());
        let able: Vec<&str> = if warm.is_empty() { cold } else { warm }.into_iter().collect();
        let places = different(&in_turn(&able, &format!("{turn}\n{architecture}")), holders);
        if places.is_empty() {
            chosen.without.push(architecture);
        }
        let place = |(index, node)| Place { architecture, index, node: Some(node) };
        chosen.places.extend(places.into_iter().enumerate().map(place));
    }
    chosen
}

/// The nodes from the one whose turn it is, once around.
fn in_turn<'a>(nodes: &[&'a str], turn: &str) -> Vec<&'a str> {
    let first = number(turn.as_bytes()).checked_rem(nodes.len() as u64).unwrap_or_default();
    let first = usize::try_from(first).unwrap_or_default();
    [&nodes[first..], &nodes[..first]].concat()
}

/// The first node, and those that hold a digest that none before them holds.
fn different<'a>(nodes: &[&'a str], holders: &Holders) -> Vec<&'a str> {
    let (mut seen, mut different) = (BTreeSet::new(), Vec::new());
    for node in nodes {
        let held = holders.on(node).into_iter().flatten();
        let before = seen.len();
        seen.extend(held);
        if different.is_empty() || before < seen.len() {
            different.push(*node);
        }
        if different.len() == MOST {
            break;
        }
    }
    different
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, architecture: &str) -> Node {
        let labels = [("kubernetes.io/os", "linux"), ("kubernetes.io/arch", architecture)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Node { name: name.to_owned(), labels: labels.into(), ready: true, ..Node::default() }
    }

    fn chosen<'a>(nodes: &'a [Node], turn: &str) -> Places<'a> {
        choose(Some(nodes), &Placement::default(), &Holders::default(), turn)
    }

    #[test]
    fn each_architecture_has_one_and_they_go_around() {
        let nodes = [node("a", "amd64"), node("b", "amd64"), node("c", "arm64"), node("d", "amd64")];
        let mut seen = BTreeSet::new();
        for turn in 0..50 {
            let places = chosen(&nodes, &turn.to_string()).places;
            assert_eq!(places.iter().map(|it| it.architecture).collect::<Vec<_>>(), ["amd64", "arm64"]);
            seen.extend(places.iter().filter_map(|it| it.node));
        }
        assert_eq!(seen, ["a", "b", "c", "d"].into());
    }

    #[test]
    fn nodes_that_cannot_run_it_now_are_left_out_and_missed() {
        let pressed = serde_json::json!([{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]);
        let nodes = [
            Node { ready: false, ..node("away", "amd64") },
            Node { unschedulable: true, ..node("cordoned", "amd64") },
            Node { deleting: true, ..node("going", "amd64") },
            Node { taints: serde_json::from_value(pressed).expect("taints"), ..node("pressed", "amd64") },
            node("fine", "arm64"),
        ];
        let found = chosen(&nodes, "");
        assert_eq!(found.places, [Place { architecture: "arm64", index: 0, node: Some("fine") }]);
        assert_eq!(found.without, ["amd64"]);
    }

    #[test]
    fn without_nodes_to_read_the_scheduler_chooses() {
        let found = choose(None, &Placement::default(), &Holders::default(), "");
        assert_eq!(found.places, [Place { architecture: "", index: 0, node: None }]);
        assert_eq!(chosen(&[], ""), Places::default());
    }
}
