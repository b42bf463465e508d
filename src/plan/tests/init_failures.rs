//! Pods that cannot start, because their init container fails: nothing is released for them, and they are reported.

use jiff::SignedDuration;

use super::note;
use super::simulation::{Simulation, State};
use crate::plan::{Action, Finding, RolloutCause};

const BROKEN: &str = "registry.example/kube-prepull:missing";
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A new list on nodes of which these cannot pull kube-prepull's own image.
fn installed(nodes: usize, without: &[&str]) -> Simulation {
    let mut simulation = Simulation::new("[a:1, b:1]", nodes);
    simulation.break_own_image(BROKEN, without);
    simulation
}

/// Everything that is reported within some minutes, by a new controller process each time.
fn reported(simulation: &mut Simulation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for _ in 0..60 {
        simulation.restart_controller();
        findings.extend(simulation.step().condition_reports.into_iter().flat_map(|report| report.findings));
        simulation.pass(SignedDuration::from_secs(4));
    }
    findings
}

fn causes(simulation: &mut Simulation) -> Vec<RolloutCause> {
    let actions = simulation.act().actions.into_iter();
    let cause = |action| match action {
        Action::Create { cause, .. } => Some(cause),
        _ => None,
    };
    actions.filter_map(cause).collect()
}

#[test]
fn an_own_image_that_cannot_be_pulled_is_reported_once_and_no_rollout_is_complete() {
    let mut simulation = installed(5, &["n0", "n1", "n2", "n3", "n4"]);
    let findings = reported(&mut simulation);
    let [failing @ Finding::InitContainersFailing { containers, .. }, stalled @ Finding::RolloutStalled { .. }] =
        &findings[..]
    else {
        panic!("{findings:?}")
    };
    assert!(note(stalled).contains("0 of 5 nodes hold all of its 2 images"), "{stalled:?}");
    assert!(containers[0].failure.is_own() && containers[0].nodes.len() == 5, "{containers:?}");
    let note = note(failing);
    let start =
        format!("group default: pods of the DaemonSet {} cannot start, so they pull no image: ", simulation.names()[0]);
    assert!(note.starts_with(&start), "{note}");
    assert!(
        note.contains(&format!("on n0, n1, n2, and 2 more: kube-prepull's own image {BROKEN} cannot be pulled")),
        "{note}"
    );

    simulation.without_own_image.clear();
    let findings = reported(&mut simulation);
    let [Finding::InitContainersRecovered { containers, .. }, Finding::RolloutComplete { nodes: 5, .. }] =
        &findings[..]
    else {
        panic!("{findings:?}")
    };
    assert_eq!(containers, &["install-holder"]);
}

#[test]
fn a_pod_that_is_recreated_is_no_recovery() {
    let mut simulation = installed(3, &["n1"]);
    let findings = reported(&mut simulation);
    let [Finding::InitContainersFailing { .. }, Finding::RolloutStalled { nodes: 3, nodes_with_all: 2, .. }] =
        findings[..]
    else {
        panic!("{findings:?}")
    };
    simulation.pods.retain(|pod| pod.node != "n1");
    simulation.pass(2 * MINUTE);
    assert_eq!(simulation.act().condition_reports, [], "the new pod is not there yet");
    assert_eq!(reported(&mut simulation), []);
}

#[test]
fn an_image_that_failed_before_its_pod_had_to_start_again_is_neither_reported_again_nor_as_recovered() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    reported(&mut simulation);
    simulation.unavailable.insert("a:1".to_owned());
    simulation.set(&simulation.names()[0].clone(), Some("n1"), "a:1", State::Failed);
    assert!(matches!(reported(&mut simulation)[..], [Finding::ImagesFailing { .. }]));
    let own = simulation.holder_image.clone();
    simulation.break_own_image(&own, &["n1"]);
    simulation.reboot("n1");
    let findings = reported(&mut simulation);
    assert!(matches!(findings[..], [Finding::InitContainersFailing { .. }]), "{findings:?}");
}

#[test]
fn an_init_container_that_fails_for_a_moment_after_a_reboot_is_not_reported() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    reported(&mut simulation);
    let own = simulation.holder_image.clone();
    simulation.break_own_image(&own, &["n1"]);
    simulation.reboot("n1");
    simulation.pass(MINUTE);
    assert_eq!(simulation.act().condition_reports, []);
    simulation.without_own_image.clear();
    assert_eq!(reported(&mut simulation), [], "neither as failing nor as recovered");
}

#[test]
fn what_is_held_stays_held_while_new_pods_cannot_start() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 4);
    simulation.break_own_image(BROKEN, &["n0", "n1", "n2", "n3"]);
    for list in ["[a:1, b:1, c:1]", "[a:1, b:1, d:1]", "[a:1, b:1, e:1]", "[a:1, b:1, f:1]", "[a:1, b:1, g:1]"] {
        simulation.edit(list);
        simulation.settle();
        simulation.pass(10 * MINUTE);
        simulation.settle();
        for node in ["n0", "n1", "n2", "n3"] {
            assert_eq!(simulation.held_on(node), ["a:1", "b:1"].into());
        }
        assert_eq!(simulation.daemon_sets.len(), 2, "one holds the images, and one has the newest list");
        assert_eq!(simulation.plan().waiting, [], "edits do not pile up");
    }
    simulation.without_own_image.clear();
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1", "g:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_few_nodes_on_which_new_pods_cannot_start_keep_the_old_ones_and_block_no_edit() {
    let mut simulation = Simulation::settled("[a:1]", 8);
    simulation.break_own_image(BROKEN, &["n3"]);
    for number in 0..5 {
        simulation.edit(&format!("[a:1, x{number}:1]"));
        simulation.settle();
        simulation.pass(10 * MINUTE);
        simulation.settle();
        assert!(simulation.held_on("n3").contains("a:1"));
        assert_eq!(
            simulation.held_on("n1"),
            ["a:1".to_owned(), format!("x{number}:1")].iter().map(String::as_str).collect()
        );
        assert_eq!(simulation.plan().waiting, [], "{number}");
    }
}

#[test]
fn a_full_node_keeps_its_old_pod_while_another_new_pod_cannot_start() {
    let mut simulation = Simulation::settled("[a:1]", 4);
    simulation.capacity.insert("n1".to_owned(), 1);
    simulation.break_own_image(BROKEN, &["n2"]);
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    simulation.pass(10 * MINUTE);
    simulation.settle();
    assert_eq!(simulation.held_on("n1"), ["a:1"].into());
}

#[test]
fn an_own_image_with_which_no_pod_started_is_replaced_as_soon_as_another_one_is_set() {
    let mut simulation = installed(3, &["n0", "n1", "n2"]);
    simulation.settle();
    assert_eq!(causes(&mut simulation), []);
    simulation.holder_image = "registry.example/kube-prepull:1".to_owned();
    assert_eq!(causes(&mut simulation), [RolloutCause::OwnImage]);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
    assert_eq!(simulation.daemon_sets.len(), 1, "nothing needs the one that never started");
    assert_eq!(simulation.created, 2);
}

#[test]
fn a_change_of_the_own_image_alone_moves_no_node_as_long_as_any_pod_started() {
    let mut simulation = installed(3, &["n1"]);
    simulation.settle();
    simulation.holder_image = "registry.example/kube-prepull:1".to_owned();
    assert_eq!(causes(&mut simulation), []);
    let mut settled = Simulation::settled("[a:1]", 3);
    settled.holder_image = "registry.example/kube-prepull:2".to_owned();
    assert_eq!(causes(&mut settled), []);
}

#[test]
fn an_init_container_that_fails_for_a_moment_on_a_node_that_has_just_joined_is_not_reported() {
    let joined = |fails_elsewhere: bool| {
        let mut simulation = Simulation::settled("[a:1]", 3);
        reported(&mut simulation);
        let own = simulation.holder_image.clone();
        simulation.break_own_image(&own, &["n3"]);
        if fails_elsewhere {
            simulation.without_own_image.extend(["n0", "n1", "n2"].map(|node| (own.clone(), node.to_owned())));
            simulation.pods.clear();
        }
        simulation.join();
        simulation.nodes[3].ready_since = Some(simulation.now);
        for _ in 0..3 {
            simulation.step();
        }
        simulation
    };
    let is_reported = |simulation: &mut Simulation| {
        simulation.pass(MINUTE);
        simulation.restart_controller();
        let reports = simulation.act().condition_reports.into_iter().flat_map(|report| report.findings);
        reports.into_iter().any(|finding| matches!(finding, Finding::InitContainersFailing { .. }))
    };
    let mut simulation = joined(false);
    assert!(!is_reported(&mut simulation));
    simulation.without_own_image.clear();
    assert_eq!(reported(&mut simulation), [], "neither as failing nor as recovered");
    let mut simulation = joined(false);
    assert_eq!(std::array::from_fn(|_| is_reported(&mut simulation)), [false, false, true, false], "it lasts");
}

#[test]
fn a_node_without_capacity_ends_a_rollout_that_others_have_completed() {
    let mut simulation = Simulation::new("[a:1]", 3);
    simulation.capacity.insert("n1".to_owned(), 0);
    let created = simulation.now;
    let mut findings = Vec::new();
    while findings.is_empty() && simulation.now < created + 10 * MINUTE {
        simulation.restart_controller();
        findings.extend(simulation.step().condition_reports.into_iter().flat_map(|report| report.findings));
    }
    assert!(matches!(findings[..], [Finding::RolloutStalled { nodes: 3, nodes_with_all: 2, .. }]), "{findings:?}");
    let took = simulation.now.duration_since(created);
    assert!(took >= 2 * MINUTE && took < 3 * MINUTE, "other workloads may end first: {took}");
    simulation.capacity.clear();
    let findings = reported(&mut simulation);
    assert!(matches!(findings[..], [Finding::RolloutComplete { nodes: 3, .. }]), "{findings:?}");
}

#[test]
fn a_node_on_which_pods_cannot_start_makes_no_other_node_ask_for_every_tag() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 3);
    let own = simulation.holder_image.clone();
    simulation.break_own_image(&own, &["n3"]);
    simulation.join();
    simulation.settle();
    simulation.asked.clear();
    simulation.edit("[a:1, b:1, c:1]");
    simulation.settle();
    assert_eq!(simulation.asked, [("c:1".to_owned(), 3)].into());
}
