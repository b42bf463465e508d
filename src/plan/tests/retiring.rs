//! When an older generation is no longer needed.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Taint, Toleration};

use super::simulation::{Simulation, State};
use crate::coverage::NodeLabels;
use crate::plan::{Action, DeletionReason};

/// A settled list with a new rollout that has no pods yet, and the names of the old and the new generation.
fn edited(from: &str, to: &str) -> (Simulation, String, String) {
    let mut simulation = Simulation::settled(from, 2);
    simulation.edit(to);
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    let names = simulation.names();
    let [old, new] = names.as_slice() else { panic!("{names:?}") };
    (simulation, old.clone(), new.clone())
}

/// Names of the DaemonSets that the plan deletes.
pub fn deleted(simulation: &Simulation) -> Vec<String> {
    let name = |action: Action| match action {
        Action::Delete { name, .. } => Some(name),
        _ => None,
    };
    simulation.plan().actions.into_iter().filter_map(name).collect()
}

#[test]
fn an_older_generation_stays_until_every_node_has_its_images() {
    let (mut simulation, old, new) = edited("[a:1, b:1]", "[a:1, b:1, c:1]");
    assert!(deleted(&simulation).is_empty());
    simulation.place_pods();
    simulation.set(&new, Some("n0"), "a:1", State::Running);
    simulation.set(&new, Some("n0"), "b:1", State::Running);
    simulation.set(&new, Some("n1"), "a:1", State::Running);
    assert!(deleted(&simulation).is_empty(), "n1 lacks b:1");
    simulation.set(&new, Some("n1"), "b:1", State::Running);
    assert_eq!(deleted(&simulation), [old], "it never held c:1");
}

#[test]
fn an_older_generation_is_deleted_by_uid() {
    let (mut simulation, old, _) = edited("[a:1]", "[a:2]");
    simulation.daemon_sets[0].metadata.uid = Some("the one that was seen".to_owned());
    let uid = "the one that was seen".to_owned();
    assert_eq!(simulation.plan().actions, [Action::Delete { name: old, uid, reason: DeletionReason::NeededNowhere }]);
}

#[test]
fn a_running_container_is_not_replaced_by_an_exited_one() {
    let (mut simulation, old, new) = edited("[a:1]", "[a:1, b:1]");
    simulation.place_pods();
    simulation.set(&new, None, "a:1", State::Exited);
    assert!(deleted(&simulation).is_empty());
    simulation.set(&old, None, "a:1", State::Exited);
    assert_eq!(deleted(&simulation), [old.as_str()], "an exited container is as good as another");
    simulation.set(&new, None, "a:1", State::Waiting);
    assert!(deleted(&simulation).is_empty(), "an exited container is better than none");
}

#[test]
fn images_that_it_never_held_do_not_keep_it() {
    let (mut simulation, old, _) = edited("[a:1]", "[a:1, b:1]");
    simulation.set(&old, None, "a:1", State::Failed);
    assert_eq!(deleted(&simulation), [old]);
}

#[test]
fn different_references_to_the_same_image_are_equal() {
    let (mut simulation, old, new) = edited("[a:1]", "[docker.io/library/a:1]");
    simulation.place_pods();
    assert!(deleted(&simulation).is_empty());
    simulation.set(&new, None, "docker.io/library/a:1", State::Running);
    assert_eq!(deleted(&simulation), [old]);
}

#[test]
fn an_image_removed_from_the_list_is_released_everywhere_at_once() {
    let (simulation, old, _) = edited("[a:1]", "[b:1]");
    assert_eq!(deleted(&simulation), [old]);
    let (simulation, _, _) = edited("[a:1, b:1]", "[b:1]");
    assert!(deleted(&simulation).is_empty(), "b:1 is still on the list");
}

#[test]
fn an_image_that_moved_to_another_group_is_held_until_that_group_holds_it() {
    let groups = |p: &str, q: &str| format!("groups: [{{name: p, images: [{p}]}}, {{name: q, images: [{q}]}}]");
    let mut simulation = Simulation::settled(&groups("a:1, b:1", "c:1"), 2);
    simulation.edit(&groups("b:1", "c:1, a:1"));
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    let (old_p, new_q) = (simulation.names()[0].clone(), simulation.names()[3].clone());
    simulation.place_pods();
    (0..3).for_each(|_| simulation.pull());
    simulation.set(&new_q, Some("n1"), "a:1", State::Waiting);
    assert!(!deleted(&simulation).contains(&old_p));
    simulation.set(&new_q, Some("n1"), "a:1", State::Running);
    assert!(deleted(&simulation).contains(&old_p));
}

#[test]
fn an_image_that_another_groups_generation_holds_is_not_held_twice() {
    // Group p was added after q, so its generation is newer.
    let mut simulation = Simulation::settled("groups: [{name: q, images: [a:1]}]", 2);
    simulation.edit("groups: [{name: q, images: [a:1]}, {name: p, images: [a:1, b:1]}]");
    simulation.settle();
    simulation.edit("groups: [{name: q, images: [a:1]}, {name: p, images: [c:1]}]");
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 2);
}

#[test]
fn a_deleted_node_needs_nothing() {
    let (mut simulation, old, new) = edited("[a:1]", "[a:1, b:1]");
    simulation.place_pods();
    simulation.set(&new, Some("n0"), "a:1", State::Running);
    simulation.nodes.retain(|node| node.name == "n0");
    assert_eq!(deleted(&simulation), [old], "although its pod still exists");
}

#[test]
fn without_the_right_to_read_nodes_every_pod_counts() {
    let (mut simulation, old, new) = edited("[a:1]", "[a:1, b:1]");
    simulation.may_read_nodes = false;
    simulation.nodes.clear();
    assert!(deleted(&simulation).is_empty());
    simulation.pods.clear();
    assert!(deleted(&simulation).is_empty(), "they may have just been deleted and are replaced next");
    simulation.place_pods();
    assert_eq!(deleted(&simulation), [old]);
    drop(new);
}

#[test]
fn a_node_that_no_longer_matches_needs_nothing() {
    let zone_a = |images: &str| format!("groups: [{{name: p, images: [{images}], nodeSelector: {{zone: a}}}}]");
    let (mut simulation, old, _) = edited(&zone_a("a:1"), &zone_a("a:1, b:1"));
    assert!(deleted(&simulation).is_empty());
    let labels: NodeLabels = [("kubernetes.io/os".to_owned(), "linux".to_owned())].into();
    simulation.nodes.iter_mut().for_each(|node| node.labels.clone_from(&labels));
    assert_eq!(deleted(&simulation), [old]);
}

#[test]
fn a_group_that_moves_to_other_nodes_is_removed_from_the_old_ones_at_once() {
    let zone = |zone: &str| format!("groups: [{{name: p, images: [a:1], nodeSelector: {{zone: {zone}}}}}]");
    let (simulation, old, _) = edited(&zone("a"), &zone("b"));
    assert_eq!(deleted(&simulation), [old]);
}

fn taint_all(simulation: &mut Simulation) {
    let taint = Taint { key: "gpu".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    simulation.nodes.iter_mut().for_each(|node| node.taints = vec![taint.clone()]);
}

#[test]
fn a_later_taint_releases_nothing() {
    let (mut simulation, old, _) = edited("[a:1]", "[a:1, b:1]");
    taint_all(&mut simulation);
    simulation.place_pods();
    assert!(deleted(&simulation).is_empty(), "no new pod can come here, and the old one still holds a:1");
    simulation.nodes.iter_mut().for_each(|node| node.taints.clear());
    simulation.settle();
    assert!(!simulation.names().contains(&old));
}

/// As admission does for a RuntimeClass.
fn tolerate_all(simulation: &mut Simulation) {
    let everything = Toleration { operator: Some("Exists".to_owned()), ..Toleration::default() };
    simulation.pods.iter_mut().for_each(|pod| pod.tolerations = vec![everything.clone()]);
}

#[test]
fn a_later_taint_that_only_admission_lets_pods_tolerate_releases_nothing() {
    let (mut simulation, _, _) = edited("[a:1]", "[a:1, b:1]");
    tolerate_all(&mut simulation);
    taint_all(&mut simulation);
    simulation.place_pods();
    assert!(deleted(&simulation).is_empty(), "no new pod can come here, and the old one still holds a:1");
}

#[test]
fn a_group_that_no_longer_tolerates_a_taint_is_removed_from_its_nodes() {
    let tolerating = "groups: [{name: p, images: [a:1], tolerations: [{key: gpu, operator: Exists}]}]";
    let mut simulation = Simulation::new(tolerating, 2);
    taint_all(&mut simulation);
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
    simulation.edit("groups: [{name: p, images: [a:1]}]");
    simulation.settle();
    assert!(simulation.held_on("n0").is_empty());
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn generations_to_be_deleted_do_not_replace_each_other() {
    let p = "{name: p, images: [a:1]}";
    let tolerating = "{name: r, images: [a:1], tolerations: [{key: gpu, operator: Exists}]}";
    let mut simulation = Simulation::settled(&format!("groups: [{p}, {tolerating}]"), 2);
    taint_all(&mut simulation);
    // The pods of p were created before the taint, and no new ones can be. Group r, which tolerates the taint, is
    // removed.
    simulation.request_rollout("one");
    simulation.act();
    simulation.place_pods();
    simulation.edit(&format!("groups: [{p}]"));
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
}

#[test]
fn a_pod_that_the_list_no_longer_places_on_its_node_does_not_replace_an_older_one() {
    let p = "groups: [{name: p, images: [a:1]}]";
    let tolerating = "groups: [{name: r, images: [a:1], tolerations: [{key: gpu, operator: Exists}]}]";
    let mut simulation = Simulation::settled(p, 2);
    let old = simulation.names()[0].clone();
    taint_all(&mut simulation);
    simulation.edit(tolerating);
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    simulation.place_pods();
    simulation.pull();
    simulation.edit("groups: [{name: q, images: [a:1]}]");
    assert!(
        !deleted(&simulation).contains(&old),
        "the pods of r are only there because of a toleration that was removed"
    );
    simulation.settle();
    assert_eq!(simulation.held_on("n0"), ["a:1"].into());
}

#[test]
fn pods_that_are_being_deleted_hold_nothing() {
    let (mut simulation, old, new) = edited("[a:1]", "[a:1, b:1]");
    simulation.place_pods();
    simulation.set(&new, None, "a:1", State::Running);
    simulation.pods.iter_mut().filter(|pod| pod.daemon_set == new).for_each(|pod| pod.deleting = true);
    assert!(deleted(&simulation).is_empty());
    simulation.pods.iter_mut().for_each(|pod| pod.deleting = true);
    assert!(deleted(&simulation).is_empty(), "their replacements may hold the image from the disk");
    simulation.settle();
    assert_eq!(simulation.names(), [new]);
    assert_ne!(simulation.names(), [old]);
}

#[test]
fn images_rewritten_by_admission_are_identified_by_the_list() {
    let mut simulation = Simulation::new("[a:1]", 2);
    simulation.mirrored = true;
    simulation.settle();
    simulation.edit("[a:1, b:1]");
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    assert!(deleted(&simulation).is_empty(), "mirror.example/a:1 is a:1 on the list");
    simulation.mirrored = false;
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}

#[test]
fn a_change_of_the_name_prefix_is_rolled_out_like_any_other() {
    let mut simulation = Simulation::settled("[a:1]", 2);
    let old = simulation.names();
    simulation.config.name = crate::list::names::ObjectName::shortened("other");
    simulation.act();
    assert_eq!(simulation.names()[0], old[0], "nothing else holds a:1 yet");
    assert!(simulation.names()[1].starts_with("other-"));
    simulation.settle();
    assert_eq!(simulation.daemon_sets.len(), 1);
}
