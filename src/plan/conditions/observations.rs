//! What the pods of a group's newest generation say now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::coverage::{CoveringPod, Hold, ImageState, Node, PodState};
use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::FailingImage;
use crate::plan::generation::conditions::Extent;
use crate::plan::generation::{Generation, Record};

/// So many nodes are remembered by name, to see on them that the condition is over.
const REMEMBERED: usize = 3;

/// Where nodes may not be read, nobody says which pods are still to come: as long after the last node's turn all of them have.
const PODS_HAVE_COME: SignedDuration = SignedDuration::from_mins(1);

/// What the pods of a group's newest generation say, on nodes that could hold all of its images.
pub struct Observations<'a> {
    pods: HashMap<&'a str, &'a CoveringPod>,
    /// The nodes that there should be pods on, where nodes may be read.
    expected: Option<BTreeSet<&'a str>>,
    /// By image: why it cannot be held, and where.
    failing: BTreeMap<&'a str, BTreeMap<Why<'a>, BTreeSet<&'a str>>>,
    now: Timestamp,
}

/// The kubelet's word and the runtime's, and whether the image was pulled.
type Why<'a> = (bool, &'a str, &'a str);

impl<'a> Observations<'a> {
    /// Looks at the pods.
    pub fn of(context: &Context<'a>, group: &Group, newest: &Generation) -> Self {
        let usable = |node: &&Node| node.ready && !node.deleting && !node.unschedulable && node.takes(&group.placement);
        let expected: Option<BTreeSet<&str>> =
            context.nodes.map(|nodes| nodes.iter().filter(usable).map(|node| node.name.as_str()).collect());
        let counts = |node: &str| expected.as_ref().is_none_or(|expected| expected.contains(node));
        let own =
            context.coverage.pods_of(context.list.label).filter(|pod| *pod.generation == *newest.name && !pod.deleting);
        let pods: HashMap<&str, &CoveringPod> =
            own.filter_map(|pod| Some((pod.target.as_deref()?, pod))).filter(|(node, _)| counts(node)).collect();
        let mut failing: BTreeMap<&str, BTreeMap<Why, BTreeSet<&str>>> = BTreeMap::new();
        for (node, pod) in pods.iter().filter(|(_, pod)| pod.state == PodState::Live && !pod.node_is_lost) {
            for image in &pod.images {
                let why = match &image.state {
                    ImageState::Failed { reason, message } => (false, &**reason, &**message),
                    ImageState::CannotStart { reason, message, .. } => (true, &**reason, &**message),
                    ImageState::Waiting | ImageState::Pulling | ImageState::Held | ImageState::Stopped => continue,
                };
                failing.entry(&image.name).or_default().entry(why).or_default().insert(node);
            }
        }
        Self { pods, expected, failing, now: context.now }
    }

    /// The images that cannot be held, by the names of their containers.
    pub fn failing(&self) -> BTreeMap<String, Extent> {
        let extent = |by_why: &BTreeMap<Why, BTreeSet<&str>>| {
            let nodes: BTreeSet<&str> = by_why.values().flatten().copied().collect();
            let some = nodes.iter().take(REMEMBERED).map(|node| (*node).to_owned()).collect();
            Extent { nodes: nodes.len(), some, until: None }
        };
        self.failing.iter().map(|(image, by_why)| ((*image).to_owned(), extent(by_why))).collect()
    }

    /// Whether an image that is not seen failing may do so still: on one of these nodes nobody knows yet.
    pub fn may_fail_still(&self, image: &str, nodes: &BTreeSet<String>) -> bool {
        nodes.iter().any(|node| match self.pods.get(node.as_str()) {
            Some(pod) => pod.images.iter().any(|it| *it.name == *image && it.state.hold() == Hold::None),
            None => self.expected.as_ref().is_some_and(|expected| expected.contains(node.as_str())),
        })
    }

    /// An image that cannot be held, with the reason of most nodes.
    pub fn failing_image(&self, image: &str, reference: String) -> Option<FailingImage> {
        let by_why = self.failing.get(image)?;
        let ((pulled, reason, message), _) = by_why.iter().max_by_key(|(_, nodes)| nodes.len())?;
        Some(FailingImage {
            reference,
            pulled: *pulled,
            reason: (*reason).to_owned(),
            message: (*message).to_owned(),
            nodes: by_why.values().flatten().map(|node| (*node).to_owned()).collect(),
        })
    }

    /// Whether all pods are there, and none has anything before it. What cannot be held does not count: kubelets try that again
    /// for ever.
    pub fn all_settled(&self, record: &Record) -> bool {
        let settled = |pod: &&CoveringPod| {
            let ahead =
                |state: &ImageState| matches!(state, ImageState::Waiting | ImageState::Pulling | ImageState::Stopped);
            pod.state == PodState::Live && !pod.images.iter().any(|image| ahead(&image.state))
        };
        let complete = match &self.expected {
            Some(expected) => self.pods.len() == expected.len(),
            None => self.pods_have_come_at(record).is_some_and(|at| at <= self.now),
        };
        !self.pods.is_empty() && complete && self.pods.values().all(settled)
    }

    /// When all pods will have come, where nodes may not be read, and so nobody can say that they have.
    pub fn pods_have_come_at(&self, record: &Record) -> Option<Timestamp> {
        let spread = SignedDuration::from_secs(record.spread_seconds.try_into().unwrap_or(i64::MAX));
        let after = spread.saturating_add(PODS_HAVE_COME);
        record.epoch.checked_add(after).ok().filter(|_| self.expected.is_none())
    }

    /// When the latest of the pods was created.
    pub fn latest_pod(&self) -> Option<Timestamp> {
        self.pods.values().filter_map(|pod| pod.created).max()
    }

    /// On how many nodes there are pods.
    pub fn nodes(&self) -> usize {
        self.pods.len()
    }

    /// On how many of them all images are held.
    pub fn nodes_with_all(&self) -> usize {
        let all = |pod: &&&CoveringPod| pod.images.iter().all(|image| image.state.hold() != Hold::None);
        self.pods.values().filter(all).count()
    }
}
