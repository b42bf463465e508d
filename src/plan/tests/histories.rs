//! Invariants that hold in every history of a cluster, whatever is edited, fails, disappears and comes back.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Taint;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::simulation::{Container, Pod, Simulation, State, alter, name, placement};
use crate::coverage::Node;
use crate::list::reference::ImageReference;
use crate::naming::labels;
use crate::plan::decision::ScopeDownReason;
use crate::plan::generation::restores::LONGEST_PAUSE;
use crate::plan::restoring::POD_RETURN_GRACE;
use crate::plan::rollouts::MAX_GENERATIONS;
use crate::plan::{Action, DeletionReason, Generation, Plan};

const IMAGES: [&str; 5] = ["a:1", "a:2", "docker.io/library/a:2", "b:1", "c:1"];
const PLACES: [&str; 3] = ["", ", nodeSelector: {zone: a}", ", tolerations: [{key: gpu, operator: Exists}]"];

/// An event in the cluster.
#[derive(Clone, Debug)]
enum Event {
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

fn list() -> impl Strategy<Value = String> {
    let group = (btree_set(0..IMAGES.len(), 1..4), 0..PLACES.len());
    let groups = btree_map(prop::sample::select(vec!["p", "q", "r"]), group, 1..4).prop_map(|groups| {
        let groups = groups.iter().map(|(name, (images, place))| {
            let mut seen = BTreeSet::new();
            let mut images: Vec<&str> = images.iter().map(|image| IMAGES[*image]).collect();
            images.retain(|image| seen.insert(normal(image)));
            format!("- {{name: {name}, images: [{}]{}}}\n", images.join(", "), PLACES[*place])
        });
        groups.collect::<String>()
    });
    let refresh = prop_oneof![
        Just("every: 8000h"),
        Just("every: 1m"),
        Just("every: 1m, mode: Always"),
        Just("every: 1m, mode: Recreate")
    ];
    (groups, refresh).prop_map(|(groups, refresh)| format!("refresh: {{{refresh}}}\ngroups:\n{groups}"))
}

fn event() -> impl Strategy<Value = Event> {
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
fn apply(simulation: &mut Simulation, event: &Event) -> Result<usize, TestCaseError> {
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

/// The promise: an image that is held on a node and is on the list for that node is held there as firmly after the plan
/// is carried out. The only exception is a node without capacity for two pods, if the new pods hold the image on other
/// nodes.
fn no_image_is_released(simulation: &Simulation, plan: &Plan) -> Result<(), TestCaseError> {
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
fn generations_are_bounded(simulation: &Simulation) -> Result<(), TestCaseError> {
    for group in ["p", "q", "r"] {
        let of_group = |it: &&DaemonSet| it.metadata.labels.as_ref().is_some_and(|it| it[labels::GROUP] == group);
        let found = simulation.daemon_sets.iter().filter(of_group).count();
        prop_assert!(found <= MAX_GENERATIONS + simulation.nodes.len() + IMAGES.len(), "{} of {}", found, group);
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

fn wanted_on(simulation: &Simulation, node: &Node) -> BTreeSet<String> {
    let groups = simulation.config.groups.iter().filter(|group| node.takes(&group.placement));
    groups.flat_map(|group| &group.images).map(|image| image.reference.normal_form()).collect()
}

fn normal(image: &str) -> String {
    ImageReference::parse(image).expect("a reference").normal_form()
}

/// The state that the cluster must reach when there are no more faults.
fn settles(simulation: &mut Simulation) -> Result<(), TestCaseError> {
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
    let mut found: Vec<String> = (simulation.daemon_sets.iter())
        .map(|it| it.metadata.labels.as_ref().expect("labels")["kube-prepull.io/group"].clone())
        .collect();
    found.sort_unstable();
    let wanted: Vec<String> = simulation.config.groups.iter().map(|group| group.name.to_string()).collect();
    prop_assert_eq!(found, wanted, "one generation of each group");
    for node in &simulation.nodes {
        let held: BTreeSet<String> = simulation.held_on(&node.name).into_iter().map(normal).collect();
        prop_assert_eq!(held, wanted_on(simulation, node), "on {}", &node.name);
    }
    let plan = simulation.plan();
    prop_assert!(plan.actions.is_empty() && plan.waiting.is_empty(), "{:?}", plan);
    Ok(())
}

/// While nothing can be pulled, a node holds what it held before again, from its disk, however often pods are replaced
/// and nodes reboot.
fn held_images_are_recovered(first: &str, edit: &str, events: &[Event]) -> Result<(), TestCaseError> {
    let mut simulation = Simulation::settled(first, 4);
    let held: Vec<BTreeSet<String>> = held_by_node(&simulation);
    simulation.unavailable.extend(IMAGES.map(str::to_owned));
    simulation.edit(edit);
    for event in events {
        apply(&mut simulation, event)?;
    }
    simulation.pass(SignedDuration::from_mins(3));
    simulation.settle();
    for ((node, before), now) in simulation.nodes.iter().zip(held).zip(held_by_node(&simulation)) {
        let wanted = wanted_on(&simulation, node);
        let lost: Vec<&String> =
            before.iter().filter(|image| wanted.contains(*image) && !now.contains(*image)).collect();
        prop_assert!(lost.is_empty(), "{lost:?} on {}", node.name);
    }
    Ok(())
}

fn held_by_node(simulation: &Simulation) -> Vec<BTreeSet<String>> {
    let held = |node: &Node| simulation.held_on(&node.name).into_iter().map(normal).collect();
    simulation.nodes.iter().map(held).collect()
}

/// An event during a registry outage.
fn disturbance() -> impl Strategy<Value = Event> {
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

/// An edit that adds nodes to a group must not wait for older generations on these nodes.
#[test]
fn an_edit_that_adds_nodes_does_not_wait_for_generations_on_them() {
    let mut simulation = Simulation::new(
        "groups:
- {name: p, images: [a:2], tolerations: [{key: gpu, operator: Exists}]}
- {name: q, images: [a:2], nodeSelector: {zone: a}}
",
        4,
    );
    simulation.adopt_kip_daemon_set(&["a:2"]);
    let edit = Event::Edit("groups: [{name: q, images: [a:2]}]".to_owned());
    let before = [Event::ControllerActs, Event::PodsArePlaced, Event::NodeIsLost(3), Event::KubeletsPull];
    for event in before.into_iter().chain([Event::TimePasses(118_500), edit]) {
        apply(&mut simulation, &event).expect("no image is released");
    }
    settles(&mut simulation).expect("the edit comes into force");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_image_is_released_and_every_history_settles(first in list(), adoption in btree_set(0..IMAGES.len(), 0..3), events in vec(event(), 0..60)) {
        let mut simulation = Simulation::new(&first, 4);
        if !adoption.is_empty() {
            simulation.adopt_kip_daemon_set(&adoption.iter().map(|image| IMAGES[*image]).collect::<Vec<_>>());
        }
        let mut causes = simulation.config.groups.len();
        let mut seconds = 0;
        for event in &events {
            causes += apply(&mut simulation, event)?;
            generations_are_bounded(&simulation)?;
            if let Event::TimePasses(milliseconds) = event {
                seconds += (*milliseconds).max(0) / 1000 + 1;
            }
        }
        let since = simulation.now;
        settles(&mut simulation)?;
        seconds += simulation.now.duration_since(since).as_secs();
        // A refresh is due at most every minute, in each of three groups.
        causes += 3 * (usize::try_from(seconds).unwrap_or_default() / 60 + 1);
        prop_assert!(simulation.created <= causes, "{} generations for {} causes", simulation.created, causes);
    }

    #[test]
    fn held_images_are_recovered_from_disk_while_nothing_can_be_pulled(
        first in list(), edit in list(), events in vec(disturbance(), 0..40),
    ) {
        // With `Recreate`, the user accepts a gap. With `Always`, a rollout starts every minute here: if a generation
        // retires before its rollout was complete, pods that are replaced shortly after its creation count as its first
        // pods.
        let [first, edit] =
            [first, edit].map(|list| list.replace(", mode: Recreate", "").replace(", mode: Always", ""));
        held_images_are_recovered(&first, &edit, &events)?;
    }

    #[test]
    fn sleeping_until_the_plan_wakes_up_misses_nothing(
        first in list(), events in vec(event(), 0..40), later in 0i64..10_000_000,
    ) {
        let mut simulation = Simulation::new(&first, 4);
        for event in &events {
            apply(&mut simulation, event)?;
        }
        (0..5).for_each(|_| drop(simulation.act()));
        let plan = simulation.plan();
        prop_assert!(plan.actions.is_empty());
        let later = simulation.now + SignedDuration::from_millis(later);
        simulation.now = plan.wake_at.map_or(later, |wake_at| later.min(wake_at - SignedDuration::from_millis(1)));
        prop_assert_eq!(simulation.plan().actions, plan.actions, "before {:?}", plan.wake_at);
    }

    #[test]
    fn a_restart_of_the_controller_changes_no_plan_once_the_list_has_settled(
        first in list(), events in vec(event(), 0..40),
    ) {
        let mut simulation = Simulation::new(&first, 4);
        for event in &events {
            apply(&mut simulation, event)?;
        }
        simulation.pass(SignedDuration::from_mins(5));
        let before = simulation.plan();
        simulation.restart_controller();
        prop_assert_eq!(before, simulation.plan());
    }
}
