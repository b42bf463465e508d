//! How far the images of a list are on nodes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::coverage::{Coverage, Node};
use crate::list::Config;
use crate::list::config::{Group, NodeGate};
use crate::summary::node_state::{ImageOnNode, NodeState};
use crate::summary::{Summary, SummaryInput};

/// How far the images of a list, or of several, are on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeWarmth {
    /// How many images the node waits for.
    pub images: usize,
    /// How many of them are there.
    pub warm: usize,
    /// The worst of those that are not.
    pub behind: Option<BehindImage>,
}

/// An image that is not warm on a node, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehindImage {
    /// Its name.
    pub name: String,
    /// Its reference.
    pub reference: String,
    /// Its state there.
    pub state: NodeState,
    /// The word of the kubelet or the scheduler, and what it says.
    pub reason: String,
    /// The message of the registry, the runtime or the scheduler.
    pub message: String,
}

impl NodeWarmth {
    /// Whether all images are there.
    pub fn is_warm(&self) -> bool {
        self.warm == self.images
    }

    /// What both say together.
    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.warm += other.warm;
        let worse = [self.behind.take(), other.behind.clone()].into_iter().flatten().min_by_key(|behind| behind.state);
        self.behind = worse;
    }

    fn add_image(&mut self, image: &Group, index: usize, on_node: Option<&ImageOnNode>) {
        self.images += 1;
        let (state, why) = on_node.map_or((NodeState::Tainted, None), |it| (it.state, it.why));
        if state == NodeState::Warm {
            self.warm += 1;
            return;
        }
        if self.behind.as_ref().is_some_and(|behind| behind.state <= state) {
            return;
        }
        let why = why.unwrap_or_default();
        let image = &image.images[index];
        self.behind = Some(BehindImage {
            name: image.name.to_string(),
            reference: image.reference.to_string(),
            state,
            reason: why.reason.to_owned(),
            message: why.message.to_owned(),
        });
    }
}

/// How far the images that a gate waits for are on nodes, by the names of the nodes. A node that no group is for is left out.
pub fn of_list<'n>(input: SummaryInput<'n>, gate: &NodeGate, nodes: &'n [Arc<Node>]) -> HashMap<&'n str, NodeWarmth> {
    let SummaryInput { list, config, coverage, .. } = input;
    let mut warmth = waiting_for_others(config, gate, nodes);
    let summary = Summary::new(input);
    for group in summary.groups() {
        for node in group.nodes() {
            warmth.entry(node).or_default();
        }
        for (index, image) in group.images().enumerate() {
            for on_node in image.nodes.iter().filter(|_| gate.waits_for(image.image.name.as_str())) {
                warmth.entry(on_node.node).or_default().add_image(group.group, index, Some(on_node));
            }
        }
    }
    for node in nodes.iter().filter(|node| has_older_pod(coverage, list, node)) {
        if let Some(warmth) = warmth.get_mut(node.name.as_str()) {
            warmth.warm = 0;
        }
    }
    warmth
}

/// The nodes that have further startup taints, which other components remove soon: until then, a group that belongs there has no pod.
fn waiting_for_others<'n>(config: &Config, gate: &NodeGate, nodes: &'n [Arc<Node>]) -> HashMap<&'n str, NodeWarmth> {
    let mut warmth: HashMap<&str, NodeWarmth> = HashMap::new();
    for node in nodes {
        for group in config.groups.iter().filter(|group| node.will_take(&group.placement)) {
            let of_node = warmth.entry(node.name.as_str()).or_default();
            let wanted = group.images.iter().enumerate().filter(|(_, image)| gate.waits_for(image.name.as_str()));
            wanted.for_each(|(index, _)| of_node.add_image(group, index, None));
        }
    }
    warmth
}

/// Whether a pod of the list there is older than the node itself. What it reports is about a former node of that name, whose disk may
/// be gone.
fn has_older_pod(coverage: &Coverage, list: &str, node: &Node) -> bool {
    let mut here = coverage.pods_of(list).filter(|pod| pod.node.as_deref() == Some(node.name.as_str()));
    here.any(|pod| pod.created.zip(node.created).is_some_and(|(pod, node)| pod < node))
}
