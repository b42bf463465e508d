//! What was found.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use crate::plan::generation::check_failure::CheckFailure;
use crate::plan::generation::conditions::ReportedConditions;
use crate::plan::generation::digests::Digest;

/// A finding that is reported as an Event.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Tags point to different images than before.
    TagsMoved {
        /// Name of the group.
        group: String,
        /// The tags.
        moved: Vec<MovedTag>,
    },
    /// Some nodes hold an older image of a tag than others.
    NodesOutdated {
        /// Name of the group.
        group: String,
        /// References of the images.
        references: Vec<String>,
    },
    /// The tags of some images could not be checked.
    RefreshDeferred {
        /// Name of the group.
        group: String,
        /// The images.
        images: Vec<UncheckedImage>,
        /// How many images were due for a check.
        of: usize,
        /// When they are checked again.
        retry_at: Option<Timestamp>,
    },
    /// All tags can be checked again.
    RefreshRecovered {
        /// Name of the group.
        group: String,
    },
    /// Images cannot be held.
    ImagesFailing {
        /// Name of the group.
        group: String,
        /// The images. Those that no longer fail on any known node are missing.
        images: Vec<FailingImage>,
        /// How many images cannot be held, including those that are missing above.
        count: usize,
        /// How many images the group has.
        of: usize,
    },
    /// Images that could not be held are held again.
    ImagesRecovered {
        /// Name of the group.
        group: String,
        /// References of the images.
        references: Vec<String>,
    },
    /// Holders are repeatedly evicted.
    EvictionLoop {
        /// Name of the group.
        group: String,
        /// Names of the nodes.
        nodes: BTreeSet<String>,
    },
    /// Admission sets `imagePullPolicy: Always` on every pod.
    AlwaysPullEnforced {
        /// Name of the group.
        group: String,
    },
    /// No node matches a group.
    NoNodes {
        /// Name of the group.
        group: String,
    },
    /// The DaemonSet has no pod on nodes that it selects.
    PodsRefused {
        /// Name of the group.
        group: String,
        /// Name of the DaemonSet.
        daemon_set: String,
        /// Names of the nodes.
        nodes: BTreeSet<String>,
        /// A pod like the missing ones, for a dry run against the API server.
        pod: Option<Box<Pod>>,
    },
    /// A DaemonSet that another client changed cannot be restored, because no stored version of the list describes it.
    CannotRestore {
        /// Name of the DaemonSet.
        daemon_set: String,
        /// The field managers that changed it, as far as they are known.
        changed_by: Vec<String>,
    },
    /// A rollout is complete.
    RolloutComplete {
        /// Name of the group.
        group: String,
        /// Name of the DaemonSet.
        daemon_set: String,
        /// How long it took, in whole seconds.
        took: SignedDuration,
        /// How many images the group has.
        images: usize,
        /// How many nodes have a pod.
        nodes: usize,
        /// How many nodes hold all of the images.
        nodes_with_all: usize,
    },
}

/// A tag that points to a different image than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag {
    /// The image as written in the list.
    pub reference: String,
    /// What the tag pointed to.
    pub before: Digest,
    /// What the tag points to now.
    pub now: Digest,
}

/// An image whose tag could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncheckedImage {
    /// The image as written in the list.
    pub reference: String,
    /// The node that checked it.
    pub node: String,
    /// Why the check failed.
    pub failure: CheckFailure,
}

/// An image that cannot be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingImage {
    /// The image as written in the list.
    pub reference: String,
    /// Whether it was pulled but does not start.
    pub pulled: bool,
    /// The kubelet's reason on most of the nodes.
    pub reason: String,
    /// The runtime's message on most of the nodes.
    pub message: String,
    /// Names of the nodes.
    pub nodes: BTreeSet<String>,
}

/// Findings about a group's conditions, and the record of what has been reported.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionReport {
    /// The findings to report.
    pub findings: Vec<Finding>,
    /// Name of the DaemonSet that stores the record.
    pub daemon_set: String,
    /// UID of the DaemonSet.
    pub uid: String,
    /// The record after this report.
    pub reported: ReportedConditions,
}
