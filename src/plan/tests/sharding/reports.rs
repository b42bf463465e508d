//! Events about a group with several shards: each says something once, and of all shards.

use jiff::SignedDuration;

use super::super::note;
use super::super::simulation::{Simulation, State, generation};
use super::super::tag_check::{arrived, checked, checks, digest, findings};
use crate::plan::{Finding, Plan};

const TEN: [&str; 10] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1", "i:1", "j:1"];

/// A list of these images, 3 in a pod.
fn list(images: &[&str], rest: &str) -> String {
    format!("{{images: [{}], imagesPerPod: 3{rest}}}", images.join(", "))
}

fn with_edited<const N: usize>(mut images: [&'static str; N], edited: &[(usize, &'static str)]) -> [&'static str; N] {
    edited.iter().for_each(|(index, image)| images[*index] = image);
    images
}

/// The DaemonSet that has the image.
fn with(simulation: &Simulation, image: &str) -> String {
    let mut all = simulation.daemon_sets.iter().filter_map(generation);
    all.find(|it| it.images.values().any(|it| it == image)).expect("a generation").name
}

fn reported(plan: Plan) -> impl Iterator<Item = Finding> {
    plan.condition_reports.into_iter().flat_map(|report| report.findings)
}

/// What is reported until nothing changes any more.
fn reported_while_settling(simulation: &mut Simulation) -> Vec<Finding> {
    (0..30).flat_map(|_| reported(simulation.step())).collect()
}

/// The group, its images and its nodes of each rollout that is reported to be complete meanwhile.
fn completed_while_settling(simulation: &mut Simulation) -> Vec<(String, usize, usize)> {
    let mut completed = Vec::new();
    for finding in reported_while_settling(simulation) {
        if let Finding::RolloutComplete { group, images, nodes, .. } = finding {
            completed.push((group, images, nodes));
        }
    }
    completed
}

/// The whole group on three nodes.
fn whole(images: usize) -> [(String, usize, usize); 1] {
    [("default".to_owned(), images, 3)]
}

/// Ten images in four shards, whose tags are due for a check.
fn due() -> Simulation {
    arrived(&list(&TEN, ", refresh: {every: 1h}"), &TEN.map(|image| (image, 1)))
}

/// The tag check that asks for this image has its answer: all tags are as before, or this one cannot be pulled.
fn answer(simulation: &mut Simulation, image: &str, fails: bool) {
    let mut pods = simulation.tag_checks.iter_mut().filter_map(|check| check.pod.as_mut());
    let pod = pods.find(|pod| pod.iter().any(|it| it.image == image)).expect("a tag check");
    for container in pod {
        container.state = if fails && container.image == image { State::Failed } else { State::Running };
        container.image_id = digest(1);
    }
}

/// What is reported of the tags now.
fn said(simulation: &mut Simulation) -> Vec<Finding> {
    simulation.pass(SignedDuration::from_secs(5));
    findings(&simulation.act().actions).into_iter().cloned().collect()
}

/// Tags in the first, the third and the last shard cannot be checked.
fn deferred() -> (Simulation, Vec<Finding>) {
    let mut simulation = due();
    assert_eq!(checks(&simulation.act()).len(), 4);
    answer(&mut simulation, "a:1", true);
    assert_eq!(said(&mut simulation), [], "the others have no answer yet");
    answer(&mut simulation, "d:1", false);
    assert_eq!(said(&mut simulation), []);
    answer(&mut simulation, "g:1", true);
    assert_eq!(said(&mut simulation), []);
    answer(&mut simulation, "j:1", true);
    let said = said(&mut simulation);
    (simulation, said)
}

#[test]
fn tags_of_several_shards_that_cannot_be_checked_are_reported_at_once() {
    let (mut simulation, said) = deferred();
    let [deferred @ Finding::RefreshDeferred { images, of: 10, retry_at: Some(_), .. }] = &said[..] else {
        panic!("{said:?}")
    };
    let references: Vec<&str> = images.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(references, ["a:1", "g:1", "j:1"]);
    assert!(note(deferred).contains("the tags of 3 of 10 images could not be checked"), "{deferred:?}");
    simulation.unavailable = references.into_iter().map(str::to_owned).collect();
    simulation.pass(SignedDuration::from_mins(1));
    assert_eq!(findings(&checked(&mut simulation)), Vec::<&Finding>::new(), "a retry says nothing new");
}

#[test]
fn tags_can_be_checked_again_once_no_shard_fails_any_more() {
    let (mut simulation, _) = deferred();
    simulation.unavailable.insert("g:1".to_owned());
    simulation.pass(SignedDuration::from_mins(1));
    assert_eq!(findings(&checked(&mut simulation)), Vec::<&Finding>::new(), "one of three still fails");
    simulation.unavailable.clear();
    simulation.pass(SignedDuration::from_mins(2));
    let actions = checked(&mut simulation);
    assert_eq!(findings(&actions), [&Finding::RefreshRecovered { group: "default".to_owned() }]);
}

#[test]
fn a_tag_that_cannot_be_checked_later_is_reported_with_those_of_other_shards_that_still_fail() {
    let (mut simulation, _) = deferred();
    simulation.unavailable = ["a:1", "g:1", "j:1"].map(str::to_owned).into();
    simulation.pass(SignedDuration::from_mins(30));
    checked(&mut simulation);
    simulation.unavailable.insert("d:1".to_owned());
    simulation.pass(SignedDuration::from_mins(31));
    let actions = checked(&mut simulation);
    let [deferred @ Finding::RefreshDeferred { images, of: 10, .. }] = findings(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(images.len(), 4);
    assert!(note(deferred).contains("a:1 as before: ImagePullBackOff"), "{}", note(deferred));
}

#[test]
fn a_rollout_is_not_complete_while_a_daemon_set_of_the_group_is_refused_and_is_reported_once() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 3);
    simulation.edit(&list(&with_edited(TEN, &[(0, "a:2"), (9, "j:2")]), ""));
    simulation.refused_images.insert("j:2".to_owned());
    assert_eq!(completed_while_settling(&mut simulation), []);
    assert!(simulation.held_on("n0").contains("a:2"));
    simulation.refused_images.clear();
    assert_eq!(completed_while_settling(&mut simulation), whole(10));
    assert_eq!(completed_while_settling(&mut simulation), []);
}

#[test]
fn a_rollout_that_was_requested_is_not_complete_while_a_daemon_set_of_the_group_is_refused() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 3);
    simulation.request_rollout("one");
    simulation.refused_images.insert("j:1".to_owned());
    assert_eq!(completed_while_settling(&mut simulation), []);
    assert_eq!(simulation.created, 7);
    simulation.refused_images.clear();
    assert_eq!(completed_while_settling(&mut simulation), whole(10));
}

#[test]
fn a_rollout_is_complete_once_the_last_shard_that_was_behind_leaves_the_list() {
    for images in [&TEN[..], &TEN[..4]] {
        let mut simulation = Simulation::settled(&list(images, ""), 3);
        let last = images.len() - 1;
        let mut edited = images.to_vec();
        (edited[0], edited[last]) = ("a:2", "last:2");
        simulation.edit(&list(&edited, ""));
        simulation.unavailable.insert("last:2".to_owned());
        assert_eq!(completed_while_settling(&mut simulation), []);
        simulation.restart_controller();
        simulation.edit(&list(&edited[..last], ""));
        assert_eq!(completed_while_settling(&mut simulation), whole(last), "{last} images");
        assert_eq!(completed_while_settling(&mut simulation), []);
    }
}

#[test]
fn images_of_several_shards_that_fail_at_once_are_reported_together_and_so_is_their_recovery() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 2);
    let set = |simulation: &mut Simulation, state| {
        for image in ["a:1", "e:1"] {
            let daemon_set = with(simulation, image);
            simulation.set(&daemon_set, None, image, state);
        }
    };
    let in_ten_minutes = |simulation: &mut Simulation| {
        let mut findings = Vec::new();
        for _ in 0..10 {
            simulation.pass(SignedDuration::from_mins(1));
            findings.extend(reported(simulation.act()));
        }
        findings
    };
    in_ten_minutes(&mut simulation);
    set(&mut simulation, State::Failed);
    let findings = in_ten_minutes(&mut simulation);
    assert!(matches!(&findings[..], [Finding::ImagesFailing { count: 2, of: 10, images, .. }] if images.len() == 2));
    set(&mut simulation, State::Running);
    let findings = in_ten_minutes(&mut simulation);
    assert!(matches!(&findings[..], [Finding::ImagesRecovered { references, .. }] if references.len() == 2));
}

#[test]
fn shards_that_begin_to_fail_one_after_another_are_reported_at_most_once_a_minute() {
    let mut simulation = Simulation::settled(&list(&TEN, ""), 2);
    simulation.pass(SignedDuration::from_mins(10));
    simulation.act();
    let mut times = Vec::new();
    for (step, image) in TEN.iter().cycle().take(40).enumerate() {
        let daemon_set = with(&simulation, image);
        simulation.set(&daemon_set, None, image, State::Failed);
        let findings: Vec<Finding> = reported(simulation.act()).collect();
        assert!(findings.len() <= 1, "{findings:?}");
        times.extend(findings.iter().map(|_| step * 10));
        simulation.pass(SignedDuration::from_secs(10));
    }
    assert!(times.windows(2).all(|two| two[1] - two[0] >= 60), "seconds: {times:?}");
    assert!(times.len() > 1, "seconds: {times:?}");
}

#[test]
fn an_init_container_that_fails_in_all_shards_recovers_with_the_last_of_them() {
    let mut simulation = Simulation::new(&list(&TEN, ""), 2);
    simulation.break_own_image("own:2", &["n0", "n1"]);
    let of_init = |simulation: &mut Simulation| {
        let mut findings = Vec::new();
        for _ in 0..10 {
            simulation.pass(SignedDuration::from_mins(1));
            findings.extend(reported(simulation.act()));
            simulation.place_pods();
            simulation.pull();
        }
        let is_of_init = |it: &Finding| {
            matches!(it, Finding::InitContainersFailing { .. } | Finding::InitContainersRecovered { .. })
        };
        findings.retain(is_of_init);
        findings
    };
    assert!(matches!(of_init(&mut simulation)[..], [Finding::InitContainersFailing { .. }]));
    let first = with(&simulation, "a:1");
    simulation.set(&first, None, "a:1", State::Exited);
    assert_eq!(of_init(&mut simulation), [], "the others still fail");
    assert!(simulation.held_on("n0").contains("a:1"));
    simulation.without_own_image.clear();
    assert!(matches!(of_init(&mut simulation)[..], [Finding::InitContainersRecovered { .. }]));
}

#[test]
fn what_is_known_of_a_group_is_not_reported_again_for_a_new_shard() {
    let elsewhere = ", nodeSelector: {zone: nowhere}";
    let mut simulation = Simulation::new(&list(&TEN, elsewhere), 3);
    assert_eq!(reported_while_settling(&mut simulation), [Finding::NoNodes { group: "default".to_owned() }]);
    let longer = [&TEN[..], &["k:1", "l:1", "m:1"]].concat();
    simulation.edit(&list(&longer, elsewhere));
    assert_eq!(reported_while_settling(&mut simulation), []);
    assert_eq!(simulation.names().len(), 5);
}
