//! Reports about groups: once for each condition, even if the controller restarts.

use jiff::SignedDuration;

use super::note;
use super::simulation::{Simulation, State};
use crate::plan::generation::pod_creation::GRACE;
use crate::plan::refusals::CHECK_AGAIN;
use crate::plan::{Finding, Plan};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What is reported now, by a new controller process each time.
fn reported(simulation: &mut Simulation) -> Vec<Finding> {
    simulation.restart_controller();
    simulation.act().condition_reports.into_iter().flat_map(|condition_report| condition_report.findings).collect()
}

/// Everything that is reported within ten minutes without any change.
fn reported_later(simulation: &mut Simulation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for _ in 0..10 {
        findings.extend(reported(simulation));
        simulation.pass(MINUTE);
    }
    findings
}

/// A list whose images are on all nodes, and whose rollout was reported long ago.
fn settled(images_yaml: &str, nodes: usize) -> Simulation {
    let mut simulation = Simulation::settled(images_yaml, nodes);
    simulation.pass(MINUTE);
    assert_eq!(reported_later(&mut simulation), [], "it was reported while it settled");
    simulation
}

fn newest(simulation: &Simulation) -> String {
    simulation.names().pop().expect("a DaemonSet")
}

#[test]
fn a_failing_image_is_reported_once_for_all_nodes_and_once_when_it_recovers() {
    let mut simulation = settled("[a:1, b:1, c:1]", 5);
    let name = newest(&simulation);
    simulation.set(&name, None, "b:1", State::Failed);
    let [failing @ Finding::ImagesFailing { .. }] = &reported_later(&mut simulation)[..] else { panic!("one finding") };
    let note = note(failing);
    assert!(
        note.starts_with("group default: 1 of 3 images cannot be held: b:1 cannot be pulled on n0, n1, n2, and 2 more"),
        "{note}"
    );
    simulation.set(&name, Some("n3"), "b:1", State::Running);
    assert_eq!(reported_later(&mut simulation), []);
    simulation.set(&name, None, "b:1", State::Running);
    let expected = Finding::ImagesRecovered { group: "default".to_owned(), references: vec!["b:1".to_owned()] };
    assert_eq!(reported_later(&mut simulation), [expected]);
}

#[test]
fn a_pull_that_a_node_holds_back_is_not_reported_and_a_failure_that_was_reported_is_not_over_by_it() {
    let mut simulation = settled("[a:1, b:1]", 3);
    let name = newest(&simulation);
    simulation.set(&name, None, "b:1", State::HeldBack);
    assert_eq!(reported_later(&mut simulation), []);
    simulation.set(&name, None, "b:1", State::Failed);
    assert_eq!(reported_later(&mut simulation).len(), 1);
    simulation.set(&name, None, "b:1", State::HeldBack);
    assert_eq!(reported_later(&mut simulation), []);
    simulation.set(&name, None, "b:1", State::Running);
    assert!(matches!(reported_later(&mut simulation)[..], [Finding::ImagesRecovered { .. }]));
}

#[test]
fn recreated_pods_do_not_count_as_recovery() {
    let mut simulation = settled("[a:1]", 3);
    let name = newest(&simulation);
    simulation.unavailable.insert("a:1".to_owned());
    simulation.set(&name, Some("n1"), "a:1", State::Failed);
    assert_eq!(reported_later(&mut simulation).len(), 1);
    simulation.set(&name, Some("n1"), "a:1", State::Waiting);
    assert_eq!(reported_later(&mut simulation), [], "the result is not known yet");
    let pods = std::mem::take(&mut simulation.pods);
    simulation.pods = pods.into_iter().filter(|pod| pod.node != "n1").collect();
    assert_eq!(reported_later(&mut simulation), [], "the pull is still in progress");
    simulation.request_rollout("one");
    simulation.settle();
    assert_eq!(
        reported_later(&mut simulation),
        [],
        "the next rollout fails in the same way, and more nodes have been reported since"
    );
    simulation.unavailable.clear();
    simulation.settle();
    let findings = reported_later(&mut simulation);
    assert!(matches!(&findings[..], [] | [Finding::ImagesRecovered { .. }]), "{findings:?}");
}

#[test]
fn a_spreading_outage_is_reported_at_most_once_a_minute() {
    let images: Vec<String> = (0..20).map(|image| format!("i{image}:1")).collect();
    let mut simulation = settled(&format!("[{}]", images.join(", ")), 3);
    let name = newest(&simulation);
    let mut findings = Vec::new();
    for (second, image) in images.iter().enumerate() {
        simulation.set(&name, None, image, State::Failed);
        findings.extend(reported(&mut simulation).into_iter().map(|finding| (second, finding)));
        simulation.pass(SignedDuration::from_secs(1));
    }
    assert_eq!(findings.len(), 1);
    simulation.now = simulation.plan().wake_at.expect("the rest is reported later");
    let [failing @ Finding::ImagesFailing { .. }] = &reported(&mut simulation)[..] else { panic!("the rest") };
    let note = note(failing);
    assert!(note.contains("19 of 20 images cannot be held") && note.contains("and 16 more"), "{note}");
    assert!(note.len() < 1024, "{note}");
    assert_eq!(reported_later(&mut simulation), []);
}

#[test]
fn nodes_that_are_not_ready_report_no_failure() {
    let mut simulation = settled("[a:1]", 3);
    let name = newest(&simulation);
    simulation.nodes[1].ready = false;
    simulation.set(&name, Some("n1"), "a:1", State::Failed);
    assert_eq!(reported_later(&mut simulation), []);
}

#[test]
fn a_complete_rollout_is_reported_once_with_its_duration_and_nodes() {
    let mut simulation = Simulation::new("[a:1, b:1]", 4);
    let mut findings = Vec::new();
    for _ in 0..30 {
        simulation.restart_controller();
        findings.extend(
            simulation.step().condition_reports.into_iter().flat_map(|condition_report| condition_report.findings),
        );
    }
    let [Finding::RolloutComplete { images: 2, nodes: 4, took, .. }] = findings[..] else { panic!("{findings:?}") };
    assert!(took.is_positive(), "{took}");
}

#[test]
fn a_rollout_that_ends_without_all_images_is_not_reported_complete_before_all_nodes_hold_them() {
    let mut simulation = Simulation::settled("[a:1, b:1]", 4);
    simulation.pass(MINUTE);
    simulation.edit("[a:1, b:1, c:1]");
    simulation.unavailable.insert("c:1".to_owned());
    let mut findings = Vec::new();
    for _ in 0..60 {
        simulation.restart_controller();
        findings.extend(simulation.step().condition_reports.into_iter().flat_map(|it| it.findings));
    }
    let [Finding::ImagesFailing { .. }, stalled @ Finding::RolloutStalled { .. }] = &findings[..] else {
        panic!("{findings:?}")
    };
    let text = note(stalled);
    assert!(text.contains("0 of 4 nodes hold all of its 3 images") && !text.contains("complete"), "{text}");
    simulation.unavailable.clear();
    simulation.pass(MINUTE);
    simulation.pull();
    let findings = reported_later(&mut simulation);
    let [Finding::ImagesRecovered { .. }, complete @ Finding::RolloutComplete { .. }] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert!(note(complete).ends_with("3 images are held on 4 nodes"), "{complete:?}");
}

#[test]
fn without_the_right_to_read_nodes_a_rollout_is_reported_complete_when_all_pods_should_have_come() {
    let mut simulation = Simulation::new("[a:1]", 4);
    simulation.may_read_nodes = false;
    for _ in 0..10 {
        assert_eq!(simulation.step().condition_reports, []);
    }
    simulation.now = simulation.plan().wake_at.expect("a time");
    let [complete @ Finding::RolloutComplete { .. }] = &reported(&mut simulation)[..] else { panic!("one finding") };
    assert!(note(complete).ends_with("1 image is held on 4 nodes"), "{complete:?}");
    assert_eq!(reported_later(&mut simulation), []);
}

#[test]
fn a_rollout_whose_older_generation_is_still_needed_is_not_complete() {
    let mut simulation = settled("[a:1, b:1]", 4);
    simulation.unavailable.insert("b:1".to_owned());
    simulation.request_rollout("one");
    simulation.settle();
    let findings = reported_later(&mut simulation);
    assert!(!findings.iter().any(|finding| matches!(finding, Finding::RolloutComplete { .. })), "{findings:?}");
    assert_eq!(simulation.daemon_sets.len(), 2);
}

#[test]
fn a_group_that_matches_no_node_is_reported_again_only_after_it_matched_one() {
    let list = "groups: [{name: gpu, images: [a:1], nodeSelector: {gpu: nvidia}}]";
    let mut simulation = Simulation::new(list, 3);
    simulation.step();
    let mut findings = reported_later(&mut simulation);
    findings.extend(reported_later(&mut simulation));
    assert_eq!(findings, [Finding::NoNodes { group: "gpu".to_owned() }]);
    simulation.nodes[0].labels.insert("gpu".to_owned(), "nvidia".to_owned());
    simulation.settle();
    reported_later(&mut simulation);
    simulation.nodes[0].labels.remove("gpu");
    assert_eq!(reported_later(&mut simulation).len(), 1, "it has begun again");
}

#[test]
fn without_the_right_to_read_nodes_no_group_is_reported_to_match_none() {
    let mut simulation = Simulation::new("groups: [{name: gpu, images: [a:1], nodeSelector: {gpu: nvidia}}]", 3);
    simulation.may_read_nodes = false;
    simulation.step();
    simulation.step();
    assert_eq!(reported_later(&mut simulation), []);
}

#[test]
fn an_eviction_loop_is_reported_once_even_if_the_controller_restarts() {
    let mut simulation = settled("[a:1]", 5);
    let name = newest(&simulation);
    for node in ["n0", "n1", "n2", "n3"] {
        for minutes in [30, 20, 10] {
            simulation.evicted.push((name.clone(), node.to_owned(), simulation.now - minutes * MINUTE));
        }
    }
    let [evicted @ Finding::EvictionLoop { .. }] = &reported(&mut simulation)[..] else { panic!("one finding") };
    assert!(note(evicted).contains("on 4 nodes (n0, n1, n2, and 1 more"), "{evicted:?}");
    // A new controller process has not seen any of it.
    let before = std::mem::take(&mut simulation.evicted);
    simulation.pass(10 * MINUTE);
    assert_eq!(reported_later(&mut simulation), []);
    simulation.evicted = before.iter().map(|(name, node, _)| (name.clone(), node.clone(), simulation.now)).collect();
    assert_eq!(reported_later(&mut simulation), [], "it still lasts");
    simulation.evicted.clear();
    simulation.pass(120 * MINUTE);
    assert_eq!(reported_later(&mut simulation), []);
    simulation.evicted = before.iter().map(|(name, node, _)| (name.clone(), node.clone(), simulation.now)).collect();
    assert_eq!(reported_later(&mut simulation).len(), 1, "it has begun again");
}

fn refused(simulation: &mut Simulation) -> Vec<Finding> {
    reported_later(simulation).into_iter().filter(|finding| matches!(finding, Finding::PodsRefused { .. })).collect()
}

#[test]
fn refused_pods_release_nothing_and_are_reported_once_with_a_sample_pod() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.pods_refused = true;
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    let wake_at = simulation.plan().wake_at.expect("a time");
    assert!(wake_at <= simulation.now + GRACE);
    assert_eq!(refused(&mut simulation.clone()).len(), 1);
    simulation.now = wake_at;
    assert!(simulation.plan().actions.is_empty());
    let findings = refused(&mut simulation);
    let [Finding::PodsRefused { nodes, pod: Some(pod), .. }] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(nodes.iter().collect::<Vec<_>>(), ["n0", "n1", "n2"]);
    assert!(pod.metadata.generate_name.as_ref().is_some_and(|name| name.starts_with("tools-")), "{pod:?}");
    simulation.pods_refused = false;
    simulation.settle();
    assert_eq!(refused(&mut simulation), []);
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn refusals_are_detected_without_the_right_to_read_nodes_too() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.may_read_nodes = false;
    simulation.pods_refused = true;
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    simulation.pass(GRACE);
    assert_eq!(refused(&mut simulation).len(), 1);
}

/// Lets the DaemonSet controller create one pod every ten seconds, for that long. Returns what is reported of refused pods.
fn slowly(simulation: &mut Simulation, minutes: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    for _ in 0..minutes * 6 {
        simulation.restart_controller();
        let reports = simulation.act().condition_reports;
        findings.extend(reports.into_iter().flat_map(|report| report.findings));
        simulation.pods_at_once = 1;
        simulation.place_pods();
        simulation.pass(SignedDuration::from_secs(10));
    }
    findings.retain(|finding| matches!(finding, Finding::PodsRefused { .. }));
    findings
}

#[test]
fn a_slow_daemon_set_controller_does_not_count_as_a_refusal_as_long_as_pods_come() {
    let mut simulation = Simulation::new("[a:1]", 80);
    simulation.pods_at_once = 1;
    assert_eq!(slowly(&mut simulation, 10), []);
    assert!(simulation.pods.len() < 80, "it is not ready yet");
    assert_eq!(slowly(&mut simulation, 10), []);
    assert_eq!(simulation.pods.len(), 80);

    let mut simulation = Simulation::settled("[a:1]", 80);
    simulation.edit("[a:1, b:1]");
    assert_eq!(slowly(&mut simulation, 10), [], "beside an older generation");
}

#[test]
fn pods_that_are_refused_halfway_are_reported_once_none_has_come_for_a_while() {
    let mut simulation = Simulation::settled("[a:1]", 80);
    simulation.edit("[a:1, b:1]");
    assert_eq!(slowly(&mut simulation, 5), []);
    simulation.pods_refused = true;
    let since = simulation.now;
    let mut findings = Vec::new();
    while findings.is_empty() && simulation.now < since + 2 * GRACE {
        findings = refused_now(&mut simulation);
        simulation.pass(SignedDuration::from_secs(10));
    }
    let [Finding::PodsRefused { nodes, .. }] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(nodes.len(), 80 - simulation.pods.iter().filter(|pod| pod.daemon_set == newest(&simulation)).count());
    assert!(
        simulation.now <= since + GRACE + SignedDuration::from_secs(20),
        "{}",
        simulation.now.duration_since(since)
    );
}

#[test]
fn that_no_pod_comes_is_certain_to_be_no_slowness_after_ten_minutes_only() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.pods_refused = true;
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    let is_certain = |simulation: &Simulation| {
        let findings = refused_now(&mut simulation.clone());
        let [Finding::PodsRefused { certain, .. }] = &findings[..] else { panic!("{findings:?}") };
        *certain
    };
    simulation.pass(GRACE);
    assert!(!is_certain(&simulation));
    simulation.pass(SignedDuration::from_mins(9));
    assert!(is_certain(&simulation));
}

#[test]
fn a_refusal_that_a_dry_run_refutes_is_left_out_until_it_is_asked_again_or_certain() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.pods_refused = true;
    simulation.edit("[a:1, b:1]");
    simulation.settle();
    simulation.pass(GRACE);
    let (plan, generations, now) = (simulation.plan(), simulation.generations(), simulation.now);
    let report = |plan: &Plan| plan.condition_reports.len();
    assert_eq!(report(&plan), 1);
    let newest = newest(&simulation);
    let accepted = |name: &str| (name == newest).then_some(now);
    let left_out = plan.clone().without_refuted_refusals(&generations, accepted, now);
    assert_eq!((report(&left_out), left_out.wake_at), (0, Some(now + CHECK_AGAIN)));
    let other = plan.clone().without_refuted_refusals(&generations, |_| None, now);
    assert_eq!(other, plan, "nothing is known of it");
    let later = plan.clone().without_refuted_refusals(&generations, accepted, now + CHECK_AGAIN);
    assert_eq!(report(&later), 1, "it is asked again");
    simulation.pass(SignedDuration::from_mins(10));
    let certain = simulation.plan().without_refuted_refusals(&generations, |_| Some(simulation.now), simulation.now);
    assert_eq!(report(&certain), 1);
}

fn refused_now(simulation: &mut Simulation) -> Vec<Finding> {
    reported(simulation).into_iter().filter(|finding| matches!(finding, Finding::PodsRefused { .. })).collect()
}

#[test]
fn a_node_that_joins_later_does_not_count_as_a_refusal() {
    let mut simulation = Simulation::settled("[a:1]", 3);
    simulation.pass(GRACE);
    simulation.nodes.push(super::simulation::node(3));
    assert_eq!(refused(&mut simulation), []);
}

#[test]
fn always_pull_enforced_by_admission_is_reported_once() {
    let mut simulation = Simulation::new("[a:1]", 2);
    simulation.always_pulls = true;
    let mut found = 0;
    for _ in 0..20 {
        let findings = reported(&mut simulation);
        found += findings.iter().filter(|finding| matches!(finding, Finding::AlwaysPullEnforced { .. })).count();
        simulation.place_pods();
        simulation.pull();
        simulation.pass(SignedDuration::from_secs(1));
    }
    assert_eq!(found, 1);
}
