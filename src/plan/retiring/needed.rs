//! The nodes and images that an older generation is still needed for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::pod_images::{ImageNumber, NormalForms};

/// Why a generation is still needed, and what may end that. If there are several reasons, the greatest applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocker {
    /// Newer generations failed to pull the image, or were not built with it.
    Stuck,
    /// No pod of a newer generation can start or make progress on the node.
    NodesUnavailable,
    /// No newer generation has a pod for the node. Possibly none ever will: the newest may precede an edit that adds
    /// the node.
    Unserved,
    /// A newer generation may still pull the image.
    Moving,
}

/// The nodes and images that an older generation is still needed for.
#[derive(Debug, Default, PartialEq)]
pub struct Needed<'a> {
    /// The images in normal form, by node. Nodes that need the same share them.
    pub nodes: BTreeMap<&'a str, Rc<BTreeSet<Rc<str>>>>,
    /// The images that it is needed for on any node.
    pub images: BTreeSet<Rc<str>>,
    /// Why it is still needed, or `None` if it is not.
    pub blocker: Option<Blocker>,
    /// How many nodes have a pod of it that is not being deleted.
    pub runs_on: usize,
    /// Whether pods of it are missing on unknown nodes, where newer generations may be missing too.
    pub awaits_pods: bool,
}

impl Needed<'_> {
    /// Whether no node needs it.
    pub fn is_nowhere(&self) -> bool {
        self.nodes.is_empty() && !self.awaits_pods
    }
}

/// The same while it is found out.
#[derive(Default)]
pub struct NeededSoFar<'a> {
    nodes: HashMap<&'a str, Vec<ImageNumber>>,
    blocker: Option<Blocker>,
    runs_on: usize,
    pub awaits_pods: bool,
}

impl<'a> NeededSoFar<'a> {
    /// Nothing yet, of a generation with pods on so many nodes.
    pub fn of_pods_on(nodes: usize) -> Self {
        Self { runs_on: nodes, ..Self::default() }
    }

    pub fn add(&mut self, node: &'a str, image: ImageNumber, blocker: Blocker) {
        self.nodes.entry(node).or_default().push(image);
        self.blocker = self.blocker.max(Some(blocker));
    }

    pub fn total(self, forms: &NormalForms) -> Needed<'a> {
        let mut known: HashMap<Vec<ImageNumber>, Rc<BTreeSet<Rc<str>>>> = HashMap::new();
        let of = |images: &[ImageNumber]| images.iter().map(|image| Rc::clone(forms.form(*image))).collect();
        let mut nodes = BTreeMap::new();
        for (node, mut images) in self.nodes {
            images.sort_unstable();
            images.dedup();
            let shared = match known.get(&images) {
                Some(shared) => Rc::clone(shared),
                None => Rc::clone(known.entry(images.clone()).or_insert_with(|| Rc::new(of(&images)))),
            };
            nodes.insert(node, shared);
        }
        let images = known.values().flat_map(|images| images.iter().cloned()).collect();
        let Self { blocker, runs_on, awaits_pods, .. } = self;
        Needed { nodes, images, blocker, runs_on, awaits_pods }
    }
}
