//! What the pods of other generations have on their nodes' disks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::coverage::{CoveredImage, CoveringPod, NO_LIST};
use crate::plan::context::Context;
use crate::plan::generation::Generation;

/// What the pods of all generations but one have on their nodes' disks.
#[derive(Default)]
pub struct Elsewhere<'a> {
    /// By node, the addresses of the pods' sets of images, which pods that look alike share.
    sets_on: HashMap<&'a str, Vec<*const Arc<CoveredImage>>>,
    /// By address, the references of the images that are on the disk.
    on_disk: HashMap<*const Arc<CoveredImage>, HashSet<&'a str>>,
}

impl<'a> Elsewhere<'a> {
    /// Reads the pods of the list and those of kubernetes-image-puller.
    pub fn than(generation: &Generation, context: &Context<'a>) -> Self {
        let of_list = context.coverage.pods_of(context.list.label).filter(|pod| *pod.generation != *generation.name);
        let mut elsewhere = Self::default();
        for pod in of_list.chain(context.adoptable.pods_of(NO_LIST)).filter(|pod| !pod.deleting) {
            if let Some(node) = pod.node.as_deref() {
                elsewhere.sets_on.entry(node).or_default().push(pod.images.as_ptr());
                elsewhere.on_disk.entry(pod.images.as_ptr()).or_insert_with(|| on_disk(pod));
            }
        }
        elsewhere
    }

    /// Whether a pod has the image on the node, in this spelling.
    pub fn has(&self, node: &str, reference: &str) -> bool {
        let mut sets = self.sets_on.get(node).into_iter().flatten().filter_map(|set| self.on_disk.get(set));
        sets.any(|references| references.contains(reference))
    }
}

fn on_disk(pod: &CoveringPod) -> HashSet<&str> {
    pod.images.iter().filter(|image| image.state.is_on_disk()).map(|image| &*image.reference).collect()
}
