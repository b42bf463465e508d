//! The content of a plan: what to do and why, what waits, and what was found. This is data only; [`crate::messages`]
//! puts it into words.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::generation::Generation;
use super::generation::check_failure::CheckFailure;
use super::generation::conditions::ReportedConditions;
use super::generation::digests::Digest;
use super::generation::node_scope::NodeScope;
use super::generation::pulled_always::PulledAlways;
use super::generation::restores::Restores;
use super::generation::tag_check_record::TagCheckRecord;
use crate::coverage::Shortage;

/// What to do for a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The writes, in this order. Generations that are no longer needed are deleted first, which frees capacity.
    pub actions: Vec<Action>,
    /// What is waiting, and for what.
    pub waiting: Vec<Waiting>,
    /// Conditions to report after the writes.
    pub condition_reports: Vec<ConditionReport>,
    /// When to plan again if nothing changes before.
    pub wake_at: Option<Timestamp>,
    /// The UIDs of the tag checks that are still awaited. All others are deleted.
    pub tag_checks: BTreeSet<String>,
}

impl Plan {
    /// Plans again at this time at the latest.
    pub fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

/// One write to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a generation.
    Create {
        /// The generation's DaemonSet.
        daemon_set: Box<DaemonSet>,
        /// Why it is created.
        cause: RolloutCause,
    },
    /// Undo a change that somebody else made to a generation.
    Restore {
        /// The DaemonSet as it was created.
        daemon_set: Box<DaemonSet>,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Recent restores, including this one.
        restores: Restores,
    },
    /// Reset a generation's update strategy, and leave everything else as somebody else changed it.
    ResetStrategy {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Recent restores, including this one.
        restores: Restores,
    },
    /// Adopt a DaemonSet of kubernetes-image-puller as the oldest generation of a list.
    Adopt {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Value of the list's label.
        list: String,
        /// The new owner, which replaces kubernetes-image-puller's Deployment.
        owner: Option<OwnerReference>,
    },
    /// Restrict a generation to fewer nodes. It never gets the others back.
    ScopeDown {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// The nodes that it stays on.
        node_scope: NodeScope,
        /// Why it is restricted.
        reason: ScopeDownReason,
    },
    /// Make the DaemonSet controller recount a retiring generation's nodes ([`super::deselection`]).
    Recount {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Hashes of the selections that precede the recount.
        selections: BTreeSet<String>,
    },
    /// Seal a generation: from now on its template pulls with `IfNotPresent`.
    Seal {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Names of the containers whose pull policy changes.
        images: BTreeSet<String>,
        /// The containers that keep pulling with `Always`.
        pulled_always: PulledAlways,
    },
    /// Delete a stuck pod, so that its DaemonSet replaces it from the current template.
    ReplacePod {
        /// Name of the pod.
        name: String,
        /// UID of the pod, as a precondition.
        uid: String,
        /// Name of its DaemonSet.
        daemon_set: String,
    },
    /// Delete a generation.
    Delete {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Why it is deleted.
        reason: DeletionReason,
    },
    /// Start a tag check.
    CheckTags {
        /// The tag check's DaemonSet, which selects one node.
        daemon_set: Box<DaemonSet>,
    },
    /// Delete a tag check.
    EndTagCheck {
        /// Name of its DaemonSet.
        name: String,
        /// UID of its DaemonSet, as a precondition.
        uid: String,
    },
    /// Store the results of tag checks on a generation.
    Note {
        /// Name of the generation's DaemonSet.
        daemon_set: String,
        /// UID of the generation's DaemonSet, as a precondition.
        uid: String,
        /// The results.
        tag_check_record: Box<TagCheckRecord>,
    },
    /// Report a finding.
    Report(Finding),
}

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// The action was carried out.
    Done,
    /// There was nothing left to do.
    Unchanged,
    /// The DaemonSet has its original spec again.
    Restored {
        /// The field managers that had changed it, as far as they are known.
        changed_by: Vec<String>,
    },
    /// The DaemonSet could not be restored: somebody changed it again before each write.
    Overtaken {
        /// The field managers that changed it, as far as they are known.
        changed_by: Vec<String>,
    },
    /// The DaemonSet's spec was replaced, but admission changed it into something other than the original.
    Overruled {
        /// The field managers that had changed it, as far as they are known.
        changed_by: Vec<String>,
    },
}

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
    /// A DaemonSet that somebody else changed cannot be restored, because no stored version of the list describes it.
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

/// Something that cannot be done yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// A rollout waits because the group already has the maximum number of moving generations.
    Generations {
        /// Name of the group.
        group: String,
        /// Whether a refresh waits, rather than an edit.
        refresh: bool,
        /// How many generations are moving.
        moving: usize,
        /// Nodes that keep an older generation because no pod of a newer one can run there.
        unavailable: BTreeSet<String>,
    },
    /// A refresh waits because the group's last rollout has a date in the future.
    Clock {
        /// Name of the group.
        group: String,
        /// That date.
        until: Timestamp,
    },
    /// A tag check waits because no node can run it.
    TagCheck {
        /// Name of the group.
        group: String,
        /// Name of the group's newest DaemonSet.
        daemon_set: String,
        /// The architectures without such a node; empty if nodes do not report one.
        architectures: Vec<String>,
    },
    /// A new pod waits because its node has no capacity for it beside the old pod.
    Capacity {
        /// Name of the group.
        group: String,
        /// Name of the group's newest DaemonSet.
        daemon_set: String,
        /// One of the nodes. Which ones are affected changes all the time.
        node: String,
        /// The resource that is short.
        shortage: Shortage,
    },
    /// A DaemonSet of kubernetes-image-puller holds no image of any list, so no list adopts it.
    Unadopted {
        /// Name of the DaemonSet.
        daemon_set: String,
    },
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

/// A rollout that a tag check starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// The images whose tags have moved, by container name.
    pub images: BTreeSet<String>,
    /// The results of tag checks that the new generation starts with.
    pub tag_check_record: TagCheckRecord,
    /// The findings to report.
    pub findings: Vec<Finding>,
}

/// Why a generation is removed from some of its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeDownReason {
    /// It is needed on few nodes.
    NeededOnFew,
    /// The nodes have no capacity for a new generation's pod beside its own.
    NoCapacity {
        /// The nodes that it is removed from, and the resource that each is short of.
        nodes: BTreeMap<String, Shortage>,
    },
}

/// Why a generation is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionReason {
    /// No node needs it.
    NeededNowhere,
    /// The list's mode is [`crate::list::config::RefreshMode::Recreate`]. Once all generations of the group are
    /// deleted, the group has none and gets a new one, even if the controller crashes in between.
    Recreated(RolloutCause),
    /// Its list has been missing for [`super::history::GRACE`].
    ListGone,
}

/// Why a generation is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutCause {
    /// The group has none: it is new, or its generation was deleted.
    Missing,
    /// The group's images or nodes were edited.
    Edited,
    /// The annotations of its newest generation no longer say how it was built.
    Unknown,
    /// Its newest generation was scoped down while it was retiring, and the newer ones have been deleted since.
    ScopedDown,
    /// A refresh was requested.
    Requested,
    /// A refresh is due by the schedule.
    Due,
    /// A tag check found that tags have moved.
    Moved {
        /// How many images have a moved tag.
        images: usize,
    },
}

impl Action {
    /// Stores the results of tag checks on a generation.
    pub fn note(generation: &Generation, tag_check_record: TagCheckRecord) -> Self {
        Self::Note {
            daemon_set: generation.name.clone(),
            uid: generation.uid.clone(),
            tag_check_record: Box::new(tag_check_record),
        }
    }
}
