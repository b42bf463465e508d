//! On which nodes a look takes place: one of each architecture.

use std::collections::{BTreeMap, BTreeSet};

use crate::coverage::Node;
use crate::list::config::Placement;
use crate::plan::hash::number;

/// Where one probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The architecture; empty where nothing is known of it.
    pub architecture: &'a str,
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
/// that already has a pod of the group (`warm`) if there is any, since that needs no more than manifests. `turn` is a
/// text that differs from look to look, so that they go around.
pub fn choose<'a>(nodes: Option<&'a [Node]>, placement: &Placement, warm: &BTreeSet<&str>, turn: &str) -> Places<'a> {
    let Some(nodes) = nodes else {
        return Places { places: vec![Place { architecture: "", node: None }], without: Vec::new() };
    };
    let mut by_architecture: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.takes(placement)) {
        by_architecture.entry(node.architecture().unwrap_or_default()).or_default().push(node);
    }
    let mut chosen = Places::default();
    for (architecture, nodes) in by_architecture {
        let able: BTreeSet<&str> =
            nodes.iter().filter(|node| node.schedules(placement)).map(|node| node.name.as_str()).collect();
        let able_and_warm: Vec<&str> = able.iter().copied().filter(|node| warm.contains(node)).collect();
        let able = if able_and_warm.is_empty() { able.into_iter().collect() } else { able_and_warm };
        match one_of(&able, &format!("{turn}\n{architecture}")) {
            Some(node) => chosen.places.push(Place { architecture, node: Some(node) }),
            None => chosen.without.push(architecture),
        }
    }
    chosen
}

fn one_of<'a>(nodes: &[&'a str], turn: &str) -> Option<&'a str> {
    let index = number(turn.as_bytes()).checked_rem(nodes.len() as u64)?;
    nodes.get(usize::try_from(index).ok()?).copied()
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
        choose(Some(nodes), &Placement::default(), &BTreeSet::new(), turn)
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
        assert_eq!(found.places, [Place { architecture: "arm64", node: Some("fine") }]);
        assert_eq!(found.without, ["amd64"]);
    }

    #[test]
    fn a_node_that_has_the_images_already_comes_first() {
        let nodes = [node("a", "amd64"), node("b", "amd64"), node("c", "amd64")];
        for turn in 0..20 {
            let found = choose(Some(&nodes), &Placement::default(), &["b"].into(), &turn.to_string());
            assert_eq!(found.places[0].node, Some("b"));
        }
    }

    #[test]
    fn without_nodes_to_read_the_scheduler_chooses() {
        let found = choose(None, &Placement::default(), &BTreeSet::new(), "");
        assert_eq!(found.places, [Place { architecture: "", node: None }]);
        assert_eq!(chosen(&[], ""), Places::default());
    }
}
