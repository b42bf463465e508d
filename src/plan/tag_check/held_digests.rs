//! The tags' digests as reported by the newest generation's pods.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use crate::coverage::{CoveringPod, Hold};
use crate::plan::context::Context;
use crate::plan::generation::Generation;
use crate::plan::generation::digests::Digest;

/// The digests that the newest generation's pods report.
#[derive(Debug, Default)]
pub struct GenerationDigests<'a> {
    /// By node and container name. A node that holds any image has an entry.
    by_node: BTreeMap<&'a str, Rc<BTreeMap<&'a str, Digest>>>,
    /// By architecture and container name.
    by_architecture: BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<Digest>>>,
}

impl<'a> GenerationDigests<'a> {
    /// Reads the generation's pods, except on nodes that no longer exist.
    pub fn of(context: &Context<'a>, newest: &Generation) -> Self {
        let architectures: Option<HashMap<&str, &str>> = context.nodes.map(|nodes| {
            let of_node = nodes.iter().map(|node| (node.name.as_str(), node.architecture().unwrap_or_default()));
            of_node.collect()
        });
        let mut held = Self::default();
        let (mut of_pods, mut seen) = (HashMap::new(), HashSet::new());
        for pod in context.pods_of(newest).filter(|pod| !pod.deleting) {
            let Some(node) = pod.node.as_deref() else { continue };
            let architecture = architectures.as_ref().map_or(Some(""), |known| known.get(node).copied());
            let Some(architecture) = architecture else { continue };
            // Pods that look alike share their images.
            let digests = of_pods.entry(pod.images.as_ptr()).or_insert_with(|| digests_of(pod).map(Rc::new));
            let Some(digests) = digests else { continue };
            match held.by_node.entry(node) {
                Entry::Vacant(place) => drop(place.insert(Rc::clone(digests))),
                // While a pod is replaced, its node has two.
                Entry::Occupied(mut both) => {
                    Rc::make_mut(both.get_mut()).extend(digests.iter().map(|(it, digest)| (*it, digest.clone())));
                }
            }
            if seen.insert((architecture, pod.images.as_ptr())) {
                let of_architecture = held.by_architecture.entry(architecture).or_default();
                for (image, digest) in &**digests {
                    of_architecture.entry(image).or_default().insert(digest.clone());
                }
            }
        }
        held
    }

    /// The digests of all images on a node, or `None` if the node holds no image.
    pub fn on(&self, node: &str) -> Option<&BTreeMap<&'a str, Digest>> {
        self.by_node.get(node).map(|digests| &**digests)
    }

    /// The digests of an image on all nodes of an architecture.
    pub fn of_image(&self, image: &str, architecture: &str) -> impl Iterator<Item = &Digest> {
        self.by_architecture.get(architecture).and_then(|images| images.get(image)).into_iter().flatten()
    }

    /// Whether any node of an architecture reports this digest.
    pub fn have(&self, image: &str, architecture: &str, digest: &Digest) -> bool {
        self.of_image(image, architecture).any(|other| other == digest)
    }
}

/// The digests that a pod reports, by container name; `None` if it holds no image.
fn digests_of(pod: &CoveringPod) -> Option<BTreeMap<&str, Digest>> {
    let mut held = pod.images.iter().filter(|image| image.state.hold() != Hold::None).peekable();
    held.peek()?;
    Some(held.filter_map(|image| Some((&*image.name, Digest::of_image_id(&image.image_id)?))).collect())
}
