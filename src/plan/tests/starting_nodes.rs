//! Nodes that start: what passes by itself is not reported, and what lasts is.

use jiff::SignedDuration;

use super::simulation::{Simulation, State, node};
use crate::plan::Finding;

const SECONDS: SignedDuration = SignedDuration::from_secs(10);

/// All that is reported while this much time passes, by a new controller process every ten seconds.
fn reported_within(simulation: &mut Simulation, minutes: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for _ in 0..6 * minutes {
        simulation.pass(SECONDS);
        simulation.restart_controller();
        let reports = simulation.act().condition_reports;
        findings.extend(reports.into_iter().flat_map(|condition_report| condition_report.findings));
    }
    findings
}

/// A list whose images are on all nodes, and whose rollout was reported long ago.
fn settled(images_yaml: &str, nodes: usize) -> (Simulation, String) {
    let mut simulation = Simulation::settled(images_yaml, nodes);
    simulation.pass(SignedDuration::from_hours(1));
    simulation.act();
    let name = simulation.names().pop().expect("a DaemonSet");
    (simulation, name)
}

/// On these nodes the power fails, and their kubelets fail at first.
fn reboot(simulation: &mut Simulation, daemon_set: &str, nodes: &[&str]) {
    for node in nodes {
        simulation.reboot(node);
        simulation.set(daemon_set, Some(node), "a:1", State::Failed);
    }
}

#[test]
fn a_node_that_reboots_is_reported_neither_as_failing_nor_as_recovered() {
    for nodes in [&["n1"][..], &["n0", "n1", "n2"]] {
        let (mut simulation, name) = settled("[a:1, b:1]", 3);
        reboot(&mut simulation, &name, nodes);
        assert_eq!(reported_within(&mut simulation, 1), []);
        nodes.iter().for_each(|node| simulation.set(&name, Some(node), "a:1", State::Exited));
        assert_eq!(reported_within(&mut simulation, 1), []);
        simulation.set(&name, None, "a:1", State::Running);
        simulation.set(&name, None, "b:1", State::Running);
        assert_eq!(reported_within(&mut simulation, 10), []);
    }
}

#[test]
fn an_image_that_stays_away_after_a_reboot_is_reported_once_and_its_recovery_too() {
    let (mut simulation, name) = settled("[a:1, b:1]", 3);
    reboot(&mut simulation, &name, &["n1"]);
    let until = simulation.plan().wake_at.expect("a time");
    assert_eq!(until.duration_since(simulation.now), super::super::conditions::STARTING);
    let findings = reported_within(&mut simulation, 10);
    let [Finding::ImagesFailing { images, .. }] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(images[0].nodes, ["n1".to_owned()].into());
    reboot(&mut simulation, &name, &["n1"]);
    assert_eq!(reported_within(&mut simulation, 10), [], "it failed before");
    simulation.set(&name, None, "a:1", State::Running);
    let findings = reported_within(&mut simulation, 10);
    assert!(matches!(&findings[..], [Finding::ImagesRecovered { .. }]), "{findings:?}");
}

#[test]
fn a_node_that_has_just_joined_may_fail_for_a_moment_where_others_hold_the_image() {
    // Otherwise its pod would be replaced by one that takes what is on the disk.
    let pinned = format!("a@sha256:{}", "a".repeat(64));
    let (mut simulation, name) = settled(&format!("['{pinned}']"), 3);
    let mut joined = node(3);
    joined.ready_since = Some(simulation.now);
    simulation.nodes.push(joined);
    simulation.step();
    simulation.set(&name, Some("n3"), &pinned, State::Failed);
    assert_eq!(reported_within(&mut simulation, 2), []);
    assert_eq!(reported_within(&mut simulation, 3).len(), 1, "it lasts");
}

#[test]
fn a_wrong_list_on_new_nodes_is_reported_at_once() {
    let mut simulation = Simulation::new("[a:1, b:1]", 3);
    let now = simulation.now;
    simulation.nodes.iter_mut().for_each(|node| node.ready_since = Some(now));
    simulation.unavailable.insert("b:1".to_owned());
    let mut findings = Vec::new();
    for _ in 0..20 {
        findings.extend(simulation.step().condition_reports.into_iter().flat_map(|report| report.findings));
    }
    assert!(matches!(&findings[..], [Finding::ImagesFailing { count: 1, .. }, ..]), "{findings:?}");
}
