//! Events about a group with several shards: each says something once, and of all shards.

use jiff::SignedDuration;

use super::super::note;
use super::super::simulation::{Simulation, State};
use super::super::tag_check::{arrived, checked, checks, digest, findings};
use crate::plan::Finding;

const TEN: [&str; 10] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1", "i:1", "j:1"];

/// A list of these images, 3 in a pod.
fn list(images: &[&str], rest: &str) -> String {
    format!("{{images: [{}], imagesPerPod: 3{rest}}}", images.join(", "))
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
