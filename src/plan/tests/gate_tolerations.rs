//! Holders tolerate the taint of a gate, and turning a gate on or off moves no pod.

use k8s_openapi::api::core::v1::Taint;

use super::accepted;
use super::simulation::{Simulation, alter, name, node, placement};
use crate::coverage::Node;
use crate::list::config::TaintKey;
use crate::plan::Action;

const OPEN: &str = "{images: [a:1], refresh: {every: 8000h}}";
const GATED: &str = "{images: [a:1], refresh: {every: 8000h}, nodeGate: {taint: example.com/images}}";
const EDITED: &str = "{images: [a:1, b:1], refresh: {every: 8000h}, nodeGate: {taint: example.com/images}}";

fn gated_node(index: usize, effect: &str) -> Node {
    let taint = Taint { key: "example.com/images".to_owned(), effect: effect.to_owned(), ..Taint::default() };
    Node { taints: vec![taint], ..node(index) }
}

fn edit(simulation: &mut Simulation, list: &str) {
    simulation.config = accepted(list);
    simulation.settle();
}

fn tolerated(simulation: &Simulation) -> Vec<Option<String>> {
    let gates = simulation.daemon_sets.iter().map(|it| placement(it).tolerations);
    gates.map(|tolerations| tolerations.into_iter().find_map(|it| it.key)).collect()
}

#[test]
fn a_new_generation_tolerates_the_taint_whatever_its_value_and_effect_are() {
    let mut simulation = Simulation::settled(GATED, 1);
    simulation.nodes.extend([gated_node(1, "NoSchedule"), gated_node(2, "NoExecute")]);
    simulation.settle();
    assert_eq!(simulation.held_on("n1"), ["a:1"].into());
    assert_eq!(simulation.held_on("n2"), ["a:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn turning_a_gate_on_moves_no_pod_and_new_nodes_get_theirs() {
    let mut simulation = Simulation::settled(OPEN, 2);
    simulation.nodes.push(gated_node(2, "NoSchedule"));
    simulation.settle();
    assert!(simulation.held_on("n2").is_empty(), "the list has no gate yet");
    let (names, pods) = (simulation.names(), format!("{:?}", simulation.pods));
    edit(&mut simulation, GATED);
    assert_eq!(simulation.names(), names, "no rollout");
    assert!(format!("{:?}", simulation.pods).starts_with(pods.trim_end_matches(']')), "the pods are the same");
    assert_eq!(simulation.held_on("n2"), ["a:1"].into());
}

#[test]
fn turning_a_gate_off_moves_no_pod_and_takes_no_toleration_away() {
    let mut simulation = Simulation::settled(GATED, 1);
    simulation.nodes.push(gated_node(1, "NoExecute"));
    simulation.settle();
    let (names, pods) = (simulation.names(), format!("{:?}", simulation.pods));
    edit(&mut simulation, OPEN);
    assert_eq!((simulation.names(), format!("{:?}", simulation.pods)), (names, pods));
    assert_eq!(tolerated(&simulation), [Some("example.com/images".to_owned())]);
}

#[test]
fn what_a_template_tolerates_is_written_once() {
    let mut simulation = Simulation::settled(OPEN, 1);
    simulation.config = accepted(GATED);
    let count = |simulation: &mut Simulation| {
        let actions = (0..5).flat_map(|_| simulation.step().actions).collect::<Vec<_>>();
        actions.iter().filter(|action| matches!(action, Action::Tolerate { .. })).count()
    };
    assert_eq!(count(&mut simulation), 1);
    assert_eq!(count(&mut simulation), 0);
}

#[test]
fn a_generation_that_another_client_changed_gets_its_toleration_back() {
    let mut simulation = Simulation::settled(OPEN, 1);
    edit(&mut simulation, GATED);
    alter(&mut simulation.daemon_sets[0], "kubectl-edit");
    simulation.daemon_sets[0].spec.as_mut().expect("a spec").template.spec.as_mut().expect("a template").tolerations =
        None;
    simulation.settle();
    assert_eq!(tolerated(&simulation), [Some("example.com/images".to_owned())]);
}

#[test]
fn a_rollout_after_the_gate_reaches_gated_nodes_too() {
    let mut simulation = Simulation::settled(OPEN, 1);
    simulation.nodes.push(gated_node(1, "NoSchedule"));
    edit(&mut simulation, EDITED);
    assert_eq!(simulation.held_on("n1"), ["a:1", "b:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert!(name(&simulation.daemon_sets[0]).starts_with("tools-"));
}

#[test]
fn a_key_that_kubernetes_or_an_autoscaler_uses_is_no_gate() {
    for key in ["node.kubernetes.io/not-ready", "karpenter.sh/unregistered", "a b", ""] {
        assert_eq!(TaintKey::new(key), None, "{key}");
    }
}
