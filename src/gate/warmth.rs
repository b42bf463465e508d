//! How far the images of a list are on nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::coverage::{Coverage, Node, PodState};
use crate::list::Config;
use crate::list::config::{Image, NodeGate};
use crate::summary::node_state::{NodeState, Why};
use crate::summary::{Summary, SummaryInput};

/// How long after a node is ready its kubelet may take to correct what a former node of the same name has reported of its pods.
pub const SURE_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// By how much the clocks of API servers may differ, whose times are in whole seconds.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

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
        let worst = [self.behind.take(), other.behind.clone()].into_iter().flatten().min_by_key(|behind| behind.state);
        self.behind = worst;
    }

    fn add_image(&mut self, image: &Image, state: NodeState, why: Why) {
        self.images += 1;
        if state == NodeState::Warm {
            self.warm += 1;
            return;
        }
        if self.behind.as_ref().is_some_and(|behind| behind.state <= state) {
            return;
        }
        self.behind = Some(BehindImage {
            name: image.name.to_string(),
            reference: image.reference.to_string(),
            state,
            reason: why.reason.to_owned(),
            message: why.message.to_owned(),
        });
    }
}

/// How far the images that a gate waits for are on nodes, by the names of the nodes. A node on which it waits for none is left out.
pub fn of_list<'n>(input: SummaryInput<'n>, gate: &NodeGate, nodes: &'n [Arc<Node>]) -> HashMap<&'n str, NodeWarmth> {
    let SummaryInput { list, config, coverage, now, .. } = input;
    let mut warmth: HashMap<&str, NodeWarmth> = HashMap::new();
    let mut counted: HashSet<(&str, &str)> = HashSet::new();
    let doubtful: HashSet<&str> = with_doubtful_pods(coverage, list, nodes, now).collect();
    let summary = Summary::new(input);
    for group in summary.groups() {
        counted.extend(group.nodes().map(|node| (group.group.name.as_str(), node)));
        for (index, image) in group.images().enumerate().filter(|(_, it)| gate.waits_for(it.image.name.as_str())) {
            for on_node in &image.nodes {
                let state = match on_node.state {
                    NodeState::Warm if doubtful.contains(on_node.node) => NodeState::Waiting,
                    state => state,
                };
                let why = on_node.why.unwrap_or_default();
                warmth.entry(on_node.node).or_default().add_image(&group.group.images[index], state, why);
            }
        }
    }
    add_groups_to_come(config, gate, nodes, &counted, &mut warmth);
    warmth
}

/// Adds the groups of nodes that have further startup taints, which other components remove soon: until then, a group that belongs
/// there has no pod.
fn add_groups_to_come<'n>(
    config: &Config,
    gate: &NodeGate,
    nodes: &'n [Arc<Node>],
    counted: &HashSet<(&str, &str)>,
    warmth: &mut HashMap<&'n str, NodeWarmth>,
) {
    for group in &config.groups {
        let is_to_come = |node: &&Arc<Node>| {
            !counted.contains(&(group.name.as_str(), node.name.as_str())) && node.will_take(&group.placement)
        };
        for node in nodes.iter().filter(is_to_come) {
            let wanted = group.images.iter().enumerate().filter(|(_, image)| gate.waits_for(image.name.as_str()));
            for (index, _) in wanted {
                warmth.entry(&node.name).or_default().add_image(
                    &group.images[index],
                    NodeState::Tainted,
                    Why::default(),
                );
            }
        }
    }
}

/// The nodes on which a pod of the list is older than the node itself. What it reports may be about a former node of that name, whose
/// disk may be gone, until the new node's kubelet has had time to say otherwise.
fn with_doubtful_pods<'n>(
    coverage: &Coverage,
    list: &str,
    nodes: &'n [Arc<Node>],
    now: Timestamp,
) -> impl Iterator<Item = &'n str> {
    let is_new = |node: &&Arc<Node>| node.ready_since.is_none_or(|since| now.duration_since(since) < SURE_AFTER);
    let new: HashMap<&str, Timestamp> =
        nodes.iter().filter(is_new).filter_map(|node| Some((node.name.as_str(), node.created?))).collect();
    let doubtful: Vec<&'n str> = if new.is_empty() {
        Vec::new()
    } else {
        let live = coverage.pods_of(list).filter(|pod| !pod.deleting && pod.state == PodState::Live);
        let older = live.filter_map(|pod| {
            let (node, joined) = new.get_key_value(pod.node.as_deref()?)?;
            (pod.created?.checked_add(SKEW).ok()? < *joined).then_some(*node)
        });
        older.collect()
    };
    doubtful.into_iter()
}
