//! The conditions of a group that have been reported, as stored on its newest generation.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::coverage::{EVICTION_LOOP_WINDOW, FailureCause, OMITTED};
use crate::text::{CleanText, json};

/// The maximum size of the annotation. All annotations of an object share 256 KiB.
const MAX_BYTES: usize = 40_000;

/// The conditions of a group that have been reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReportedConditions {
    /// Whether the end of the rollout has been reported: no node is pulling or waiting any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// Whether it ended without all images on all nodes, which has been reported.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stalled: bool,
    /// Whether the end of the rollout is yet to be reported, together with those of the group's other shards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub awaits_shards: bool,
    /// When the youngest pod was created, as of completion. A pod created later replaces another pod or is on a new
    /// node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_pod: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    /// What has been reported of each condition.
    pub conditions: BTreeMap<Condition, ReportedCondition>,
}

/// A condition that a group can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// The newest generation cannot hold an image. Keyed by container name.
    Failing,
    /// Holders are repeatedly evicted. Keyed by node.
    EvictionLoop,
    /// Admission sets `imagePullPolicy: Always` on every pod.
    AlwaysPullEnforced,
    /// No node matches the group.
    NoNodes,
    /// Something refuses the group's pods.
    PodsRefused,
    /// An init container of the newest generation's pods fails. Keyed by container name.
    InitFailing,
    /// Admission adds a node selector to the pods that excludes nodes of the group. Keyed by the label that these lack.
    NodesExcluded,
    /// Nodes cannot give the group's pods the user namespace that it asks for.
    UserNamespacesMissing,
}

impl ReportedConditions {
    /// Parses the annotation. An invalid value counts as empty, so conditions are reported again.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Formats the annotation. If it gets too long, what only humans read is left out: the causes, then the names of nodes.
    pub fn to_text(&self) -> String {
        let whole = json::annotation(self);
        if whole.len() <= MAX_BYTES {
            return whole;
        }
        let causeless = self.with_extents(|extent| Extent { cause: None, ..extent.clone() });
        let shorter = json::annotation(&causeless);
        if shorter.len() <= MAX_BYTES {
            return shorter;
        }
        json::annotation(&causeless.with_extents(|extent| Extent { sample: BTreeSet::new(), ..extent.clone() }))
    }

    fn with_extents(&self, change: impl Fn(&Extent) -> Extent) -> Self {
        let mut changed = self.clone();
        let extents = changed.conditions.values_mut().flat_map(|reported| reported.extents.values_mut());
        extents.for_each(|extent| *extent = change(extent));
        changed
    }

    /// What the next generation of the group starts with, since conditions outlast rollouts.
    pub fn for_next_generation(&self) -> Self {
        Self { complete: false, stalled: false, awaits_shards: false, latest_pod: None, ..self.clone() }
    }

    /// The stored cause of an image that was reported as failing.
    pub fn cause_of(&self, image: &str) -> Option<FailureCause<'_>> {
        self.stored_cause(Condition::Failing, image)
    }

    /// The stored cause of an init container that was reported as failing.
    pub fn init_cause_of(&self, container: &str) -> Option<FailureCause<'_>> {
        self.stored_cause(Condition::InitFailing, container)
    }

    fn stored_cause(&self, condition: Condition, of: &str) -> Option<FailureCause<'_>> {
        let extent = self.conditions.get(&condition)?.extents.get(of)?;
        extent.cause.as_ref().map(StoredCause::cause)
    }

    /// The nodes with an eviction loop, and the time of the last known eviction.
    pub fn eviction_loops(&self, now: Timestamp) -> impl Iterator<Item = (&str, Timestamp)> {
        let nodes = self.conditions.get(&Condition::EvictionLoop).into_iter().flat_map(|reported| &reported.extents);
        nodes.filter_map(move |(node, extent)| {
            let until = extent.until.filter(|until| *until > now)?;
            Some((node.as_str(), until.checked_sub(EVICTION_LOOP_WINDOW).ok()?))
        })
    }
}

/// How many nodes a condition affects, for one image or node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extent {
    /// How many nodes were affected when it was reported.
    pub nodes: usize,
    /// Names of some of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sample: BTreeSet<String>,
    /// The condition lasts until this time, even if it is no longer observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, as far as kubelets said it. Between two attempts some of them do not repeat it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
}

/// Why an image cannot be held or an init container fails, as a kubelet said it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoredCause {
    /// The kubelet's reason.
    pub reason: CleanText,
    /// The message of the registry or the runtime.
    pub message: CleanText,
}

/// The most bytes of the beginning of a stored message, which says what was attempted, and of its end, which says what went wrong. The
/// annotation is one of several that share 256 KiB.
const BEGINNING: usize = 160;
const END: usize = 320;

impl StoredCause {
    /// Stores a cause. Of a long message, the middle is left out.
    pub fn of(cause: FailureCause) -> Self {
        let message = cause.message;
        let end = message.ceil_char_boundary(message.len().saturating_sub(END));
        let message = match message.floor_char_boundary(BEGINNING) {
            beginning if beginning < end => format!("{} {OMITTED} {}", &message[..beginning], &message[end..]),
            _ => message.to_owned(),
        };
        Self { reason: cause.reason.into(), message: message.into() }
    }

    /// The cause.
    pub fn cause(&self) -> FailureCause<'_> {
        FailureCause { reason: &self.reason, message: &self.message }
    }
}

/// What has been reported of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedCondition {
    /// When it was last reported.
    pub at: Timestamp,
    /// The images or nodes that it was reported for.
    pub extents: BTreeMap<String, Extent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(images: usize, nodes_named: usize) -> ReportedConditions {
        let cause = StoredCause { reason: "ErrImagePull".into(), message: "m".repeat(480).into() };
        let sample: BTreeSet<String> = (0..nodes_named).map(|number| format!("node-{number}")).collect();
        let extent = Extent { nodes: 5_000, sample, until: None, cause: Some(cause) };
        let extents = (0..images).map(|number| (format!("{}-{number}", "i".repeat(58)), extent.clone())).collect();
        let at = Timestamp::UNIX_EPOCH;
        let conditions = [(Condition::Failing, ReportedCondition { at, extents })].into();
        ReportedConditions { conditions, ..ReportedConditions::default() }
    }

    #[test]
    fn what_is_stored_of_many_failing_images_fits_the_annotations() {
        let few = failing(3, 3);
        assert_eq!(ReportedConditions::from_text(&few.to_text()), few);
        for (images, has_names) in [(80, true), (500, false)] {
            let stored = failing(images, 3).to_text();
            assert!(stored.len() <= MAX_BYTES + 8_000, "{}", stored.len());
            let read = ReportedConditions::from_text(&stored);
            let extents = &read.conditions[&Condition::Failing].extents;
            assert_eq!(extents.len(), images, "every image is still known as reported");
            assert!(
                extents.values().all(|it| it.nodes == 5_000 && it.cause.is_none() && it.sample.is_empty() != has_names)
            );
        }
    }
}
