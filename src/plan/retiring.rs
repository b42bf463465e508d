//! Whether an older generation is still needed.
//!
//! It is needed on a node as long as its pod there holds an image that is still on the list and that no newer generation's
//! pod holds there as firmly. A newer generation that goes itself does not count.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::generation::Generation;
use crate::coverage::{CoveredImage, CoveringPod, Hold, ImageState, Node};
use crate::list::Config;
use crate::list::reference::ImageReference;

/// The pods and the list, arranged for the question.
pub struct Need<'a> {
    pods: HashMap<&'a str, Vec<HoldingPod<'a>>>,
    nodes: Option<HashMap<&'a str, &'a Node>>,
    config: &'a Config,
    /// The images that each group of the list wants, in normal form.
    wanted: Vec<HashSet<String>>,
}

/// A pod that is not about to go, with its images in normal form: the same image may be spelled in two ways.
struct HoldingPod<'a> {
    pod: &'a CoveringPod,
    images: Vec<(Rc<str>, &'a ImageState)>,
}

/// Where and for what an older generation is still needed.
#[derive(Debug, Default, PartialEq)]
pub struct Needed<'a> {
    /// The nodes.
    pub nodes: BTreeSet<&'a str>,
    /// The images, in normal form.
    pub images: BTreeSet<Rc<str>>,
    /// Whether any of them may still come with a newer generation: not all have been tried there in vain.
    pub moving: bool,
}

impl<'a> Need<'a> {
    /// Arranges pods by their nodes. `nodes` is `None` where the controller may not read them.
    pub fn new(
        config: &'a Config,
        generations: &'a [Generation],
        pods: impl Iterator<Item = &'a CoveringPod>,
        nodes: Option<&'a [Node]>,
    ) -> Self {
        let known: HashMap<&str, &Generation> = generations.iter().map(|it| (it.name.as_str(), it)).collect();
        let mut normal_forms: HashMap<&str, Rc<str>> = HashMap::new();
        let mut by_node: HashMap<&str, Vec<HoldingPod>> = HashMap::new();
        for pod in pods.filter(|pod| !pod.deleting) {
            let Some(node) = &pod.node else { continue };
            let generation = known.get(&*pod.generation).copied();
            let images = pod.images.iter().map(|image| {
                let listed = as_listed(image, generation);
                let normal = normal_forms.entry(listed).or_insert_with(|| normal_form(listed).into());
                (Rc::clone(normal), &image.state)
            });
            by_node.entry(node).or_default().push(HoldingPod { pod, images: images.collect() });
        }
        let wanted = config.groups.iter().map(|group| {
            let references = group.images.iter().map(|image| image.reference.normal_form());
            references.collect()
        });
        Self {
            pods: by_node,
            nodes: nodes.map(|nodes| nodes.iter().map(|node| (node.name.as_str(), node)).collect()),
            config,
            wanted: wanted.collect(),
        }
    }

    /// Where `generation` is needed; `newer` are the generations that came after it and stay.
    pub fn of(&self, generation: &Generation, newer: &[&Generation]) -> Needed<'a> {
        let newer: HashSet<&str> = newer.iter().map(|generation| generation.name.as_str()).collect();
        let mut needed = Needed::default();
        for (node, pods) in &self.pods {
            for own in pods.iter().filter(|it| *it.pod.generation == *generation.name) {
                for (image, state) in own.images.iter().filter(|(image, _)| self.wants(node, own.pod, image)) {
                    needed.take_in(node, image, state, states(pods, &newer, image).collect());
                }
            }
        }
        needed
    }

    /// Whether the list wants that image on the node that the pod is on. A node that is gone wants none.
    fn wants(&self, node: &str, pod: &CoveringPod, image: &str) -> bool {
        let node = match &self.nodes {
            None => None,
            Some(nodes) => match nodes.get(node) {
                Some(node) => Some(*node),
                None => return false,
            },
        };
        let mut groups = self.config.groups.iter().zip(&self.wanted);
        groups.any(|(group, wanted)| {
            wanted.contains(image) && node.is_none_or(|node| node.keeps(&pod.tolerations, &group.placement))
        })
    }
}

impl<'a> Needed<'a> {
    fn take_in(&mut self, node: &'a str, image: &Rc<str>, state: &ImageState, newer: Vec<&ImageState>) {
        let hold = state.hold();
        if hold == Hold::None || newer.iter().any(|state| state.hold() >= hold) {
            return;
        }
        let in_vain = |state: &&ImageState| matches!(state, ImageState::Failed { .. } | ImageState::CannotStart { .. });
        self.nodes.insert(node);
        self.images.insert(Rc::clone(image));
        self.moving |= !newer.iter().any(in_vain);
    }
}

/// What became of the image in the pods of those generations.
fn states<'a>(
    pods: &'a [HoldingPod<'a>],
    generations: &'a HashSet<&str>,
    image: &'a str,
) -> impl Iterator<Item = &'a ImageState> {
    let theirs = pods.iter().filter(|it| generations.contains(&*it.pod.generation));
    theirs.flat_map(|it| &it.images).filter(move |(other, _)| **other == *image).map(|(_, state)| *state)
}

/// The image as the list spelled it: admission may have rewritten it in the pod.
pub fn as_listed<'a>(image: &'a CoveredImage, generation: Option<&'a Generation>) -> &'a str {
    generation.and_then(|generation| generation.images.get(&*image.name)).map_or(&*image.reference, String::as_str)
}

/// The normal form of a reference that need not be one.
pub fn normal_form(reference: &str) -> String {
    ImageReference::parse(reference).map_or_else(|_| reference.to_owned(), |reference| reference.normal_form())
}
