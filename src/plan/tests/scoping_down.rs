//! Scoping down a generation that is needed on few nodes.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Affinity, NodeAffinity, NodeSelector, NodeSelectorTerm};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{from_value, json};

use super::simulation::{Simulation, as_live, node};
use crate::coverage::Node;
use crate::naming::labels;
use crate::plan::decision::ScopeDownReason;
use crate::plan::generation::node_scope::NodeScope;
use crate::plan::patch::scope_patch;
use crate::plan::scoping_down::GRACE;
use crate::plan::{Action, Generation, RolloutCause};

fn second() -> SignedDuration {
    SignedDuration::from_secs(1)
}

fn only(nodes: &[&str]) -> NodeScope {
    NodeScope::Only(nodes.iter().map(|node| (*node).to_owned()).collect())
}

/// The scopes that the plan sets.
fn scopings(simulation: &Simulation) -> Vec<NodeScope> {
    let node_scope = |action: Action| match action {
        Action::ScopeDown { node_scope, reason: ScopeDownReason::NeededOnFew, .. } => Some(node_scope),
        _ => None,
    };
    simulation.plan().actions.into_iter().filter_map(node_scope).collect()
}

/// A rollout that has settled while these nodes were not ready.
fn rollout_without(lost: &[usize], nodes: usize) -> Simulation {
    let mut simulation = Simulation::settled("[a:1]", nodes);
    lost.iter().for_each(|index| simulation.nodes[*index].ready = false);
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    simulation
}

fn node_scopes(simulation: &Simulation) -> Vec<NodeScope> {
    let metadata = simulation.daemon_sets.iter().map(|it| &it.metadata);
    metadata.filter_map(Generation::from_metadata).map(|generation| generation.node_scope).collect()
}

#[test]
fn a_node_that_is_not_ready_keeps_its_images_and_the_others_get_their_pod_slot_back() {
    let mut simulation = rollout_without(&[2], 6);
    assert!(scopings(&simulation).is_empty(), "nodes get a grace period first");
    assert_eq!(simulation.plan().wake_at.map(|at| at <= simulation.now + GRACE), Some(true));
    simulation.pass(GRACE);
    assert_eq!(scopings(&simulation), [only(&["n2"])]);
    simulation.settle();
    let old: Vec<&str> =
        simulation.pods.iter().filter(|it| it.daemon_set == simulation.names()[0]).map(|it| &*it.node).collect();
    assert_eq!(old, ["n2"]);
    assert_eq!(simulation.held_on("n2"), ["a:1"].into());
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
    simulation.nodes[2].ready = true;
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert_eq!(simulation.held_on("n2"), ["a:1", "b:1"].into());
}

#[test]
fn a_generation_is_scoped_down_once_while_nothing_changes() {
    let mut simulation = rollout_without(&[2], 6);
    simulation.pass(GRACE);
    simulation.act();
    // The DaemonSet controller has not removed any pod yet.
    assert!(simulation.plan().actions.is_empty(), "{:?}", simulation.plan());
    simulation.settle();
    simulation.restart_controller();
    assert!(simulation.plan().actions.is_empty());
}

#[test]
fn a_generation_needed_on_many_nodes_is_not_scoped_down() {
    for (lost, nodes) in [(vec![0, 1], 3), (vec![0, 1, 2, 3], 7), ((0..51).collect(), 110)] {
        let mut simulation = rollout_without(&lost, nodes);
        simulation.pass(GRACE);
        assert!(simulation.plan().actions.is_empty(), "{lost:?} of {nodes}");
    }
    let mut half = rollout_without(&[0, 1, 2, 3], 8);
    half.pass(GRACE + SignedDuration::from_mins(1));
    assert_eq!(scopings(&half), [only(&["n0", "n1", "n2", "n3"])], "half of the nodes get their pod slot back");
}

#[test]
fn the_scope_shrinks_further_when_half_of_the_nodes_are_done() {
    let mut simulation = rollout_without(&[0, 1, 2], 8);
    simulation.pass(GRACE);
    simulation.settle();
    simulation.nodes[0].ready = true;
    simulation.settle();
    assert_eq!(node_scopes(&simulation)[0], only(&["n0", "n1", "n2"]), "one of three is not worth a write");
    simulation.nodes[1].ready = true;
    simulation.settle();
    assert_eq!(node_scopes(&simulation)[0], only(&["n2"]));
    assert_eq!(simulation.held_on("n1"), ["a:1", "b:1"].into());
}

#[test]
fn scoping_down_waits_for_the_start_delays_of_all_nodes() {
    let mut simulation = Simulation::settled("{images: [a:1], pullRate: 1}", 6);
    simulation.nodes[2].ready = false;
    simulation.edit("{images: [a:1, b:1], pullRate: 1}");
    simulation.settle();
    simulation.pass(GRACE);
    assert!(scopings(&simulation).is_empty(), "six nodes at one per minute take six minutes");
    simulation.pass(SignedDuration::from_mins(6));
    assert_eq!(scopings(&simulation), [only(&["n2"])]);
}

#[test]
fn a_deleted_tag_on_a_few_nodes_keeps_the_old_generation_on_those() {
    let mut simulation = Simulation::settled("[a:1, dead:1]", 6);
    simulation.unavailable.insert("dead:1".to_owned());
    let old = simulation.names()[0].clone();
    for index in 1..6 {
        simulation.set(&old, Some(&format!("n{index}")), "dead:1", super::simulation::State::Failed);
    }
    simulation.request_rollout("one");
    simulation.settle();
    simulation.pass(GRACE);
    assert_eq!(scopings(&simulation), [only(&["n0"])]);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1", "dead:1"].into());
}

#[test]
fn a_node_that_does_not_come_back_blocks_no_edit() {
    let mut simulation = rollout_without(&[2], 6);
    for tag in 2..9 {
        simulation.pass(GRACE);
        simulation.settle();
        simulation.edit(&format!("[a:1, \"b:{tag}\"]"));
        simulation.settle();
        assert!(simulation.held_on("n0").contains(format!("b:{tag}").as_str()));
        assert_eq!(simulation.daemon_sets.len(), 2, "{:?}", simulation.names());
    }
    assert_eq!(simulation.held_on("n2"), ["a:1"].into());
}

/// One more node is lost during each rollout, and newer generations have none of its images.
fn lost_one_by_one(lost: usize) -> Simulation {
    let mut simulation = Simulation::settled("[a:1]", 12);
    for index in 0..lost {
        simulation.nodes[index].ready = false;
        simulation.request_rollout(&index.to_string());
        simulation.settle();
        simulation.pass(GRACE);
        simulation.settle();
    }
    simulation
}

#[test]
fn nodes_lost_in_different_rollouts_keep_their_images_and_block_no_edit() {
    let mut simulation = lost_one_by_one(7);
    assert_eq!(simulation.daemon_sets.len(), 8);
    assert!((0..12).all(|index| simulation.held_on(&format!("n{index}")) == ["a:1"].into()));
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    assert_eq!(simulation.plan().waiting, []);
    assert_eq!(simulation.held_on("n11"), ["a:1", "b:1"].into());
    assert!((0..7).all(|index| simulation.held_on(&format!("n{index}")) == ["a:1"].into()));
    simulation.nodes.retain(|node| node.ready);
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_taint_that_keeps_new_pods_off_blocks_no_edit() {
    let mut simulation = Simulation::settled("[a:1]", 6);
    simulation.nodes[0].taints = from_value(json!([{"key": "x", "effect": "NoSchedule"}])).expect("taints");
    for tag in 2..6 {
        simulation.edit(&format!("[a:1, \"b:{tag}\"]"));
        simulation.settle();
        simulation.pass(GRACE);
        simulation.settle();
    }
    assert_eq!(simulation.daemon_sets.len(), 2);
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
    assert!(simulation.held_on("n1").contains("b:5"));
}

#[test]
fn an_edit_that_restores_images_of_older_generations_does_not_wait_for_them() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 4);
    simulation.edit("[a:1, c:1, d:1]");
    simulation.pass(second());
    simulation.act();
    simulation.place_pods();
    // Each older generation holds, on a node of its own, an image that the newest does not hold there yet.
    let second_one = simulation.names()[1].clone();
    for image in ["c:1", "d:1"] {
        simulation.set(&second_one, Some("n1"), image, super::simulation::State::Running);
    }
    simulation.edit("[a:1, d:1]");
    simulation.pass(second());
    simulation.act();
    assert_eq!(simulation.daemon_sets.len(), 3);
    simulation.edit("[a:1, d:1, b:1, c:1]");
    // Only a new rollout can pull an image that no newer generation has, so it must not wait for that.
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1", "c:1", "d:1"].into());
}

#[test]
fn a_scoped_down_generation_that_is_the_newest_again_is_replaced() {
    let mut simulation = Simulation::settled("[a:1]", 6);
    simulation.nodes[2].ready = false;
    simulation.request_rollout("one");
    simulation.settle();
    simulation.pass(GRACE);
    simulation.settle();
    assert_eq!(node_scopes(&simulation), [only(&["n2"]), NodeScope::Everywhere]);
    simulation.daemon_sets.pop();
    simulation.request = None;
    let plan = simulation.act();
    let causes: Vec<RolloutCause> = plan
        .actions
        .iter()
        .filter_map(|it| match it {
            Action::Create { cause, .. } => Some(*cause),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [RolloutCause::ScopedDown]);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
}

#[test]
fn a_renamed_groups_generations_count_for_the_group_that_wants_their_images() {
    let group = |name: &str, images: &str| format!("groups: [{{name: {name}, images: [{images}]}}]");
    let mut simulation = Simulation::settled(&group("p", "a:1, b:1"), 2);
    for list in [group("p", "b:1, a:1"), group("p", "a:1, b:1, c:1"), group("q", "a:1, b:1, d:1")] {
        simulation.edit(&list);
        simulation.pass(second());
        simulation.act();
        simulation.place_pods();
        simulation.pull();
    }
    assert!(simulation.names().len() <= 4, "{:?}", simulation.names());
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1", "d:1"].into());
}

#[test]
fn the_patch_replaces_no_pod_and_records_the_scope() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let live = &mut simulation.daemon_sets[0];
    live.metadata.resource_version = Some("7".to_owned());
    live.spec.as_mut().and_then(|spec| spec.update_strategy.as_mut()).expect("a strategy").type_ =
        Some("RollingUpdate".to_owned());
    let patch = scope_patch(&as_live(live), &only(&["n1"]));
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    assert_eq!(patch["metadata"]["annotations"], json!({labels::NODE_SCOPE: "only n1", labels::SPEC_GENERATION: "2"}));
    assert_eq!(patch["spec"]["updateStrategy"], json!({"type": "OnDelete", "rollingUpdate": null}));
    let terms = &patch["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"];
    assert_eq!(terms[0]["matchFields"], json!([{"key": "metadata.name", "operator": "In", "values": ["n1"]}]));
    assert_eq!(terms[0]["matchExpressions"].as_array().map(Vec::len), Some(3), "virtual nodes stay excluded");
}

#[test]
fn a_scope_round_trips_and_an_invalid_annotation_is_ignored() {
    for node_scope in
        [only(&["n1", "n2.example.com"]), NodeScope::Everywhere.without(&["n1".to_owned()].into()), only(&[])]
    {
        assert_eq!(NodeScope::from_text(&node_scope.to_text().expect("a text")), node_scope);
    }
    assert_eq!(NodeScope::Everywhere.to_text(), None);
    assert_eq!(NodeScope::from_text("nowhere n1"), NodeScope::Everywhere);
}

fn terms() -> impl Strategy<Value = Option<Vec<NodeSelectorTerm>>> {
    let fields = |operator: &str, node: &str| json!([{"key": "metadata.name", "operator": operator, "values": [node]}]);
    let zone_a = json!([{"key": "zone", "operator": "In", "values": ["a"]}]);
    let of = select(vec![
        json!({}),
        json!({"matchExpressions": []}),
        json!({"matchExpressions": zone_a}),
        json!({"matchFields": fields("In", "n1")}),
        json!({"matchFields": fields("NotIn", "n1")}),
        json!({"matchExpressions": zone_a, "matchFields": fields("In", "n2")}),
    ]);
    let term = of.prop_map(|term| from_value(term).expect("a term"));
    prop::option::of(prop::collection::vec(term, 1..4))
}

fn node_scope() -> impl Strategy<Value = NodeScope> {
    let nodes = subsequence(vec!["n0", "n1", "n2", "n3"], 0..4);
    let nodes = nodes.prop_map(|nodes| nodes.into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    (any::<bool>(), nodes)
        .prop_map(|(only, nodes)| if only { NodeScope::Only(nodes) } else { NodeScope::Without(nodes) })
}

fn selects(terms: Option<&[NodeSelectorTerm]>, node: &Node) -> bool {
    let required = terms.map(|terms| NodeSelector { node_selector_terms: terms.to_vec() });
    let affinity =
        NodeAffinity { required_during_scheduling_ignored_during_execution: required, ..NodeAffinity::default() };
    let affinity = Some(Affinity { node_affinity: Some(affinity), ..Affinity::default() });
    node.takes(&crate::list::config::Placement { affinity, ..Default::default() })
}

proptest! {
    #[test]
    fn scoped_down_terms_select_exactly_the_selected_nodes_in_the_scope(own in terms(), node_scopes in prop::collection::vec(node_scope(), 0..4)) {
        let scope_down = |terms: Option<Vec<_>>, node_scope: &NodeScope| node_scope.terms(terms.as_deref());
        let scoped_down = node_scopes.iter().fold(own.clone(), scope_down);
        for node in (0..5).map(node) {
            let expected = selects(own.as_deref(), &node) && node_scopes.iter().all(|node_scope| node_scope.includes(&node.name));
            prop_assert_eq!(selects(scoped_down.as_deref(), &node), expected, "{} in {:?}", node.name, scoped_down);
        }
        let again = node_scopes.iter().fold(scoped_down.clone(), scope_down);
        prop_assert_eq!(again, scoped_down, "it is idempotent");
    }
}
