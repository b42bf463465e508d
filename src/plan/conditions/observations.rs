//! The current state of the pods of a group's newest generation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::failures::{ImageFailures, extent_of, passes_until, stored_cause};
use super::settled::Settled;
use crate::coverage::{
    CoveredImage, CoveringPod, FailureCause, Hold, ImageState, InitFailure, Initialization, Node, PodState,
};
use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::{FailingImage, FailingInitContainer};
use crate::plan::generation::conditions::{Condition, Extent, ReportedCondition};
use crate::plan::generation::exclusion::Exclusion;
use crate::plan::generation::pods::distinct_images;
use crate::plan::generation::{Generation, Record};

/// If nodes cannot be read, the controller does not know how many pods to expect. It assumes that all exist this long
/// after the last node's start delay.
const POD_CREATION_GRACE: SignedDuration = SignedDuration::from_mins(1);

/// The state of the pods of a group's newest generation, on nodes that can hold all of its images.
pub struct Observations<'a> {
    pods: HashMap<&'a str, &'a CoveringPod>,
    /// The nodes that should have a pod, if nodes can be read.
    expected: Option<HashSet<&'a str>>,
    /// By image.
    failing: BTreeMap<&'a str, ImageFailures<'a>>,
    /// By init container: the failures, and the nodes that report each.
    init_failing: BTreeMap<&'a str, BTreeMap<&'a InitFailure, Vec<&'a str>>>,
    /// The nodes on which an init container fails.
    cannot_start: HashSet<&'a str>,
    /// When the next failure counts that may pass by itself until then.
    pub failures_count_at: Option<Timestamp>,
    now: Timestamp,
}

impl<'a> Observations<'a> {
    /// Reads the state of the pods.
    pub fn of(context: &Context<'a>, group: &Group, newest: &Generation, exclusion: &Exclusion<'a>) -> Self {
        let usable = |node: &&Arc<Node>| node.can_run(&group.placement) && exclusion.on(node).is_none();
        let expected: Option<HashSet<&str>> =
            context.nodes.map(|nodes| nodes.iter().filter(usable).map(|node| node.name.as_str()).collect());
        let counts = |node: &str| expected.as_ref().is_none_or(|expected| expected.contains(node));
        let own = context.pods_of(newest).filter(|pod| !pod.deleting);
        let is_excluded = |pod: &'a CoveringPod| expected.is_none() && exclusion.of_pod(pod).is_some();
        let own = own.filter(|pod| !is_excluded(pod)).filter_map(|pod| Some((pod.target.as_deref()?, pod)));
        let pods: HashMap<&str, &CoveringPod> = own.filter(|(node, _)| counts(node)).collect();
        let mut observations = Self {
            pods,
            expected,
            failing: BTreeMap::new(),
            init_failing: BTreeMap::new(),
            cannot_start: HashSet::new(),
            failures_count_at: None,
            now: context.now,
        };
        observations.find_failures(context, newest);
        observations
    }

    fn find_failures(&mut self, context: &Context<'a>, newest: &Generation) {
        let mut nodes: Option<HashMap<&str, &Node>> = None;
        let mut node = |name: &str| {
            let by_name = || context.nodes.into_iter().flatten().map(|node| (node.name.as_str(), &**node)).collect();
            nodes.get_or_insert_with(by_name).get(name).copied()
        };
        let pods = self.pods.iter().map(|(node, pod)| (*node, *pod));
        let live = pods.filter(|(_, pod)| pod.state == PodState::Live && !pod.node_is_lost);
        let mut held = None;
        let others_start = self.pods.values().any(|pod| pod.initialization == Initialization::Done);
        for (name, pod) in live {
            if let Some(failure) = pod.initialization.failure() {
                // The containers come after the init containers.
                let ran_before = pod.images.iter().any(|image| image.ran_before);
                let until = passes_until(ran_before, others_start, pod, node(name), self.now);
                self.failures_count_at = self.failures_count_at.into_iter().chain(until).min();
                if until.is_none() {
                    self.cannot_start.insert(name);
                    self.init_failing.entry(&failure.container).or_default().entry(failure).or_default().push(name);
                }
                // What it reports of images is from before it had to start again.
                continue;
            }
            for image in pod.images.iter() {
                let Some(cause) = image.state.cause() else { continue };
                let held = held.get_or_insert_with(|| HeldImages::of(context, newest));
                let until = passes_until(image.ran_before, held.has(image), pod, node(name), self.now);
                self.failures_count_at = self.failures_count_at.into_iter().chain(until).min();
                self.failing.entry(&image.name).or_default().add(name, cause, until);
            }
        }
    }

    /// The images that cannot be held, by container name, of which some may have been reported.
    pub fn failing(&self, reported: Option<&ReportedCondition>) -> BTreeMap<String, Extent> {
        let extents = self.failing.iter();
        extents.filter_map(|(image, it)| Some(((*image).to_owned(), it.extent(image, reported)?))).collect()
    }

    /// The init containers that fail, by name, of which some may have been reported.
    pub fn init_failing(&self, reported: Option<&ReportedCondition>) -> BTreeMap<String, Extent> {
        let extent = |container: &str, failures: &BTreeMap<&InitFailure, Vec<&str>>| {
            let said = failures.iter().map(|(failure, nodes)| (failure.cause_or(None), nodes.len()));
            let known = reported.and_then(|reported| reported.extents.get(container));
            extent_of(failures, stored_cause(said, known))
        };
        let by_container = self.init_failing.iter();
        by_container.map(|(container, failures)| ((*container).to_owned(), extent(container, failures))).collect()
    }

    /// Whether an init container that is not seen failing may still fail, because on one of these nodes the pod has not
    /// got past its init containers yet.
    pub fn init_may_still_fail(&self, nodes: &BTreeSet<String>) -> bool {
        nodes.iter().any(|node| match self.pods.get(node.as_str()) {
            Some(pod) => pod.initialization != Initialization::Done,
            None => self.is_expected(node),
        })
    }

    /// An init container that fails, with the cause on most of the nodes. `stored` is what was known before, if kubelets say none.
    pub fn failing_init(&self, container: &str, stored: Option<FailureCause>) -> Option<FailingInitContainer> {
        let by_failure = self.init_failing.get(container)?;
        let most = by_failure.iter().max_by_key(|(failure, nodes)| (failure.cause_or(None).is_known(), nodes.len()));
        let (failure, _) = most?;
        let nodes = by_failure.values().flatten().map(|node| (*node).to_owned()).collect();
        Some(FailingInitContainer { failure: failure.with_cause(failure.cause_or(stored)), nodes })
    }

    fn is_expected(&self, node: &str) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.contains(node))
    }

    /// Whether an image that is not seen failing may still fail, because the result on one of these nodes is not known
    /// yet.
    pub fn may_still_fail(&self, image: &str, nodes: &BTreeSet<String>) -> bool {
        nodes.iter().any(|node| match self.pods.get(node.as_str()) {
            Some(pod) => pod.images.iter().any(|it| *it.name == *image && it.state.hold() == Hold::None),
            None => self.is_expected(node),
        })
    }

    /// An image that cannot be held, with the cause on most of the nodes. `stored` is what was known before, if kubelets say none.
    pub fn failing_image(&self, image: &str, reference: String, stored: Option<FailureCause>) -> Option<FailingImage> {
        let by_failure = &self.failing.get(image)?.lasting;
        let most = |known: bool| by_failure.iter().filter(move |((_, cause), _)| cause.is_known() == known);
        let most_nodes =
            |known| most(known).max_by_key(|(_, nodes)| nodes.len()).map(|((pulled, cause), _)| (*pulled, *cause));
        let stored = stored.map(|cause| (!cause.is_of_pull(), cause));
        let (pulled, cause) = most_nodes(true).or(stored).or_else(|| most_nodes(false))?;
        Some(FailingImage {
            reference,
            pulled,
            reason: cause.reason.to_owned(),
            message: cause.message.to_owned(),
            nodes: by_failure.values().flatten().map(|node| (*node).to_owned()).collect(),
        })
    }

    /// Whether all pods exist and none is still pulling.
    pub fn settled(&self, record: &Record) -> Settled {
        let expected_at = self.pods_expected_at(record);
        let complete = match &self.expected {
            Some(expected) => self.pods.len() == expected.len(),
            None => expected_at.is_some_and(|at| at <= self.now),
        };
        if self.pods.is_empty() || !complete {
            return Settled::No(expected_at);
        }
        let pods = self.pods.iter().map(|(node, pod)| (*pod, self.cannot_start.contains(node)));
        Settled::of(pods, record, self.now)
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
        let all = |pod: &&&CoveringPod| {
            pod.state == PodState::Live && pod.images.iter().all(|image| image.state == ImageState::Held)
        };
        self.pods.values().filter(all).count()
    }
}

/// The images that are held somewhere, or were when the rollout was complete.
struct HeldImages<'a> {
    references: HashSet<&'a str>,
    complete: bool,
    /// The images that were reported as failing, so a complete rollout says nothing about them.
    failing: BTreeSet<String>,
}

impl<'a> HeldImages<'a> {
    fn of(context: &Context<'a>, newest: &Generation) -> Self {
        let pods = context.coverage.pods_of(context.list.label);
        let images = distinct_images(pods).filter(|image| image.state == ImageState::Held);
        let reported = newest.reported.conditions.get(&Condition::Failing);
        Self {
            references: images.map(|image| &*image.reference).collect(),
            complete: newest.reported.complete,
            failing: reported.into_iter().flat_map(|reported| reported.extents.keys().cloned()).collect(),
        }
    }

    fn has(&self, image: &CoveredImage) -> bool {
        self.references.contains(&*image.reference) || self.complete && !self.failing.contains(&*image.name)
    }
}
