//! What must hold in every history, and at its end.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Taint;
use proptest::prelude::*;

use super::lists::{IMAGES, MOST_SHARDS, normal};
use crate::coverage::Node;
use crate::naming::labels;
use crate::plan::decision::ScopeDownReason;
use crate::plan::generation::restores::LONGEST_PAUSE;
use crate::plan::restoring::POD_RETURN_GRACE;
use crate::plan::rollouts::MAX_GENERATIONS;
use crate::plan::sharding::split;
use crate::plan::tests::simulation::{Container, Pod, Simulation, State, name, placement};
use crate::plan::{Action, DeletionReason, Generation, Plan};

/// The promise: an image that is held on a node and is on the list for that node is held there as firmly after the plan
/// is carried out. The only exception is a node without capacity for two pods, if the new pods hold the image on other
/// nodes.
pub fn no_image_is_released(simulation: &Simulation, plan: &Plan) -> Result<(), TestCaseError> {
    for pod in simulation.pods.iter().filter(|pod| stays(simulation, pod) && is_removed(plan, pod)) {
        let Some(node) = simulation.nodes.iter().find(|node| node.name == pod.node) else { continue };
        let daemon_set = simulation.daemon_sets.iter().find(|it| name(it) == pod.daemon_set).expect("what is deleted");
        let wanted = wanted_on(simulation, &without_later_taints(node, daemon_set));
        let others =
            simulation.pods.iter().filter(|it| it.node == pod.node && stays(simulation, it) && !is_removed(plan, it));
        let others: Vec<&Container> = others.flat_map(|it| &it.containers).collect();
        for held in pod.containers.iter().filter(|it| it.state >= State::Exited && wanted.contains(&normal(&it.image)))
        {
            let kept = others.iter().any(|it| normal(&it.image) == normal(&held.image) && it.state >= held.state);
            let kept = kept || frees_capacity(plan, pod) && replacement_waits(simulation, pod, &normal(&held.image));
            let kept = kept || is_replaced(plan, pod) && comes_from_disk(daemon_set, held);
            prop_assert!(kept, "{} is released on {} with {}", held.image, pod.node, pod.daemon_set);
        }
    }
    Ok(())
}

fn frees_capacity(plan: &Plan, pod: &Pod) -> bool {
    plan.actions.iter().any(|action| match action {
        Action::ScopeDown { name, reason: ScopeDownReason::NoCapacity { nodes }, .. } => {
            *name == pod.daemon_set && nodes.contains_key(&pod.node)
        }
        _ => false,
    })
}

fn is_replaced(plan: &Plan, pod: &Pod) -> bool {
    let uid = pod.uid.to_string();
    plan.actions.iter().any(|action| matches!(action, Action::ReplacePod { uid: replaced, .. } if *replaced == uid))
}

/// Whether the replacement of a pod needs no registry for the image.
fn comes_from_disk(daemon_set: &DaemonSet, held: &Container) -> bool {
    let spec = daemon_set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a pod template");
    let container = spec.containers.iter().find(|it| it.image.as_ref() == Some(&held.image)).expect("the container");
    container.image_pull_policy.as_deref() == Some("IfNotPresent")
}

/// Whether a pod waits for capacity on the node whose siblings hold the image on other nodes.
fn replacement_waits(simulation: &Simulation, pod: &Pod, image: &str) -> bool {
    let waiting = simulation.pods.iter().filter(|it| it.node == pod.node && !it.bound);
    waiting.into_iter().any(|waiting| {
        let siblings = simulation.pods.iter().filter(|it| it.daemon_set == waiting.daemon_set);
        let mut held = siblings.flat_map(|it| it.running());
        held.any(|held| normal(held) == image)
    })
}

/// The number of DaemonSets of a group is bounded however long faults last: those that move, one for each image that
/// cannot be pulled, and one for each node that newer ones cannot run on.
pub fn generations_are_bounded(simulation: &Simulation) -> Result<(), TestCaseError> {
    for group in ["p", "q", "r"] {
        let of_group = |it: &&DaemonSet| it.metadata.labels.as_ref().is_some_and(|it| it[labels::GROUP] == group);
        let found = simulation.daemon_sets.iter().filter(of_group).count();
        let most = MOST_SHARDS * (MAX_GENERATIONS + simulation.nodes.len()) + IMAGES.len();
        prop_assert!(found <= most, "{} of {}", found, group);
    }
    Ok(())
}

/// Whether the plan removes the pod. With `Recreate`, the user accepts a gap.
fn is_removed(plan: &Plan, pod: &Pod) -> bool {
    plan.actions.iter().any(|action| match action {
        Action::Delete { name, reason: DeletionReason::NeededNowhere, .. } => *name == pod.daemon_set,
        Action::ScopeDown { name, node_scope, .. } => *name == pod.daemon_set && !node_scope.includes(&pod.node),
        _ => false,
    }) || is_replaced(plan, pod)
}

/// Whether the pod stays if nothing is done.
fn stays(simulation: &Simulation, pod: &Pod) -> bool {
    let daemon_set = simulation.daemon_sets.iter().find(|it| name(it) == pod.daemon_set);
    let generation = daemon_set.and_then(|it| Generation::from_metadata(&it.metadata));
    !pod.deleting && generation.is_some_and(|generation| generation.node_scope.includes(&pod.node))
}

/// The node without the taints that the generation does not tolerate. They were added after its pod was created, and do
/// not change what the user wants on the node.
fn without_later_taints(node: &Node, daemon_set: &DaemonSet) -> Node {
    let tolerates = |taint: &Taint| {
        let only = Node { taints: vec![taint.clone()], ..node.clone() };
        only.takes(&placement(daemon_set))
    };
    Node { taints: node.taints.iter().filter(|taint| tolerates(taint)).cloned().collect(), ..node.clone() }
}

pub fn wanted_on(simulation: &Simulation, node: &Node) -> BTreeSet<String> {
    let groups = simulation.config.groups.iter().filter(|group| node.takes(&group.placement));
    groups.flat_map(|group| &group.images).map(|image| image.reference.normal_form()).collect()
}

/// The state that the cluster must reach when there are no more faults.
pub fn settles(simulation: &mut Simulation) -> Result<(), TestCaseError> {
    simulation.unavailable.clear();
    simulation.capacity.clear();
    simulation.pods_refused = false;
    simulation.nodes.retain(|node| !node.deleting);
    for node in &mut simulation.nodes {
        node.taints.clear();
        (node.ready, node.unschedulable) = (true, false);
    }
    // Wait for the longest pause, however often somebody has changed a DaemonSet.
    simulation.pass(LONGEST_PAUSE);
    simulation.settle();
    simulation.pass(POD_RETURN_GRACE);
    simulation.settle();
    let generations: Vec<Generation> =
        simulation.daemon_sets.iter().filter_map(|it| Generation::from_metadata(&it.metadata)).collect();
    let mut found: Vec<(String, u32)> = generations.iter().map(|it| (it.group.clone(), it.shard)).collect();
    found.sort_unstable();
    let shards = split(&simulation.config, &generations);
    let wanted: Vec<(String, u32)> = shards.groups.iter().map(|it| (it.name.to_string(), it.shard)).collect();
    prop_assert_eq!(found, wanted, "one generation of each shard of each group");
    for node in &simulation.nodes {
        let held: BTreeSet<String> = simulation.held_on(&node.name).into_iter().map(normal).collect();
        prop_assert_eq!(held, wanted_on(simulation, node), "on {}", &node.name);
    }
    let plan = simulation.plan();
    prop_assert!(plan.actions.is_empty() && plan.waiting.is_empty(), "{:?}", plan);
    Ok(())
}
