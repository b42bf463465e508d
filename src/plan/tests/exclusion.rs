//! Nodes that admission excludes by a node selector, as the default node selector of a namespace does.

use jiff::SignedDuration;

use super::note;
use super::simulation::{Simulation, node};
use crate::plan::capacity::GRACE;
use crate::plan::decision::ScopeDownReason;
use crate::plan::{Action, Finding, Plan, Waiting};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn zone_a(simulation: &mut Simulation) {
    simulation.namespace_selector.insert("zone".to_owned(), "a".to_owned());
}

/// What is reported within these minutes, by a new controller process each time.
fn reported(simulation: &mut Simulation, minutes: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    for _ in 0..minutes {
        simulation.restart_controller();
        findings.extend(simulation.act().condition_reports.into_iter().flat_map(|report| report.findings));
        simulation.place_pods();
        simulation.pull();
        simulation.pass(MINUTE);
    }
    findings
}

fn is_capacity(action: &Action) -> bool {
    matches!(action, Action::ScopeDown { reason: ScopeDownReason::NoCapacity { .. }, .. })
}

/// Follows the plan for some minutes.
fn plans(simulation: &mut Simulation, minutes: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for _ in 0..minutes {
        plans.push(simulation.step());
        simulation.pass(MINUTE);
    }
    plans
}

#[test]
fn nodes_that_a_namespaces_default_node_selector_excludes_are_reported_once_with_the_selector() {
    for controller_knows_selector in [false, true] {
        let mut simulation = Simulation::new("[a:1]", 6);
        simulation.controller_knows_selector = controller_knows_selector;
        zone_a(&mut simulation);
        simulation.settle();
        let pods = if controller_knows_selector { 3 } else { 6 };
        assert_eq!(simulation.pods.len(), pods);
        let mut again = Simulation::new("[a:1]", 6);
        again.controller_knows_selector = controller_knows_selector;
        zone_a(&mut again);
        let findings = reported(&mut again, 10);
        let [excluded @ Finding::NodesExcluded { nodes, .. }, complete @ Finding::RolloutComplete { nodes: 3, .. }] =
            &findings[..]
        else {
            panic!("{findings:?}")
        };
        assert_eq!(nodes["zone=a"].iter().collect::<Vec<_>>(), ["n1", "n3", "n5"]);
        let text = note(excluded);
        for words in [
            "zone=a excludes 3 nodes (n1, n3, n5)",
            "kubectl annotate namespace prepull openshift.io/node-selector= --overwrite",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(note(complete).ends_with("1 image is held on 3 nodes"), "{complete:?}");
        // A rollout has no pods for a moment.
        again.edit("[a:1, b:1]");
        let findings = reported(&mut again, 10);
        assert!(!findings.iter().any(|it| matches!(it, Finding::NodesExcluded { .. })), "{findings:?}");
    }
}

#[test]
fn without_the_right_to_read_nodes_unscheduled_pods_show_what_excludes_their_nodes() {
    let mut simulation = Simulation::new("[a:1]", 6);
    simulation.may_read_nodes = false;
    zone_a(&mut simulation);
    let findings = reported(&mut simulation, 10);
    let [Finding::NodesExcluded { nodes, .. }, Finding::RolloutComplete { nodes: 3, .. }] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(nodes["zone=a"].iter().collect::<Vec<_>>(), ["n1", "n3", "n5"]);
}

#[test]
fn a_node_selector_of_the_groups_own_is_not_reported_and_one_that_is_edited_is_not_taken_for_admissions() {
    let list = |zone: &str| format!("groups: [{{name: p, images: [a:1], nodeSelector: {{zone: {zone}}}}}]");
    let mut simulation = Simulation::new(&list("a"), 4);
    simulation.settle();
    simulation.pods_refused = true;
    simulation.edit(&list("b"));
    for _ in 0..5 {
        let findings: Vec<Finding> =
            simulation.step().condition_reports.into_iter().flat_map(|report| report.findings).collect();
        assert!(!findings.iter().any(|it| matches!(it, Finding::NodesExcluded { .. })), "{findings:?}");
    }
}

#[test]
fn nothing_is_released_for_capacity_on_a_node_that_the_new_pods_never_fit() {
    let mut simulation = Simulation::settled("[a:1]", 6);
    // The nodes are full, too.
    simulation.capacity.extend((0..6).filter(|index| index % 2 == 1).map(|index| (format!("n{index}"), 1)));
    zone_a(&mut simulation);
    simulation.edit("[a:1, b:1]");
    let plans = plans(&mut simulation, 30);
    assert!(!plans.iter().flat_map(|plan| &plan.actions).any(is_capacity), "{plans:#?}");
    assert!(plans.iter().flat_map(|plan| &plan.waiting).all(|it| !matches!(it, Waiting::Capacity { .. })));
    for node in ["n1", "n3", "n5"] {
        assert_eq!(simulation.held_on(node), ["a:1"].into(), "{node}");
    }
    for node in ["n0", "n2", "n4"] {
        assert_eq!(simulation.held_on(node), ["a:1", "b:1"].into(), "{node}");
    }
}

#[test]
fn nodes_that_the_new_pods_never_fit_do_not_keep_full_nodes_from_their_turn() {
    let mut simulation = Simulation::settled("[a:1]", 12);
    zone_a(&mut simulation);
    // These nodes never held anything.
    for index in [13, 15, 17] {
        simulation.nodes.push(node(index));
    }
    simulation.settle();
    simulation.capacity.insert("n2".to_owned(), 1);
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    let plans = plans(&mut simulation, 10);
    assert!(plans.iter().flat_map(|plan| &plan.actions).any(is_capacity), "{plans:#?}");
    assert_eq!(simulation.held_on("n2"), ["a:1", "b:1"].into());
    assert_eq!(simulation.held_on("n1"), ["a:1"].into());
}

#[test]
fn a_generation_that_stays_for_excluded_nodes_blocks_no_edit() {
    let mut simulation = Simulation::settled("[a:1]", 8);
    zone_a(&mut simulation);
    for image in ["b:1", "c:1", "d:1", "e:1"] {
        simulation.edit(&format!("[a:1, {image}]"));
        simulation.settle();
        simulation.pass(GRACE);
        simulation.settle();
        assert_eq!(simulation.held_on("n0"), ["a:1", image].into());
        assert_eq!(simulation.held_on("n1"), ["a:1"].into());
    }
    assert!(simulation.plan().waiting.is_empty(), "{:?}", simulation.plan().waiting);
}

#[test]
fn tag_checks_run_on_nodes_that_admission_does_not_exclude() {
    let mut simulation = Simulation::new("[a:1]", 8);
    zone_a(&mut simulation);
    simulation.settle();
    for request in ["one", "two", "three", "four"] {
        simulation.request(request);
        simulation.act();
        let nodes: Vec<&str> = simulation.tag_checks.iter().map(|check| check.node.as_str()).collect();
        assert!(!nodes.is_empty() && nodes.iter().all(|node| ["n0", "n2", "n4", "n6"].contains(node)), "{nodes:?}");
        simulation.settle();
    }
}
