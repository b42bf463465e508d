//! What the plan comes to: what to do and why, what waits, and what was found. Data only; the words are made in
//! [`crate::messages`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::generation::Generation;
use super::generation::conditions::ReportedConditions;
use super::generation::digests::Digest;
use super::generation::node_scope::NodeScope;
use super::generation::pulled_always::PulledAlways;
use super::generation::restores::Restores;
use super::generation::tag_check_record::TagCheckRecord;
use crate::coverage::Shortage;

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to write, in this order: what is needed nowhere goes first, so that it makes capacity.
    pub actions: Vec<Action>,
    /// What must wait.
    pub waiting: Vec<Waiting>,
    /// What there is to report of groups, after all of that.
    pub condition_reports: Vec<ConditionReport>,
    /// When to look again, if nothing changes before.
    pub wake_at: Option<Timestamp>,
    /// The uids of the tag checks that are waited for; all others are to go.
    pub tag_checks: BTreeSet<String>,
}

impl Plan {
    /// Looks again at that time, or before.
    pub fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

/// One write to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make a new generation.
    Create {
        /// It.
        daemon_set: Box<DaemonSet>,
        /// Why.
        cause: RolloutCause,
    },
    /// Undo what somebody else changed of a generation.
    Restore {
        /// As it was made.
        daemon_set: Box<DaemonSet>,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// How often it was restored lately, with this time.
        restores: Restores,
    },
    /// Set the update strategy of a generation back, and leave all else as somebody else made it.
    ResetStrategy {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// How often that was done lately, with this time.
        restores: Restores,
    },
    /// Take a DaemonSet of kubernetes-image-puller over, as the oldest generation of a list.
    Adopt {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// The value of the list's label.
        list: String,
        /// What it goes with from then on.
        owner: Option<OwnerReference>,
    },
    /// Take a generation off nodes, for good: its DaemonSet matches fewer of them from then on.
    ScopeDown {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// Where it stays.
        node_scope: NodeScope,
        /// Why.
        leaving: ScopeDownReason,
    },
    /// Let the DaemonSet controller count a retiring generation's nodes again ([`super::deselection`]).
    Recount {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// The selections that the count comes after, as hashes.
        selections: BTreeSet<String>,
    },
    /// Let a generation take images from the nodes' disks from now on.
    Seal {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// The names of the containers whose images that are.
        images: BTreeSet<String>,
        /// What is still pulled with `Always` then.
        pulled_always: PulledAlways,
    },
    /// Delete a pod that is stuck, so that its DaemonSet creates another one from the template as it is now.
    ReplacePod {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// The name of its DaemonSet.
        daemon_set: String,
    },
    /// Delete a generation.
    Delete {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
        /// Why.
        ending: DeletionReason,
    },
    /// Ask what the tags are now.
    CheckTags {
        /// The tag check that does, on one node.
        daemon_set: Box<DaemonSet>,
    },
    /// Delete a tag check.
    EndTagCheck {
        /// The name of its DaemonSet.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
    },
    /// Note on a generation what its tag checks have come to.
    Note {
        /// The name of its DaemonSet.
        daemon_set: String,
        /// The uid of its DaemonSet.
        uid: String,
        /// What they have come to.
        tag_check_record: Box<TagCheckRecord>,
    },
    /// Report what was found.
    Report(Finding),
}

/// What carrying an action out came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// What it says was done.
    Done,
    /// There was nothing to do any more.
    Unchanged,
    /// A DaemonSet has the spec again that it was made with.
    Restored {
        /// Who had changed it, as far as that is known.
        changed_by: Vec<String>,
    },
    /// A DaemonSet could not be restored: it was changed again before each write.
    Overtaken {
        /// Who changed it, as far as that is known.
        changed_by: Vec<String>,
    },
    /// A DaemonSet's spec was replaced, and admission made something else of it than it had said before.
    Overruled {
        /// Who had changed it, as far as that is known.
        changed_by: Vec<String>,
    },
}

/// What was found and is worth an Event.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Tags stand for something else now.
    TagsMoved {
        /// The name of the group.
        group: String,
        /// The images.
        moved: Vec<MovedTag>,
    },
    /// Some nodes hold older content of a tag than others.
    NodesOutdated {
        /// The name of the group.
        group: String,
        /// The references of the images.
        references: Vec<String>,
    },
    /// The tags of some images could not be checked.
    RefreshDeferred {
        /// The name of the group.
        group: String,
        /// The images.
        images: Vec<UncheckedImage>,
        /// How many images were to be checked.
        of: usize,
        /// When they are checked again.
        retry_at: Option<Timestamp>,
    },
    /// All tags could be checked again.
    RefreshRecovered {
        /// The name of the group.
        group: String,
    },
    /// Images cannot be held.
    ImagesFailing {
        /// The name of the group.
        group: String,
        /// The images.
        images: Vec<FailingImage>,
        /// How many images cannot be held, those included of which no node is known any more.
        count: usize,
        /// How many images the group has.
        of: usize,
    },
    /// Images that could not be held are held again.
    ImagesRecovered {
        /// The name of the group.
        group: String,
        /// Their references.
        references: Vec<String>,
    },
    /// Holders are evicted again and again.
    EvictionLoop {
        /// The name of the group.
        group: String,
        /// The names of the nodes.
        nodes: BTreeSet<String>,
    },
    /// Admission makes every pod ask the registry for what it has.
    AlwaysPullEnforced {
        /// The name of the group.
        group: String,
    },
    /// A group matches no node.
    NoNodes {
        /// The name of the group.
        group: String,
    },
    /// The DaemonSet has no pod on nodes that it selects.
    PodsRefused {
        /// The name of the group.
        group: String,
        /// The name of the DaemonSet.
        daemon_set: String,
        /// The names of the nodes.
        nodes: BTreeSet<String>,
        /// A pod like those that are missing, to ask the API server about.
        pod: Option<Box<Pod>>,
    },
    /// A DaemonSet that somebody else changed stays so, since no form of the list that is kept describes it.
    CannotRestore {
        /// The name of the DaemonSet.
        daemon_set: String,
        /// Who changed it, as far as that is known.
        changed_by: Vec<String>,
    },
    /// A rollout is complete.
    RolloutComplete {
        /// The name of the group.
        group: String,
        /// The name of the DaemonSet.
        daemon_set: String,
        /// How long it took, in whole seconds.
        took: SignedDuration,
        /// How many images the group has.
        images: usize,
        /// On how many nodes it has a pod.
        nodes: usize,
        /// On how many of them all images are held.
        nodes_with_all: usize,
    },
}

/// A tag that stands for something else now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag {
    /// The image as the list spells it.
    pub reference: String,
    /// What it stood for.
    pub before: Digest,
    /// What it stands for.
    pub now: Digest,
}

/// An image whose tag could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncheckedImage {
    /// The image as the list spells it.
    pub reference: String,
    /// The node that was asked.
    pub node: String,
    /// What the node said.
    pub why: String,
}

/// An image that cannot be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingImage {
    /// The image as the list spells it.
    pub reference: String,
    /// Whether it was pulled, and does not start.
    pub pulled: bool,
    /// The kubelet's reason on most of the nodes.
    pub reason: String,
    /// The runtime's message on most of the nodes.
    pub message: String,
    /// The names of the nodes.
    pub nodes: BTreeSet<String>,
}

/// What cannot be done now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// As many generations of a group as may exist are still moving.
    Generations {
        /// The name of the group.
        group: String,
        /// Whether a refresh waits, and not an edit.
        refresh: bool,
        /// How many generations are moving.
        moving: usize,
        /// The nodes that some stay for because newer ones do not get onto them.
        unavailable: BTreeSet<String>,
    },
    /// A group's last rollout is dated in the future, so no refresh is due before.
    Clock {
        /// The name of the group.
        group: String,
        /// The date.
        until: Timestamp,
    },
    /// No node can take a tag check.
    TagCheck {
        /// The name of the group.
        group: String,
        /// The name of its newest DaemonSet.
        daemon_set: String,
        /// The architectures without such a node; empty where nodes do not say theirs.
        architectures: Vec<String>,
    },
    /// Nodes have no capacity for a new pod beside the old one.
    Capacity {
        /// The name of the group.
        group: String,
        /// The name of its newest DaemonSet.
        daemon_set: String,
        /// One of the nodes: the others come and go.
        node: String,
        /// What it has too little of.
        shortage: Shortage,
    },
    /// A DaemonSet of kubernetes-image-puller holds nothing that a list wants.
    Unadopted {
        /// Its name.
        daemon_set: String,
    },
}

/// What there is to report of a group's conditions, and what is noted then.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionReport {
    /// What is reported.
    pub findings: Vec<Finding>,
    /// The name of the DaemonSet that it is noted on.
    pub daemon_set: String,
    /// Its uid.
    pub uid: String,
    /// What has been reported then.
    pub reported: ReportedConditions,
}

/// A rollout that a tag check begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// The images whose tags stand for something else now, by the names of their containers.
    pub images: BTreeSet<String>,
    /// What the new generation is to know.
    pub tag_check_record: TagCheckRecord,
    /// What to report.
    pub findings: Vec<Finding>,
}

/// Why a generation leaves nodes while it stays on others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeDownReason {
    /// It is needed on few nodes only.
    NeededOnFew,
    /// These have no room for a new generation's pod beside its own.
    NoCapacity {
        /// The nodes that it leaves, and what they have too little of.
        nodes: BTreeMap<String, Shortage>,
    },
}

/// Why a generation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionReason {
    /// It is needed nowhere any more.
    NeededNowhere,
    /// The list's mode is [`crate::list::config::RefreshMode::Recreate`]: when all of the group's generations are gone, the group has none and
    /// gets one. That holds after a crash in between just as well.
    Recreated(RolloutCause),
    /// Its list has been away for [`super::history::GRACE`].
    ListGone,
}

/// Why a generation is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutCause {
    /// The group has none, because it is new or because its own was deleted.
    Missing,
    /// The group's images or nodes were edited.
    Edited,
    /// The annotations of its newest generation no longer say how that was made.
    Unknown,
    /// Its newest generation was scoped down while it was retiring, and what was newer has been deleted since.
    ScopedDown,
    /// A refresh was asked for.
    Requested,
    /// The schedule says so.
    Due,
    /// A look found that tags have moved.
    Moved {
        /// Of how many images.
        images: usize,
    },
}

impl Action {
    /// Notes what the tag checks of a generation have come to.
    pub fn note(generation: &Generation, tag_check_record: TagCheckRecord) -> Self {
        Self::Note {
            daemon_set: generation.name.clone(),
            uid: generation.uid.clone(),
            tag_check_record: Box::new(tag_check_record),
        }
    }
}
