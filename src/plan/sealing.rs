//! Sealing: holding what is on a node's disk while the registry cannot serve it.
//!
//! A pod that is replaced, or that lost its containers in a reboot, pulls again. While the registry is unavailable or
//! the tag is gone, `Always` fails, and images that are on the disk would no longer be held. So when a pod of a
//! complete or retiring generation is stuck this way, the generation is sealed: its template pulls with `IfNotPresent`
//! from then on, and each stuck pod is deleted once, because the policy of an existing pod cannot be changed.
//!
//! Sealing every generation once its rollout is complete would be simpler. But a change of the template resets the
//! DaemonSet's `updatedNumberScheduled` to 0, which alerts interpret as a stuck rollout.

use std::collections::{BTreeSet, HashSet};

use super::decision::{Action, Plan};
use super::generation::Generation;
use super::generation::pods::distinct_images;
use super::generations::Generations;
use super::retiring::{HoldingPod, Need, Needed};
use crate::coverage::{CoveringPod, Hold, ImageState, PodState};

/// One in this many pods is replaced at a time, but at least one. A pod holds nothing while it is replaced.
const ONE_IN: usize = 20;

/// Plans which generations to seal and which stuck pods to replace.
pub fn plan(generations: &Generations, plan: &mut Plan) {
    let Some(need) = &generations.need else { return };
    let complete = generations.newest.iter().filter(|newest| newest.reported.complete);
    for newest in complete {
        seal_or_replace(newest, need, |_, _| true, plan);
    }
    for it in &generations.retiring {
        seal_or_replace(it.generation, need, |node, image| is_needed(&it.needed, node, image), plan);
    }
}

fn is_needed(needed: &Needed, node: &str, image: &str) -> bool {
    needed.nodes.get(node).is_some_and(|images| images.contains(image))
}

/// Changes the template first, so that replaced pods are created from the new one.
fn seal_or_replace(generation: &Generation, need: &Need, wanted: impl Fn(&str, &str) -> bool, plan: &mut Plan) {
    let pods: Vec<(&str, &HoldingPod)> = need
        .pods_of(&generation.name)
        .filter(|(node, _)| need.node(node).is_none_or(|node| node.ready))
        .filter(|(_, it)| it.pod.state == PodState::Live && it.pod.node.is_some() && !it.pod.node_is_lost)
        // One that cannot start tries nothing, however long the others wait for it.
        .filter(|(_, it)| it.pod.initialization.failure().is_none())
        .collect();
    if generation.is_overridden_in_any(pods.iter().map(|(_, it)| it.pod)) {
        return;
    }
    let stuck_on = |node: &str, it: &HoldingPod| {
        let stuck = it.images().filter(|(normal, image)| {
            matches!(image.state, ImageState::Failed { .. })
                && generation.has_held(it.pod, image)
                && wanted(node, normal)
        });
        stuck.map(|(_, image)| image.name.to_string()).collect::<BTreeSet<_>>()
    };
    let stuck: Vec<(&CoveringPod, BTreeSet<String>)> =
        pods.iter().map(|(node, it)| (it.pod, stuck_on(node, it))).filter(|(_, images)| !images.is_empty()).collect();
    if stuck.is_empty() {
        return;
    }
    let tried = tried_everywhere(generation, &pods, &stuck);
    if stuck.iter().flat_map(|(_, images)| images).any(|image| tried.contains(image.as_str())) {
        plan.actions.push(Action::Seal {
            name: generation.name.clone(),
            uid: generation.uid.clone(),
            images: tried.iter().map(|name| (*name).to_owned()).collect(),
            pulled_always: generation.pulled_always.without(&tried),
        });
        return;
    }
    let replaceable = stuck.iter().filter(|(pod, images)| is_replaceable(generation, pod, images));
    let most = (pods.len() / ONE_IN).max(1).saturating_sub(need.being_replaced(generation));
    plan.actions.extend(replaceable.take(most).map(|(pod, _)| Action::ReplacePod {
        name: pod.name.to_string(),
        uid: pod.uid.to_string(),
        daemon_set: generation.name.clone(),
    }));
}

/// The images with policy `Always` that every node has tried. Nodes with a stuck pod have tried all of them earlier.
fn tried_everywhere<'g>(
    generation: &'g Generation,
    pods: &[(&str, &HoldingPod)],
    stuck: &[(&CoveringPod, BTreeSet<String>)],
) -> BTreeSet<&'g str> {
    let is_stuck: HashSet<&str> = stuck.iter().map(|(pod, _)| &*pod.uid).collect();
    let others = pods.iter().filter(|(_, it)| !is_stuck.contains(&*it.pod.uid)).map(|(_, it)| it.pod);
    let untried = distinct_images(others).filter(|image| image.state.is_to_come());
    let untried: HashSet<&str> = untried.map(|image| &*image.name).collect();
    generation.pulled_always.names().filter(|name| !untried.contains(name)).collect()
}

/// Whether a new pod may hold an image that this one is stuck on, and will hold all that this one holds.
fn is_replaceable(generation: &Generation, pod: &CoveringPod, stuck_on: &BTreeSet<String>) -> bool {
    let always = |name: &str| generation.pulled_always.contains(name);
    let held = pod.images.iter().filter(|image| image.state.hold() != Hold::None);
    !generation.is_template_of(pod)
        && stuck_on.iter().any(|image| !always(image))
        && held.into_iter().all(|image| !always(&image.name))
}

impl Need<'_> {
    /// How many pods of a generation are being replaced: they are being deleted, or have not pulled all images yet. One of an earlier
    /// template that cannot start has replaced none.
    fn being_replaced(&self, generation: &Generation) -> usize {
        let underway = |it: &HoldingPod| {
            let states = it.images().map(|(_, image)| &image.state);
            let cannot_start = it.pod.initialization.failure().is_some() && !generation.is_template_of(it.pod);
            !cannot_start && states.into_iter().any(|state| state.is_to_come())
        };
        self.pods_of(&generation.name).filter(|(_, it)| underway(it)).count() + self.deleting_pods(generation)
    }
}
