//! The holder comes from an image of its own, or from the controller's if no registry has that.

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::DaemonSet;

use super::note;
use super::simulation::Simulation;
use crate::naming::labels;
use crate::plan::{Action, Finding, RolloutCause};

const CONTROLLER: &str = "registry.example/kube-prepull:2";
const HOLDER: &str = "registry.example/kube-prepull:2-holder";
const NODES: [&str; 4] = ["n0", "n1", "n2", "n3"];
const REFUSED: (&str, &str) = (
    "ErrImagePull",
    "failed to resolve reference \"a\": unexpected status from HEAD request to https://registry.example/v2/a: 401 Unauthorized",
);
const OUTAGE: (&str, &str) = ("ErrImagePull", "failed to resolve reference \"a\": 503 Service Unavailable");

/// The controller has this version from now on, and these nodes do not find the image of its holder.
fn upgrade(simulation: &mut Simulation, version: usize, without: &[&str]) {
    let controller = format!("registry.example/kube-prepull:{version}");
    simulation.break_own_image(&format!("{controller}-holder"), without);
    simulation.controller_image = Some(controller);
}

fn installed(images_yaml: &str, without: &[&str]) -> Simulation {
    let mut simulation = Simulation::new(images_yaml, NODES.len());
    upgrade(&mut simulation, 2, without);
    simulation
}

/// What a new controller process each time creates and reports within that many seconds.
fn done(simulation: &mut Simulation, seconds: usize) -> (Vec<RolloutCause>, Vec<Finding>) {
    let (mut causes, mut findings) = (Vec::new(), Vec::new());
    for _ in 0..seconds {
        simulation.restart_controller();
        let plan = simulation.step();
        for action in plan.actions {
            match action {
                Action::Create { cause, .. } => causes.push(cause),
                Action::Report(finding) => findings.push(finding),
                _ => {}
            }
        }
        findings.extend(plan.condition_reports.into_iter().flat_map(|report| report.findings));
        simulation.pass(SignedDuration::from_secs(1));
    }
    (causes, findings)
}

/// From which image the newest DaemonSet of each group installs the holder.
fn own_image(daemon_set: &DaemonSet) -> &str {
    let pod = daemon_set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let init = pod.and_then(|pod| pod.init_containers.as_ref()?.first());
    init.and_then(|init| init.image.as_deref()).expect("an image")
}

fn own_images(simulation: &Simulation) -> Vec<&str> {
    simulation.daemon_sets.iter().map(own_image).collect()
}

#[test]
fn the_holder_comes_from_its_own_image_where_nodes_can_pull_it() {
    let mut simulation = installed("[a:1]", &[]);
    let (causes, findings) = done(&mut simulation, 60);
    assert_eq!((causes, own_images(&simulation)), (vec![RolloutCause::Missing], vec![HOLDER]));
    assert!(matches!(findings[..], [Finding::RolloutComplete { .. }]), "{findings:?}");
}

#[test]
fn the_controllers_image_serves_if_no_registry_has_the_holders_which_is_reported_once() {
    let mut simulation = installed("[a:1]", &NODES);
    let (causes, findings) = done(&mut simulation, 90);
    assert_eq!(causes, [RolloutCause::Missing, RolloutCause::OwnImage]);
    assert_eq!(own_images(&simulation), [CONTROLLER], "nothing needs the one that never started");
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
    let [absent @ Finding::HolderImageAbsent { .. }, Finding::RolloutComplete { .. }] = &findings[..] else {
        panic!("{findings:?}")
    };
    let said = note(absent);
    for words in [
        &format!(
            "group default: kube-prepull's own image {HOLDER} cannot be pulled: no such image or tag from registry.example"
        ),
        &format!("the holder comes from the controller's image {CONTROLLER}"),
        "HOLDER_IMAGE (holderImage of the chart)",
    ] {
        assert!(said.contains(words), "{said}");
    }

    for number in 2..6 {
        simulation.edit(&format!("[a:1, b:{number}]"));
        let (causes, findings) = done(&mut simulation, 60);
        assert_eq!(causes, [RolloutCause::Edited], "the holder's image is not tried again");
        assert!(matches!(findings[..], [Finding::RolloutComplete { .. }]), "{findings:?}");
        assert_eq!(own_images(&simulation), [CONTROLLER]);
    }
}

#[test]
fn groups_of_a_list_learn_from_each_other_that_the_holders_image_is_absent() {
    let mut simulation = installed("{images: [a:1], groups: [{name: more, images: [b:1]}]}", &NODES);
    let (causes, _) = done(&mut simulation, 90);
    assert_eq!(causes.len(), 4, "{causes:?}");
    assert_eq!(own_images(&simulation), [CONTROLLER; 2]);
    simulation.edit("{images: [a:1], groups: [{name: more, images: [b:1]}, {name: another, images: [c:1]}]}");
    let (causes, _) = done(&mut simulation, 90);
    assert_eq!(causes, [RolloutCause::Missing]);
    assert_eq!(own_images(&simulation), [CONTROLLER; 3]);
}

#[test]
fn an_upgrade_moves_no_node_and_releases_nothing_whether_the_image_of_its_holder_is_there_or_not() {
    for without in [&[][..], &NODES] {
        let mut simulation = Simulation::settled("[a:1]", NODES.len());
        done(&mut simulation, 5);
        upgrade(&mut simulation, 2, without);
        let (causes, findings) = done(&mut simulation, 120);
        assert_eq!((causes, findings), (vec![], vec![]));
        simulation.edit("[a:1, b:1]");
        for _ in 0..90 {
            done(&mut simulation, 1);
            assert!(NODES.iter().all(|node| simulation.held_on(node).contains("a:1")));
        }
        assert_eq!(own_images(&simulation), [if without.is_empty() { HOLDER } else { CONTROLLER }]);
        assert_eq!(simulation.held_on("n0"), ["a:1", "b:1"].into());
    }
}

#[test]
fn the_next_version_tries_the_image_of_its_own_holder() {
    let mut simulation = installed("[a:1]", &NODES);
    done(&mut simulation, 90);
    upgrade(&mut simulation, 3, &[]);
    assert_eq!(done(&mut simulation, 60).0, []);
    simulation.edit("[a:1, b:1]");
    assert_eq!(done(&mut simulation, 60).0, [RolloutCause::Edited]);
    assert_eq!(own_images(&simulation), ["registry.example/kube-prepull:3-holder"]);
}

#[test]
fn a_few_nodes_without_the_holders_image_are_diagnosed_and_move_no_other() {
    for waits in [false, true] {
        let mut simulation = installed("[a:1]", &["n0", "n1"]);
        simulation.step();
        simulation.pods.iter_mut().for_each(|pod| pod.init_runs = waits);
        let (causes, findings) = done(&mut simulation, 200);
        assert_eq!((causes, own_images(&simulation)), (vec![], vec![HOLDER]), "{waits}");
        let failing = findings.iter().find(|it| matches!(it, Finding::InitContainersFailing { .. })).expect("a report");
        let said = note(failing);
        for words in [HOLDER, "no such image or tag", "HOLDER_IMAGE (holderImage of the chart)"] {
            assert!(said.contains(words), "{said}");
        }
    }
}

#[test]
fn an_outage_and_missing_credentials_say_nothing_about_the_holders_image() {
    let private = (
        "ErrImagePull",
        "failed to pull and unpack image \"a\": failed to resolve reference \"a\": pull access denied, repository does not exist or may \
         require authorization: server message: insufficient_scope: authorization failed",
    );
    let anonymous = (
        "ErrImagePull",
        "failed to resolve reference \"a\": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to \
         https://registry.example/token: 403 Forbidden",
    );
    for words in [OUTAGE, REFUSED, private, anonymous] {
        let mut simulation = installed("[a:1]", &NODES);
        simulation.step();
        simulation.pods.iter_mut().for_each(|pod| pod.init_failure = Some(words));
        assert_eq!(done(&mut simulation, 200).0, [], "{words:?}");
        simulation.without_own_image.clear();
        assert_eq!(done(&mut simulation, 60).0, []);
        assert_eq!(own_images(&simulation), [HOLDER]);
    }
}

#[test]
fn what_was_found_is_known_after_a_recreation() {
    let mut simulation = installed("{images: [a:1], refresh: {every: 1h, mode: Recreate}}", &NODES);
    done(&mut simulation, 90);
    assert_eq!(own_images(&simulation), [CONTROLLER]);
    simulation.pass(SignedDuration::from_hours(1));
    let (causes, _) = done(&mut simulation, 60);
    assert_eq!((causes, own_images(&simulation)), (vec![RolloutCause::Missing], vec![CONTROLLER]));
}

#[test]
fn a_clock_that_was_set_back_does_not_delay_what_is_found() {
    let mut simulation = installed("[a:1]", &NODES);
    simulation.step();
    simulation.now -= SignedDuration::from_hours(5);
    done(&mut simulation, 90);
    assert_eq!(own_images(&simulation), [CONTROLLER]);
}

#[test]
fn one_node_that_does_not_find_it_decides_nothing_while_the_others_meet_an_outage() {
    let mut simulation = installed("[a:1]", &NODES);
    simulation.step();
    simulation.pods.iter_mut().skip(1).for_each(|pod| pod.init_failure = Some(OUTAGE));
    assert_eq!(done(&mut simulation, 200).0, []);
    assert_eq!(own_images(&simulation), [HOLDER]);
}

#[test]
fn an_image_that_the_user_has_named_serves_or_is_diagnosed() {
    let mut simulation = installed("[a:1]", &NODES);
    simulation.controller_image = None;
    let (causes, findings) = done(&mut simulation, 200);
    assert_eq!((causes, own_images(&simulation)), (vec![RolloutCause::Missing], vec![HOLDER]));
    let said = findings.iter().map(note).find(|note| note.contains("cannot be pulled")).expect("a report");
    assert!(said.contains(HOLDER) && said.contains("HOLDER_IMAGE"), "{said}");
}

#[test]
fn where_the_controllers_image_cannot_be_pulled_either_it_is_not_tried_in_turn() {
    let mut simulation = installed("[a:1]", &NODES);
    simulation.without_own_image.extend(NODES.map(|node| (CONTROLLER.to_owned(), node.to_owned())));
    let (causes, findings) = done(&mut simulation, 300);
    assert_eq!(causes, [RolloutCause::Missing, RolloutCause::OwnImage]);
    assert_eq!(own_images(&simulation), [CONTROLLER]);
    let failing = findings.iter().filter(|it| matches!(it, Finding::InitContainersFailing { .. }));
    let said: Vec<String> = failing.map(note).collect();
    assert!(matches!(&said[..], [only] if only.contains(&format!("{CONTROLLER} cannot be pulled"))), "{said:?}");
}

#[test]
fn what_was_found_is_stored_with_the_daemon_set() {
    let mut simulation = installed("[a:1]", &NODES);
    done(&mut simulation, 90);
    let annotations = simulation.daemon_sets[0].metadata.annotations.clone().unwrap_or_default();
    assert_eq!(annotations.get(labels::ABSENT_HOLDER_IMAGE).map(String::as_str), Some(HOLDER));
    assert_eq!(annotations.get(labels::HOLDER_IMAGE).map(String::as_str), Some(CONTROLLER));
}
