//! Which images a rollout asks the registry for.
//!
//! A node pulls images with `Always` if they are new, have moved or are to be resolved again; it takes all others from
//! its disk if they are there. So adding one image to twenty costs one request per node, and the twenty do not fail
//! while their registry is down.

mod elsewhere;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use elsewhere::Elsewhere;

use super::context::Context;
use super::generation::Generation;
use super::generation::exclusion::Exclusion;
use super::generation::pulled_always::{PulledAlways, asks_registry};
use crate::coverage::{CoveredImage, CoveringPod, ImageState, Node, PodState};
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
    let tried = tries.everywhere();
    let same = group.images.iter().filter(|image| newest.holds(image));
    let names = same.map(|image| image.name.as_str());
    names.filter(|name| !newest.pulled_always.contains(name) || tried.contains(name)).collect()
}

/// The state of a generation's images on the relevant nodes.
struct Tries<'a> {
    pods: Vec<&'a CoveringPod>,
    /// Whether every relevant node has a pod.
    complete: bool,
    /// What other generations have; nothing if no image failed.
    elsewhere: Elsewhere<'a>,
}

impl<'a> Tries<'a> {
    /// Reads the state of the pods. A node is relevant if it is ready, can run the pod, has capacity for it and can start it. If any
    /// other node has an older image on its disk, a later refresh updates it.
    fn of(context: &Context<'a>, group: &Group, newest: &Generation) -> Self {
        let exclusion = Exclusion::of(newest, group, context.pods_of(newest));
        let counts = |node: &&Arc<Node>| node.can_run(&group.placement) && exclusion.on(node).is_none();
        let expected: Option<BTreeSet<&str>> =
            context.nodes.map(|nodes| nodes.iter().filter(counts).map(|node| node.name.as_str()).collect());
        let own: Vec<&CoveringPod> = context.pods_of(newest).filter(|pod| !pod.deleting).collect();
        let elsewhere = match own.iter().any(|pod| fails(pod)) {
            true => Elsewhere::than(newest, context),
            false => Elsewhere::default(),
        };
        let there: BTreeSet<&str> = own.iter().filter_map(|pod| pod.target.as_deref()).collect();
        let (complete, counting) = match &expected {
            Some(expected) => {
                let counting = |pod: &&&CoveringPod| pod.target.as_deref().is_some_and(|node| expected.contains(node));
                (expected.is_subset(&there), own.iter().filter(counting).copied().collect())
            }
            None => (newest.reported.complete, own),
        };
        let pods = counting.into_iter().filter(|pod: &&CoveringPod| can_try(pod)).collect();
        Self { pods, complete, elsewhere }
    }

    /// The images that every relevant node has tried, by container name. Pods that look alike are examined together.
    fn everywhere(&self) -> HashSet<&'a str> {
        if !self.complete {
            return HashSet::new();
        }
        let mut alike: HashMap<_, Vec<&CoveringPod>> = HashMap::new();
        for pod in &self.pods {
            alike.entry(pod.images.as_ptr()).or_default().push(pod);
        }
        let mut everywhere: Option<HashSet<&str>> = None;
        for pods in alike.values() {
            let tried = pods[0].images.iter().filter(|image| self.is_tried(image, pods));
            let tried = tried.map(|image| &*image.name);
            everywhere = Some(match everywhere {
                None => tried.collect(),
                Some(others) => tried.filter(|name| others.contains(name)).collect(),
            });
        }
        everywhere.unwrap_or_default()
    }

    /// Whether these pods, which look alike, have tried the image. A failed try does not count if another generation holds the
    /// image on that node, because that may be an older image of the tag.
    fn is_tried(&self, image: &CoveredImage, pods: &[&CoveringPod]) -> bool {
        let mut nodes = pods.iter().filter_map(|pod| pod.node.as_deref());
        match &image.state {
            ImageState::Waiting | ImageState::Pulling | ImageState::Interrupted { .. } => false,
            ImageState::Failed { .. } => !nodes.any(|node| self.elsewhere.has(node, &image.reference)),
            ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. } => true,
        }
    }
}

fn fails(pod: &CoveringPod) -> bool {
    pod.images.iter().any(|image| matches!(image.state, ImageState::Failed { .. }))
}

/// Whether the pod can be expected to try its images.
fn can_try(pod: &CoveringPod) -> bool {
    pod.state == PodState::Live
        && pod.no_capacity.is_none()
        && !pod.node_is_lost
        && pod.initialization.failure().is_none()
}
