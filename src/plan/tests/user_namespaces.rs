//! Nodes that cannot give pods the user namespace that their group asks for.

use super::simulation::Simulation;
use super::{accepted, note};
use crate::coverage::NoUserNamespaces::{self, ForAll, ForNone, WithoutRuntimeClass};
use crate::plan::{Finding, Plan};

const OWN: &str = "{images: [a:1], hostUsers: false}";
const OWN_IN_CLASS: &str = "{images: [a:1], hostUsers: false, runtimeClassName: kata}";

fn warnings(plan: Plan) -> Vec<Finding> {
    let findings = plan.condition_reports.into_iter().flat_map(|it| it.findings);
    findings.filter(|it| matches!(it, Finding::UserNamespacesMissing { .. })).collect()
}

fn on_nodes(list: &str, nodes: &[NoUserNamespaces]) -> Simulation {
    let mut simulation = Simulation::settled(list, nodes.len());
    for (node, what) in simulation.nodes.iter_mut().zip(nodes) {
        node.no_user_namespaces = *what;
    }
    simulation
}

#[test]
fn nodes_without_user_namespaces_are_reported_once_if_the_group_needs_them() {
    let mut simulation = on_nodes(OWN, &[ForAll, ForNone, WithoutRuntimeClass]);
    let found = warnings(simulation.act());
    let [warning] = &found[..] else { panic!("{found:?}") };
    let said = note(warning);
    assert!(said.starts_with("group default: its pods do not start on 2 nodes (n0, n2"), "{said}");
    assert!(said.contains("user namespaces") && said.contains("hostUsers: false"), "{said}");
    simulation.restart_controller();
    assert_eq!(warnings(simulation.act()), []);
}

#[test]
fn what_a_runtime_class_can_do_is_not_guessed() {
    let found = warnings(on_nodes(OWN_IN_CLASS, &[WithoutRuntimeClass]).plan());
    assert_eq!(found, [], "another handler of the node may be the one");
    assert_eq!(warnings(on_nodes(OWN_IN_CLASS, &[ForAll]).plan()).len(), 1);
}

#[test]
fn nobody_is_warned_who_does_not_need_them_or_without_the_right_to_read_nodes() {
    for list in ["[a:1]", "{images: [a:1], hostUsers: true}"] {
        assert_eq!(warnings(on_nodes(list, &[ForAll]).plan()), [], "{list}");
    }
    assert_eq!(warnings(on_nodes(OWN, &[ForNone]).plan()), []);
    let elsewhere = on_nodes("{images: [a:1], hostUsers: false, nodeSelector: {zone: b}}", &[ForAll, ForNone]);
    assert_eq!(warnings(elsewhere.plan()), [], "n1 alone is in zone b");
    let mut simulation = on_nodes(OWN, &[ForAll]);
    simulation.may_read_nodes = false;
    assert_eq!(warnings(simulation.plan()), []);
}

#[test]
fn only_false_is_part_of_the_content() {
    let hash = |list: &str| crate::plan::generation::content_hash(&accepted(list).groups[0]);
    assert_eq!(hash("[a:1]"), hash("{images: [a:1], hostUsers: true}"));
    assert_ne!(hash("[a:1]"), hash(OWN));
}
