//! The tags' digests as reported by the newest generation's pods.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::coverage::Hold;
use crate::plan::context::Context;
use crate::plan::generation::Generation;
use crate::plan::generation::digests::Digest;

/// The digests that the newest generation's pods report.
#[derive(Debug, Default)]
pub struct GenerationDigests<'a> {
    /// By node and container name. A node that holds any image has an entry.
    by_node: BTreeMap<&'a str, BTreeMap<&'a str, Digest>>,
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
        let pods = context.coverage.pods_of(context.list.label);
        for pod in pods.filter(|pod| *pod.generation == *newest.name && !pod.deleting) {
            let Some(node) = pod.node.as_deref() else { continue };
            let architecture = architectures.as_ref().map_or(Some(""), |known| known.get(node).copied());
            let Some(architecture) = architecture else { continue };
            for image in pod.images.iter().filter(|image| image.state.hold() != Hold::None) {
                let of_node = held.by_node.entry(node).or_default();
                if let Some(digest) = Digest::of_image_id(&image.image_id) {
                    of_node.insert(&image.name, digest.clone());
                    let of_architecture = held.by_architecture.entry(architecture).or_default();
                    of_architecture.entry(&image.name).or_default().insert(digest);
                }
            }
        }
        held
    }

    /// The digests of all images on a node, or `None` if the node holds no image.
    pub fn on(&self, node: &str) -> Option<&BTreeMap<&'a str, Digest>> {
        self.by_node.get(node)
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
