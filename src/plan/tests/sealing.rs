//! Images on a node's disk stay held even if the registry does not serve them.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::simulation::{Simulation, State, name, node};
use crate::plan::{Action, Plan};

const TWO: &str = "{images: [a:1, b:1], refresh: {every: 8000h, mode: Always}}";

fn outage(simulation: &mut Simulation) {
    simulation.unavailable = ["a:1", "b:1", "c:1"].map(str::to_owned).into();
}

/// Somebody deletes the pods on a node, and the DaemonSet controller replaces them.
fn replace_pods(simulation: &mut Simulation, node: &str) {
    simulation.pass(SignedDuration::from_secs(2));
    simulation.pods.retain(|pod| pod.node != node);
    simulation.place_pods();
}

fn sealed(plan: &Plan) -> Vec<&BTreeSet<String>> {
    let mut sealed = Vec::new();
    for action in &plan.actions {
        if let Action::Seal { images, .. } = action {
            sealed.push(images);
        }
    }
    sealed
}

fn replaced(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action, Action::ReplacePod { .. })).count()
}

/// Steps until a generation is sealed.
fn until_sealed(simulation: &mut Simulation) -> Plan {
    for _ in 0..10 {
        let plan = simulation.step();
        if !sealed(&plan).is_empty() {
            return plan;
        }
    }
    panic!("nothing is sealed: {:#?}", simulation.pods);
}

#[test]
fn a_pod_replaced_during_an_outage_holds_what_is_on_the_disk() {
    let mut simulation = Simulation::settled(TWO, 3);
    outage(&mut simulation);
    replace_pods(&mut simulation, "n1");
    let plan = until_sealed(&mut simulation);
    assert_eq!(
        sealed(&plan),
        [&["a".to_owned(), "b".to_owned()].into()],
        "both images at once, although one has not failed yet"
    );
    simulation.settle();
    assert_eq!(simulation.held_on("n1"), ["a:1", "b:1"].into());
    assert_eq!(simulation.created, 1);
}

#[test]
fn a_sealed_daemon_set_keeps_its_containers_in_the_order_of_the_list() {
    let pinned = "p@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let mut simulation = Simulation::settled(&format!("[b:1, '{pinned}', a:1]"), 1);
    outage(&mut simulation);
    replace_pods(&mut simulation, "n0");
    until_sealed(&mut simulation);
    let template = &simulation.daemon_sets[0].spec.as_ref().expect("a spec").template;
    let containers = &template.spec.as_ref().expect("a pod template").containers;
    let policies = containers.iter().map(|it| (it.name.as_str(), it.image_pull_policy.as_deref()));
    let from_disk = Some("IfNotPresent");
    assert_eq!(policies.collect::<Vec<_>>(), [("b", from_disk), ("p", from_disk), ("a", from_disk)]);
}

#[test]
fn a_node_that_reboots_during_an_outage_holds_what_is_on_its_disk() {
    let mut simulation = Simulation::settled(TWO, 2);
    outage(&mut simulation);
    simulation.reboot("n0");
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
}

#[test]
fn an_image_that_is_not_on_the_disk_costs_at_most_one_pod() {
    let mut simulation = Simulation::settled(TWO, 2);
    outage(&mut simulation);
    simulation.disks.clear();
    replace_pods(&mut simulation, "n0");
    let replaced: usize = (0..50).map(|_| replaced(&simulation.step())).sum();
    assert_eq!(replaced, 1);
}

#[test]
fn an_image_that_could_never_be_pulled_replaces_no_pod() {
    let mut simulation = Simulation::new(TWO, 2);
    simulation.unavailable = ["b:1".to_owned()].into();
    for _ in 0..200 {
        let plan = simulation.step();
        assert!(sealed(&plan).is_empty() && replaced(&plan) == 0, "{plan:?}");
    }
}

#[test]
fn nothing_is_sealed_during_a_rollout() {
    let mut simulation = Simulation::settled(TWO, 2);
    outage(&mut simulation);
    simulation.request("now");
    simulation.step();
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 2, "the older generation keeps its images");
    let newest = name(&simulation.daemon_sets[1]);
    simulation.pass(SignedDuration::from_mins(10));
    simulation.pods.retain(|pod| pod.daemon_set != newest || pod.node != "n0");
    simulation.place_pods();
    for _ in 0..20 {
        assert!(sealed(&simulation.step()).is_empty());
    }
}

#[test]
fn a_retiring_generation_is_kept_until_its_replaced_pods_have_tried() {
    let mut simulation = Simulation::settled(TWO, 1);
    outage(&mut simulation);
    simulation.request("now");
    simulation.settle();
    let oldest = name(&simulation.daemon_sets[0]);
    replace_pods(&mut simulation, "n0");
    simulation.settle();
    let held = simulation.pods.iter().find(|pod| pod.daemon_set == oldest).expect("its pod");
    assert_eq!(held.running().collect::<Vec<_>>(), ["a:1", "b:1"]);
}

#[test]
fn a_retiring_generation_is_deleted_once_its_images_are_known_to_be_missing() {
    let mut simulation = Simulation::settled(TWO, 1);
    outage(&mut simulation);
    simulation.request("now");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 2);
    simulation.disks.clear();
    replace_pods(&mut simulation, "n0");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_node_that_joins_during_an_outage_holds_its_preloaded_images() {
    let mut simulation = Simulation::settled(TWO, 2);
    outage(&mut simulation);
    simulation.pass(SignedDuration::from_secs(2));
    simulation.nodes.push(node(2));
    for image in ["a:1", "b:1"] {
        simulation.disks.insert(("n2".to_owned(), image.to_owned()), String::new());
    }
    simulation.settle();
    assert_eq!(simulation.held_on("n2"), ["a:1", "b:1"].into());
}

#[test]
fn stuck_pods_are_replaced_a_few_at_a_time() {
    let mut simulation = Simulation::settled(TWO, 60);
    outage(&mut simulation);
    for index in 0..60 {
        simulation.reboot(&format!("n{index}"));
    }
    let mut most = 0;
    for _ in 0..200 {
        simulation.pass(SignedDuration::from_secs(1));
        let plan = simulation.act();
        most = most.max(replaced(&plan));
        simulation.place_pods();
        simulation.pull();
    }
    assert_eq!(most, 3, "one of twenty");
    assert!((0..60).all(|index| simulation.held_on(&format!("n{index}")).len() == 2));
}

#[test]
fn nothing_is_sealed_replaced_or_deleted_if_admission_enforces_always() {
    let mut simulation = Simulation::new(TWO, 1);
    simulation.always_pulls = true;
    simulation.settle();
    outage(&mut simulation);
    simulation.request("now");
    simulation.settle();
    replace_pods(&mut simulation, "n0");
    for _ in 0..50 {
        let plan = simulation.step();
        assert!(sealed(&plan).is_empty() && replaced(&plan) == 0, "{plan:?}");
    }
    assert_eq!(simulation.daemon_sets.len(), 2, "it may be held again when the registry is back");
    simulation.unavailable.clear();
    simulation.settle();
    assert_eq!((simulation.daemon_sets.len(), simulation.held_on("n0").len()), (1, 2));
}

#[test]
fn sealing_is_tried_once_if_a_policy_rewrites_what_was_sealed() {
    let mut simulation = Simulation::settled(TWO, 1);
    outage(&mut simulation);
    replace_pods(&mut simulation, "n0");
    let mut replaced_pods = 0;
    for _ in 0..50 {
        replaced_pods += replaced(&simulation.step());
        simulation.pods.iter_mut().flat_map(|pod| &mut pod.containers).for_each(|it| {
            it.always = true;
            it.state = State::Failed;
        });
    }
    assert_eq!(replaced_pods, 1);
}

#[test]
fn after_sealing_an_edit_pulls_the_added_image_and_a_request_pulls_all() {
    let mut simulation = Simulation::settled(TWO, 2);
    outage(&mut simulation);
    replace_pods(&mut simulation, "n0");
    simulation.settle();
    simulation.unavailable.clear();
    simulation.asked.clear();
    simulation.edit("{images: [a:1, b:1, c:1], refresh: {every: 8000h, mode: Always}}");
    simulation.settle();
    assert_eq!(simulation.asked, [("c:1".to_owned(), 2)].into());
    simulation.request("now");
    simulation.settle();
    assert_eq!(simulation.asked["a:1"], 2);
}

#[test]
fn a_node_on_which_pods_cannot_start_keeps_no_other_from_holding_what_is_on_its_disk() {
    let mut simulation = Simulation::settled(TWO, 4);
    let own = simulation.holder_image.clone();
    simulation.break_own_image(&own, &["n4"]);
    simulation.join();
    simulation.settle();
    outage(&mut simulation);
    ["n1", "n2"].iter().for_each(|node| replace_pods(&mut simulation, node));
    let plan = until_sealed(&mut simulation);
    assert_eq!(sealed(&plan), [&["a".to_owned(), "b".to_owned()].into()]);
    simulation.settle();
    assert_eq!(["n1", "n2"].map(|node| simulation.held_on(node)), [(); 2].map(|()| ["a:1", "b:1"].into()));
}

#[test]
fn no_second_pod_is_replaced_while_the_one_that_replaced_the_first_cannot_start() {
    let mut simulation = Simulation::settled(TWO, 4);
    outage(&mut simulation);
    ["n1", "n2"].iter().for_each(|node| replace_pods(&mut simulation, node));
    until_sealed(&mut simulation);
    let own = simulation.holder_image.clone();
    simulation.break_own_image(&own, &["n0", "n1", "n2", "n3"]);
    let replaced: usize = (0..50).map(|_| replaced(&simulation.step())).sum();
    assert_eq!(replaced, 1);
}
