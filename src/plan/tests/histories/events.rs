//! Events in a cluster.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Taint;
use proptest::prelude::*;

use super::invariants::no_image_is_released;
use super::lists::{IMAGES, list};
use crate::plan::tests::simulation::{Simulation, State, alter};

/// An event in the cluster.
#[derive(Clone, Debug)]
pub enum Event {
    Edit(String),
    Request(u8),
    NodeJoins,
    NodeGoes(usize),
    NodeIsTainted(usize),
    NodeIsUntainted(usize),
    NodeIsLost(usize),
    NodeIsBack(usize),
    NodeIsCordoned(usize),
    NodeIsAboutToGo(usize),
    /// From now on the node has capacity for this many pods of the list.
    NodeHasCapacity(usize, usize),
    PodsAreRefused(bool),
    PodIsDeleted(usize),
    /// The pod is deleted or evicted, and the DaemonSet controller replaces it.
    PodIsReplaced(usize),
    NodeReboots(usize),
    ContainerExits(usize),
    DaemonSetIsDeleted(usize),
    DaemonSetIsAltered(usize),
    ImageIsUnavailable(usize),
    ImagesAreServed,
    /// The tag with this index moves to the digest with this number.
    TagMoves(usize, u8),
    AdmissionMirrors(bool),
    /// The controller's right to read nodes is granted or revoked.
    NodesMayBeRead(bool),
    ControllerRestarts,
    ControllerActs,
    /// The controller crashes after this many actions, and another process takes over.
    ControllerCrashes(usize),
    PodsArePlaced,
    KubeletsPull,
    /// Milliseconds; negative if the controller's clock is set back.
    TimePasses(i64),
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => list().prop_map(Event::Edit),
        1 => any::<u8>().prop_map(Event::Request),
        1 => Just(Event::NodeJoins),
        1 => any::<usize>().prop_map(Event::NodeGoes),
        1 => any::<usize>().prop_map(Event::NodeIsTainted),
        1 => any::<usize>().prop_map(Event::NodeIsUntainted),
        2 => any::<usize>().prop_map(Event::NodeIsLost),
        1 => any::<usize>().prop_map(Event::NodeIsBack),
        1 => any::<usize>().prop_map(Event::NodeIsCordoned),
        1 => any::<usize>().prop_map(Event::NodeIsAboutToGo),
        2 => (any::<usize>(), 0usize..4).prop_map(|(node, capacity)| Event::NodeHasCapacity(node, capacity)),
        1 => any::<bool>().prop_map(Event::PodsAreRefused),
        1 => any::<usize>().prop_map(Event::PodIsDeleted),
        2 => any::<usize>().prop_map(Event::PodIsReplaced),
        1 => any::<usize>().prop_map(Event::NodeReboots),
        1 => any::<usize>().prop_map(Event::ContainerExits),
        1 => any::<usize>().prop_map(Event::DaemonSetIsDeleted),
        1 => any::<usize>().prop_map(Event::DaemonSetIsAltered),
        2 => (0..IMAGES.len()).prop_map(Event::ImageIsUnavailable),
        1 => Just(Event::ImagesAreServed),
        2 => (0..IMAGES.len(), 0u8..4).prop_map(|(image, digest)| Event::TagMoves(image, digest)),
        1 => any::<bool>().prop_map(Event::AdmissionMirrors),
        1 => any::<bool>().prop_map(Event::NodesMayBeRead),
        1 => Just(Event::ControllerRestarts),
        8 => Just(Event::ControllerActs),
        2 => (0usize..3).prop_map(Event::ControllerCrashes),
        5 => Just(Event::PodsArePlaced),
        5 => Just(Event::KubeletsPull),
        4 => (-1000i64..3000).prop_map(Event::TimePasses),
        1 => (0i64..400_000).prop_map(Event::TimePasses),
    ]
}

fn with_nth<T>(items: &mut [T], index: usize, change: impl FnOnce(&mut T)) {
    if let Some(index) = index.checked_rem(items.len()) {
        change(&mut items[index]);
    }
}

/// Applies the event, and returns how many new generations it may cause.
pub fn apply(simulation: &mut Simulation, event: &Event) -> Result<usize, TestCaseError> {
    let nth = |index: usize, of: usize| (of > 0).then(|| index % of);
    match event {
        Event::Edit(list) => {
            simulation.edit(list);
            return Ok(simulation.config.groups.len());
        }
        Event::Request(value) => {
            simulation.request(&value.to_string());
            return Ok(simulation.config.groups.len());
        }
        Event::NodeJoins => simulation.join(),
        Event::NodeGoes(index) => {
            if let Some(index) = nth(*index, simulation.nodes.len()) {
                simulation.nodes.remove(index);
            }
        }
        Event::NodeIsTainted(index) => {
            if let Some(index) = nth(*index, simulation.nodes.len()) {
                let effect = if index.is_multiple_of(2) { "NoSchedule" } else { "NoExecute" };
                simulation.nodes[index].taints =
                    vec![Taint { key: "gpu".to_owned(), effect: effect.to_owned(), ..Taint::default() }];
            }
        }
        Event::NodeIsUntainted(index) => with_nth(&mut simulation.nodes, *index, |node| node.taints.clear()),
        Event::NodeIsLost(index) => with_nth(&mut simulation.nodes, *index, |node| node.ready = false),
        Event::NodeIsBack(index) => with_nth(&mut simulation.nodes, *index, |node| node.ready = true),
        Event::NodeIsCordoned(index) => with_nth(&mut simulation.nodes, *index, |node| node.unschedulable = true),
        Event::NodeIsAboutToGo(index) => with_nth(&mut simulation.nodes, *index, |node| node.deleting = true),
        Event::NodeHasCapacity(index, capacity) => {
            if let Some(index) = nth(*index, simulation.nodes.len()) {
                simulation.capacity.insert(simulation.nodes[index].name.clone(), *capacity);
            }
        }
        Event::PodsAreRefused(refused) => simulation.pods_refused = *refused,
        Event::PodIsDeleted(index) => {
            if let Some(index) = nth(*index, simulation.pods.len()) {
                simulation.pods.remove(index);
            }
        }
        Event::PodIsReplaced(index) => {
            if let Some(index) = nth(*index, simulation.pods.len()) {
                simulation.pods.remove(index);
                simulation.place_pods();
            }
        }
        Event::NodeReboots(index) => {
            if let Some(index) = nth(*index, simulation.nodes.len()) {
                let node = simulation.nodes[index].name.clone();
                simulation.reboot(&node);
            }
        }
        Event::ContainerExits(index) => {
            let containers = simulation.pods.iter_mut().flat_map(|pod| &mut pod.containers);
            let mut running: Vec<_> = containers.filter(|it| it.state == State::Running).collect();
            if let Some(index) = nth(*index, running.len()) {
                running[index].state = State::Exited;
            }
        }
        Event::DaemonSetIsDeleted(index) => {
            if let Some(index) = nth(*index, simulation.daemon_sets.len()) {
                simulation.daemon_sets.remove(index);
                return Ok(1);
            }
        }
        Event::DaemonSetIsAltered(index) => {
            with_nth(&mut simulation.daemon_sets, *index, |it| alter(it, "kubectl-patch"))
        }
        Event::ImageIsUnavailable(index) => drop(simulation.unavailable.insert(IMAGES[*index].to_owned())),
        Event::ImagesAreServed => simulation.unavailable.clear(),
        Event::TagMoves(image, digest) => {
            simulation.tags.insert(IMAGES[*image].to_owned(), format!("sha256:{digest:064}"));
            return Ok(simulation.config.groups.len());
        }
        Event::AdmissionMirrors(mirrored) => simulation.mirrored = *mirrored,
        Event::NodesMayBeRead(may_be) => simulation.may_read_nodes = *may_be,
        Event::ControllerRestarts => simulation.restart_controller(),
        Event::ControllerActs => {
            let plan = simulation.plan();
            no_image_is_released(simulation, &plan)?;
            simulation.act();
        }
        Event::ControllerCrashes(after) => {
            let plan = simulation.plan();
            no_image_is_released(simulation, &plan)?;
            plan.actions.iter().take(*after).for_each(|action| simulation.apply(action));
            simulation.restart_controller();
        }
        Event::PodsArePlaced => simulation.place_pods(),
        Event::KubeletsPull => simulation.pull(),
        Event::TimePasses(milliseconds) => simulation.pass(SignedDuration::from_millis(*milliseconds)),
    }
    Ok(0)
}

/// An event during a registry outage.
pub fn disturbance() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => any::<usize>().prop_map(Event::PodIsReplaced),
        2 => any::<usize>().prop_map(Event::NodeReboots),
        1 => Just(Event::ControllerRestarts),
        3 => Just(Event::ControllerActs),
        1 => (0usize..3).prop_map(Event::ControllerCrashes),
        3 => Just(Event::PodsArePlaced),
        3 => Just(Event::KubeletsPull),
        2 => (1000i64..3000).prop_map(Event::TimePasses),
    ]
}
