//! The current state of the pods of a group's newest generation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::coverage::{CoveringPod, Hold, ImageState, Node, PodState};
use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::FailingImage;
use crate::plan::generation::conditions::Extent;
use crate::plan::generation::{Generation, Record};

/// The number of failing nodes stored by name, on which recovery is checked.
const MAX_SAMPLE: usize = 3;

/// If nodes cannot be read, the controller does not know how many pods to expect. It assumes that all exist this long
/// after the last node's start delay.
const POD_CREATION_GRACE: SignedDuration = SignedDuration::from_mins(1);

/// The state of the pods of a group's newest generation, on nodes that can hold all of its images.
pub struct Observations<'a> {
    pods: HashMap<&'a str, &'a CoveringPod>,
    /// The nodes that should have a pod, if nodes can be read.
    expected: Option<BTreeSet<&'a str>>,
    /// By image: the causes of failure, and the nodes that report each.
    failing: BTreeMap<&'a str, BTreeMap<ObservedFailure<'a>, BTreeSet<&'a str>>>,
    now: Timestamp,
}

/// Whether the image was pulled, the kubelet's reason, and the runtime's message.
type ObservedFailure<'a> = (bool, &'a str, &'a str);

impl<'a> Observations<'a> {
    /// Reads the state of the pods.
    pub fn of(context: &Context<'a>, group: &Group, newest: &Generation) -> Self {
        let usable = |node: &&Node| node.can_run(&group.placement);
        let expected: Option<BTreeSet<&str>> =
            context.nodes.map(|nodes| nodes.iter().filter(usable).map(|node| node.name.as_str()).collect());
        let counts = |node: &str| expected.as_ref().is_none_or(|expected| expected.contains(node));
        let own =
            context.coverage.pods_of(context.list.label).filter(|pod| *pod.generation == *newest.name && !pod.deleting);
        let pods: HashMap<&str, &CoveringPod> =
            own.filter_map(|pod| Some((pod.target.as_deref()?, pod))).filter(|(node, _)| counts(node)).collect();
        let mut failing: BTreeMap<&str, BTreeMap<ObservedFailure, BTreeSet<&str>>> = BTreeMap::new();
        for (node, pod) in pods.iter().filter(|(_, pod)| pod.state == PodState::Live && !pod.node_is_lost) {
            for image in &pod.images {
                let failure = match &image.state {
                    ImageState::Failed { reason, message } => (false, &**reason, &**message),
                    ImageState::CannotStart { reason, message, .. } => (true, &**reason, &**message),
                    ImageState::Waiting | ImageState::Pulling | ImageState::Held | ImageState::Stopped => continue,
                };
                failing.entry(&image.name).or_default().entry(failure).or_default().insert(node);
            }
        }
        Self { pods, expected, failing, now: context.now }
    }

    /// The images that cannot be held, by container name.
    pub fn failing(&self) -> BTreeMap<String, Extent> {
        let extent = |by_failure: &BTreeMap<ObservedFailure, BTreeSet<&str>>| {
            let nodes: BTreeSet<&str> = by_failure.values().flatten().copied().collect();
            let sample = nodes.iter().take(MAX_SAMPLE).map(|node| (*node).to_owned()).collect();
            Extent { nodes: nodes.len(), sample, until: None }
        };
        self.failing.iter().map(|(image, by_failure)| ((*image).to_owned(), extent(by_failure))).collect()
    }

    /// Whether an image that is not seen failing may still fail, because the result on one of these nodes is not known
    /// yet.
    pub fn may_still_fail(&self, image: &str, nodes: &BTreeSet<String>) -> bool {
        nodes.iter().any(|node| match self.pods.get(node.as_str()) {
            Some(pod) => pod.images.iter().any(|it| *it.name == *image && it.state.hold() == Hold::None),
            None => self.expected.as_ref().is_some_and(|expected| expected.contains(node.as_str())),
        })
    }

    /// An image that cannot be held, with the cause on most of the nodes.
    pub fn failing_image(&self, image: &str, reference: String) -> Option<FailingImage> {
        let by_failure = self.failing.get(image)?;
        let ((pulled, reason, message), _) = by_failure.iter().max_by_key(|(_, nodes)| nodes.len())?;
        Some(FailingImage {
            reference,
            pulled: *pulled,
            reason: (*reason).to_owned(),
            message: (*message).to_owned(),
            nodes: by_failure.values().flatten().map(|node| (*node).to_owned()).collect(),
        })
    }

    /// Whether all pods exist and none is still pulling. Failing images do not count, because kubelets retry them
    /// forever.
    pub fn all_settled(&self, record: &Record) -> bool {
        let settled = |pod: &&CoveringPod| {
            let ahead =
                |state: &ImageState| matches!(state, ImageState::Waiting | ImageState::Pulling | ImageState::Stopped);
            pod.state == PodState::Live && !pod.images.iter().any(|image| ahead(&image.state))
        };
        let complete = match &self.expected {
            Some(expected) => self.pods.len() == expected.len(),
            None => self.pods_expected_at(record).is_some_and(|at| at <= self.now),
        };
        !self.pods.is_empty() && complete && self.pods.values().all(settled)
    }

    /// When all pods are assumed to exist, if nodes cannot be read.
    pub fn pods_expected_at(&self, record: &Record) -> Option<Timestamp> {
        let spread = SignedDuration::from_secs(record.spread_seconds.try_into().unwrap_or(i64::MAX));
        let after = spread.saturating_add(POD_CREATION_GRACE);
        record.epoch.checked_add(after).ok().filter(|_| self.expected.is_none())
    }

    /// When the youngest pod was created.
    pub fn latest_pod(&self) -> Option<Timestamp> {
        self.pods.values().filter_map(|pod| pod.created).max()
    }

    /// How many nodes have a pod.
    pub fn nodes(&self) -> usize {
        self.pods.len()
    }

    /// How many of these nodes hold all images.
    pub fn nodes_with_all(&self) -> usize {
        let all = |pod: &&&CoveringPod| pod.images.iter().all(|image| image.state.hold() != Hold::None);
        self.pods.values().filter(all).count()
    }
}
