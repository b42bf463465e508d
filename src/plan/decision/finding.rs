//! What was found.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use crate::coverage::{InitFailure, NodeLabels};
use crate::plan::generation::check_failure::CheckFailure;
use crate::plan::generation::conditions::ReportedConditions;
use crate::plan::generation::digests::Digest;

/// A finding that is reported as an Event.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Tags point to different images than before.
    TagsMoved {
        /// The group whose tag check found this.
        group: String,
        /// One entry per image, in the order of container names.
        moved: Vec<MovedTag>,
    },
    /// Some nodes hold an older image of a tag than others.
    NodesOutdated {
        /// The group whose nodes hold different images.
        group: String,
        /// The images as written in the list.
        references: Vec<String>,
    },
    /// The tags of some images could not be checked.
    RefreshDeferred {
        /// The group whose tag check failed.
        group: String,
        /// All images of the group that could not be checked, each with the reason of one node.
        images: Vec<UncheckedImage>,
        /// How many images of the group were due for a check.
        of: usize,
        /// When they are checked again.
        retry_at: Option<Timestamp>,
    },
    /// All tags of a group can be checked again.
    RefreshRecovered {
        /// The group whose last tag check had failed.
        group: String,
    },
    /// Images cannot be held.
    ImagesFailing {
        /// The group with the images. The same image in another group is reported there.
        group: String,
        /// Without those that no longer fail on any known node.
        images: Vec<FailingImage>,
        /// How many images cannot be held, including those that are missing above.
        count: usize,
        /// How many images the group has.
        of: usize,
    },
    /// Images that could not be held are held again.
    ImagesRecovered {
        /// The group for which the failure was reported.
        group: String,
        /// The images as written in the list.
        references: Vec<String>,
    },
    /// Init containers fail, so pods pull no image.
    InitContainersFailing {
        /// The group whose pods cannot start.
        group: String,
        /// Name of its newest generation's DaemonSet.
        daemon_set: String,
        /// Each container, with the cause on most of the nodes.
        containers: Vec<FailingInitContainer>,
    },
    /// No registry has the image with nothing but the holder, so that the controller's image serves instead.
    HolderImageAbsent {
        /// The group whose pods could not start.
        group: String,
        /// Why the image cannot be pulled, as one of the nodes reports it.
        failure: InitFailure,
        /// The controller's image.
        instead: String,
    },
    /// Init containers that failed do not fail any more.
    InitContainersRecovered {
        /// The group for which the failure was reported.
        group: String,
        /// Name of its newest generation's DaemonSet.
        daemon_set: String,
        /// The names of the containers.
        containers: Vec<String>,
    },
    /// Holders are repeatedly evicted.
    EvictionLoop {
        /// The group whose holders are evicted.
        group: String,
        /// The nodes on which this began since the last report.
        nodes: BTreeSet<String>,
    },
    /// Admission sets `imagePullPolicy: Always` on every pod.
    AlwaysPullEnforced {
        /// The group with a pod on which this was seen.
        group: String,
    },
    /// No node matches a group.
    NoNodes {
        /// The group that matches none.
        group: String,
    },
    /// Nodes cannot give the group's pods the user namespace that it asks for.
    UserNamespacesMissing {
        /// The group with `hostUsers: false`.
        group: String,
        /// All such nodes, not only those since the last report.
        nodes: BTreeSet<String>,
    },
    /// The DaemonSet has no pod on nodes that it selects. Unless that is certain, it is reported only if a dry run shows a refusal.
    PodsRefused {
        /// The group whose newest generation lacks pods.
        group: String,
        /// Name of that generation's DaemonSet.
        daemon_set: String,
        /// All nodes without a pod, not only those since the last report.
        nodes: BTreeSet<String>,
        /// The labels of these nodes, if nodes can be read.
        labels: Option<Vec<NodeLabels>>,
        /// A pod like the missing ones, for a dry run against the API server.
        pod: Option<Box<Pod>>,
        /// Whether none has come for so long that no slowness explains it.
        certain: bool,
    },
    /// Admission adds a node selector to the pods that excludes nodes of the group.
    NodesExcluded {
        /// The namespace of the pods.
        namespace: String,
        /// The group whose pods get it.
        group: String,
        /// Name of the newest generation's DaemonSet.
        daemon_set: String,
        /// The labels that nodes lack (`key=value`), with these nodes.
        nodes: BTreeMap<String, BTreeSet<String>>,
    },
    /// A DaemonSet that another client changed cannot be restored, because no stored version of the list describes it.
    CannotRestore {
        /// Name of the DaemonSet.
        daemon_set: String,
        /// The field managers that changed it, as far as they are known.
        changed_by: Vec<String>,
    },
    /// A rollout has come to its end without all images on all nodes: some cannot be pulled or started.
    RolloutStalled {
        /// The group whose older generations are no longer needed.
        group: String,
        /// Name of the new generation's DaemonSet.
        daemon_set: String,
        /// How long it took, in whole seconds.
        took: SignedDuration,
        /// How many images the group has.
        images: usize,
        /// How many nodes have a pod of the new generation.
        nodes: usize,
        /// How many nodes hold all of the images.
        nodes_with_all: usize,
    },
    /// A rollout is complete: all nodes hold all images.
    RolloutComplete {
        /// The group whose older generations are no longer needed.
        group: String,
        /// Name of the new generation's DaemonSet.
        daemon_set: String,
        /// How long it took, in whole seconds.
        took: SignedDuration,
        /// How many images the group has.
        images: usize,
        /// How many nodes hold them.
        nodes: usize,
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
    /// The node that checked it, or `None` if it could not be checked before either and that was reported.
    pub node: Option<String>,
    /// Why the check failed, if that is still known.
    pub failure: Option<CheckFailure>,
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
    /// All nodes on which it fails, for any reason.
    pub nodes: BTreeSet<String>,
}

/// An init container that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingInitContainer {
    /// The failure on most of the nodes.
    pub failure: InitFailure,
    /// All nodes on which the container fails, for any reason.
    pub nodes: BTreeSet<String>,
}

impl Finding {
    /// A pod like those that a DaemonSet lacks, if that is what was found, and the labels of the nodes without one, if they are known.
    pub fn refused_pod(&self) -> Option<(&Pod, Option<&[NodeLabels]>)> {
        match self {
            Self::PodsRefused { pod, labels, .. } => Some((pod.as_deref()?, labels.as_deref())),
            _ => None,
        }
    }
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
