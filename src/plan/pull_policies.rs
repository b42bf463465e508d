//! Which images a rollout asks the registry for.
//!
//! A node pulls images with `Always` if they are new, have moved or are to be resolved again; it takes all others from
//! its disk if they are there. So adding one image to twenty costs one request per node, and the twenty do not fail
//! while their registry is down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Context;
use super::generation::Generation;
use super::generation::exclusion::Exclusion;
use super::generation::pulled_always::{PulledAlways, asks_registry};
use crate::coverage::{CoveringPod, ImageState, NO_LIST, Node, PodState};
use crate::list::config::Group;

/// Which images to pull with `Always`, whatever nodes hold.
#[derive(Clone, Copy, Debug)]
pub enum Resolve<'a> {
    /// All of them, because the mode or a request says so.
    All,
    /// The images whose tags have moved, by container name.
    Moved(&'a BTreeSet<String>),
}

/// What the next generation of a group pulls with `Always`. `newest` is its predecessor.
pub fn for_next_generation(
    context: &Context,
    group: &Group,
    newest: Option<&Generation>,
    resolve: Resolve,
) -> PulledAlways {
    let carried = match resolve {
        Resolve::All => BTreeSet::new(),
        Resolve::Moved(_) => newest.map(|newest| carried(context, group, newest)).unwrap_or_default(),
    };
    let moved = |name: &str| matches!(resolve, Resolve::Moved(moved) if moved.contains(name));
    let asked = group.images.iter().filter(|image| {
        let name = image.name.as_str();
        asks_registry(image, carried.contains(name) && !moved(name))
    });
    PulledAlways::of(asked.map(|image| image.name.as_str()))
}

/// The group's images that every relevant node has tried in this generation, or that this generation carried over
/// itself.
fn carried<'g>(context: &Context, group: &'g Group, newest: &Generation) -> BTreeSet<&'g str> {
    let tries = Tries::of(context, group, newest);
    let same = group.images.iter().filter(|image| newest.holds(image));
    let names = same.map(|image| image.name.as_str());
    names.filter(|name| !newest.pulled_always.contains(name) || tries.everywhere(name)).collect()
}

/// The state of a generation's images on the relevant nodes.
struct Tries<'a> {
    pods: Vec<&'a CoveringPod>,
    /// Whether every relevant node has a pod.
    complete: bool,
    /// The pods of other generations, by node. Few images fail, so it is not noted which they hold.
    elsewhere: BTreeMap<&'a str, Vec<&'a CoveringPod>>,
}

impl<'a> Tries<'a> {
    /// Reads the state of the pods. A node is relevant if it is ready, can run the pod, has capacity for it and can start it. If any
    /// other node has an older image on its disk, a later refresh updates it.
    fn of(context: &Context<'a>, group: &Group, newest: &Generation) -> Self {
        let exclusion = Exclusion::of(newest, group, context.pods_of(newest));
        let counts = |node: &&Arc<Node>| node.can_run(&group.placement) && exclusion.on(node).is_none();
        let expected: Option<BTreeSet<&str>> =
            context.nodes.map(|nodes| nodes.iter().filter(counts).map(|node| node.name.as_str()).collect());
        let all = context.coverage.pods_of(context.list.label).filter(|pod| !pod.deleting);
        let (own, others): (Vec<_>, Vec<_>) = all.partition(|pod| *pod.generation == *newest.name);
        let there: BTreeSet<&str> = own.iter().filter_map(|pod| pod.target.as_deref()).collect();
        let (complete, counting) = match &expected {
            Some(expected) => {
                let counting = |pod: &&&CoveringPod| pod.target.as_deref().is_some_and(|node| expected.contains(node));
                (expected.is_subset(&there), own.iter().filter(counting).copied().collect())
            }
            None => (newest.reported.complete, own),
        };
        let mut elsewhere: BTreeMap<&str, Vec<&CoveringPod>> = BTreeMap::new();
        let adoptable = context.adoptable.pods_of(NO_LIST).filter(|pod| !pod.deleting);
        for pod in others.into_iter().chain(adoptable) {
            let Some(node) = pod.node.as_deref() else { continue };
            elsewhere.entry(node).or_default().push(pod);
        }
        let pods = counting.into_iter().filter(|pod: &&CoveringPod| can_try(pod)).collect();
        Self { pods, complete, elsewhere }
    }

    /// Whether every relevant node has tried the image. A failed try does not count if another generation holds the
    /// image on that node, because that may be an older image of the tag.
    fn everywhere(&self, container: &str) -> bool {
        let tried = |pod: &&CoveringPod| {
            let Some(image) = pod.images.iter().find(|image| *image.name == *container) else { return false };
            let older = || {
                let pods = pod.node.as_deref().and_then(|node| self.elsewhere.get(node)).into_iter().flatten();
                let mut images = pods.flat_map(|pod| &*pod.images);
                images.any(|it| it.state.is_on_disk() && it.reference == image.reference)
            };
            match &image.state {
                ImageState::Waiting | ImageState::Pulling | ImageState::Interrupted { .. } => false,
                ImageState::Failed { .. } => !older(),
                ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. } => true,
            }
        };
        self.complete && !self.pods.is_empty() && self.pods.iter().all(tried)
    }
}

/// Whether the pod can be expected to try its images.
fn can_try(pod: &CoveringPod) -> bool {
    pod.state == PodState::Live
        && pod.no_capacity.is_none()
        && !pod.node_is_lost
        && pod.initialization.failure().is_none()
}
