//! The map says of each node what the report says.

use serde_json::{Value, json};

use super::MapReport;
use crate::coverage::{Node, NodeSet};
use crate::status::tests::{broken, half_warm, report, warm};
use crate::summary::tests::world::node;

fn map(facts: &(crate::status::StatusInput, crate::coverage::Coverage)) -> Value {
    serde_json::to_value(MapReport::new(report(facts), &[(&facts.0, &facts.1)])).expect("JSON")
}

/// The names of the nodes in ranges.
fn named(map: &Value, ranges: &Value) -> Vec<Value> {
    let numbers: Vec<usize> = serde_json::from_value(ranges.clone()).expect("numbers");
    numbers.chunks(2).flat_map(|range| (range[0]..range[1]).map(|number| map["nodes"][number].clone())).collect()
}

#[test]
fn each_node_has_the_state_that_the_report_gives() {
    for facts in [half_warm(), broken(), warm()] {
        let (map, report) = (map(&facts), serde_json::to_value(report(&facts)).expect("JSON"));
        let groups = |of: &Value| of["lists"][0]["groups"].as_array().expect("groups").clone();
        for (drawn, group) in groups(&map).iter().zip(groups(&report)) {
            let images =
                drawn["images"].as_array().expect("images").iter().zip(group["images"].as_array().expect("images"));
            for (drawn, image) in images {
                assert_eq!(named(&map, &drawn["warm"]).len(), image["nodes"]["warm"], "{drawn}");
                assert_eq!(drawn["total"], image["nodes"]["total"]);
                for key in ["behind", "heldByOlder", "notCounted"] {
                    let drawn =
                        drawn[key].as_array().expect("states").iter().zip(image[key].as_array().expect("states"));
                    for (drawn, state) in drawn {
                        assert_eq!(named(&map, &drawn["nodes"]), *state["nodes"].as_array().expect("nodes"));
                        assert_eq!((&drawn["state"], &drawn["cause"]), (&state["state"], &state["cause"]));
                    }
                }
            }
        }
    }
}

#[test]
fn nodes_are_sorted_by_their_pools() {
    let labelled = |name: &str, pool: &str| Node {
        labels: [("karpenter.sh/nodepool".to_owned(), pool.to_owned())].into(),
        ..node(name)
    };
    let (mut input, coverage) = warm();
    input.nodes = Some(NodeSet::from_iter([labelled("n0", "z"), labelled("n1", "a"), labelled("n2", "z")]));
    let map = map(&(input, coverage));
    assert_eq!(map["nodes"], json!(["n1", "n0", "n2"]));
    assert_eq!(map["pools"], json!([{"name": "a", "nodes": 1}, {"name": "z", "nodes": 2}]));
}

#[test]
fn without_rights_on_nodes_those_with_pods_are_there() {
    let (mut input, coverage) = half_warm();
    input.nodes = None;
    let map = map(&(input, coverage));
    assert_eq!((&map["nodes"], &map["nodesKnown"]), (&json!(["n0", "n1", "n2"]), &json!(false)));
    assert_eq!(map["pools"], json!([{"name": "", "nodes": 3}]));
}
