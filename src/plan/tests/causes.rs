//! Why images fail is known to a new controller process too, though kubelets say it only once.

use jiff::SignedDuration;

use super::note;
use super::simulation::{Simulation, State};
use crate::naming::labels;
use crate::plan::Finding;

const REFUSED: (&str, &str) = ("ErrImagePull", "failed to resolve reference \"b:1\": 503 Service Unavailable");
const BARE: (&str, &str) = ("ImagePullBackOff", "Back-off pulling image \"b:1\"");

fn fails_on(simulation: &mut Simulation, node: &str, words: (&'static str, &'static str)) {
    let name = simulation.names().pop().expect("a DaemonSet");
    for pod in simulation.pods.iter_mut().filter(|pod| pod.node == node) {
        pod.containers.iter_mut().filter(|it| it.image == "b:1").for_each(|it| it.failure = words);
    }
    simulation.set(&name, Some(node), "b:1", State::Failed);
}

/// What a new controller process reports.
fn reported(simulation: &mut Simulation) -> Vec<Finding> {
    simulation.pass(SignedDuration::from_mins(2));
    simulation.restart_controller();
    simulation.act().condition_reports.into_iter().flat_map(|report| report.findings).collect()
}

fn stored(simulation: &mut Simulation) -> String {
    let name = simulation.names().pop().expect("a DaemonSet");
    let annotations = simulation.stored(&name).metadata.annotations.clone().unwrap_or_default();
    annotations.get(labels::CONDITIONS).cloned().unwrap_or_default()
}

fn settled() -> Simulation {
    let mut simulation = Simulation::settled("[a:1, b:1]", 4);
    reported(&mut simulation);
    simulation
}

#[test]
fn a_new_process_reports_the_cause_that_kubelets_do_not_repeat() {
    let mut simulation = settled();
    fails_on(&mut simulation, "n0", REFUSED);
    assert_eq!(reported(&mut simulation).len(), 1);
    fails_on(&mut simulation, "n0", BARE);
    assert_eq!(reported(&mut simulation), []);
    fails_on(&mut simulation, "n1", BARE);
    let findings = reported(&mut simulation);
    let [failing @ Finding::ImagesFailing { .. }] = &findings[..] else { panic!("{findings:?}") };
    assert!(note(failing).contains("503 Service Unavailable"), "{}", note(failing));
}

#[test]
fn a_cause_that_is_known_later_is_stored_without_a_report_and_not_written_again() {
    let mut simulation = settled();
    fails_on(&mut simulation, "n0", BARE);
    assert_eq!(reported(&mut simulation).len(), 1);
    assert!(!stored(&mut simulation).contains("503"));
    fails_on(&mut simulation, "n0", REFUSED);
    assert_eq!(reported(&mut simulation), []);
    assert!(stored(&mut simulation).contains("503"));
    fails_on(&mut simulation, "n0", BARE);
    simulation.pass(SignedDuration::from_mins(2));
    assert_eq!(simulation.plan().condition_reports, []);
}

#[test]
fn the_next_rollout_knows_it_too() {
    let mut simulation = settled();
    fails_on(&mut simulation, "n0", REFUSED);
    assert_eq!(reported(&mut simulation).len(), 1);
    simulation.edit("[a:1, b:1, c:1]");
    simulation.step();
    simulation.step();
    assert_eq!(simulation.names().len(), 2);
    assert!(stored(&mut simulation).contains("503"));
}

#[test]
fn the_cause_of_a_failing_init_container_is_known_to_a_new_process_too() {
    const OWN: &str = "registry.example/kube-prepull:broken";
    let says = |simulation: &mut Simulation, node: &str, words: (&'static str, &'static str)| {
        let pods = simulation.pods.iter_mut().filter(|pod| pod.node == node);
        pods.for_each(|pod| pod.init_failure = Some(words));
    };
    let mut simulation = Simulation::new("[a:1]", 4);
    simulation.break_own_image(OWN, &["n0", "n1", "n2"]);
    simulation.step();
    says(&mut simulation, "n0", REFUSED);
    ["n1", "n2"].iter().for_each(|node| says(&mut simulation, node, BARE));
    let findings = reported(&mut simulation);
    let [failing @ Finding::InitContainersFailing { .. }, ..] = &findings[..] else { panic!("{findings:?}") };
    assert!(note(failing).contains("503 Service Unavailable"), "most nodes say no cause: {}", note(failing));
    assert!(stored(&mut simulation).contains("503"));
    says(&mut simulation, "n0", BARE);
    simulation.without_own_image.extend((4..8).map(|node| (OWN.to_owned(), format!("n{node}"))));
    (4..8).for_each(|_| simulation.join());
    simulation.step();
    (4..8).for_each(|node| says(&mut simulation, &format!("n{node}"), BARE));
    let findings = reported(&mut simulation);
    let [failing @ Finding::InitContainersFailing { .. }] = &findings[..] else { panic!("{findings:?}") };
    assert!(note(failing).contains("503 Service Unavailable"), "{}", note(failing));
}
