//! What is to be done, and why.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::finding::Finding;
use crate::coverage::Shortage;
use crate::list::config::TaintKey;
use crate::plan::generation::Generation;
use crate::plan::generation::node_scope::NodeScope;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::restores::Restores;
use crate::plan::generation::tag_check_record::TagCheckRecord;

/// One write to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create a generation.
    Create {
        /// As it is sent to the API server.
        daemon_set: Box<DaemonSet>,
        /// Why the group needs a new generation.
        cause: RolloutCause,
    },
    /// Undo a change that another client made to a generation.
    Restore {
        /// The DaemonSet as it was created.
        daemon_set: Box<DaemonSet>,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// Recent restores, including this one.
        restores: Restores,
    },
    /// Reset a generation's update strategy, and leave everything else as another client changed it.
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
    /// Make the template of a generation tolerate taints of gates. Its pods stay as they are.
    Tolerate {
        /// Name of the DaemonSet.
        name: String,
        /// UID of the DaemonSet, as a precondition.
        uid: String,
        /// All such taints that it tolerates then.
        taints: BTreeSet<TaintKey>,
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
        /// Why nothing needs it any longer.
        reason: DeletionReason,
    },
    /// Start a tag check.
    CheckTags {
        /// The tag check's DaemonSet, which selects one node.
        daemon_set: Box<DaemonSet>,
    },
    /// Delete a tag check.
    EndTagCheck {
        /// Name of the DaemonSet that ran the tag check.
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
        /// All results, including earlier ones that still count.
        tag_check_record: Box<TagCheckRecord>,
    },
    /// Store on a generation for how many parallel pulls its group is split.
    NoteParallelPulls {
        /// Name of the generation's DaemonSet.
        daemon_set: String,
        /// UID of the generation's DaemonSet, as a precondition.
        uid: String,
        /// The number.
        parallel_pulls: u32,
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

impl Action {
    /// Deletes a generation.
    pub fn delete(generation: &Generation, reason: DeletionReason) -> Self {
        Self::Delete { name: generation.name.clone(), uid: generation.uid.clone(), reason }
    }

    /// Restricts a generation to fewer nodes.
    pub fn scope_down(generation: &Generation, node_scope: NodeScope, reason: ScopeDownReason) -> Self {
        Self::ScopeDown { name: generation.name.clone(), uid: generation.uid.clone(), node_scope, reason }
    }

    /// Stores the results of tag checks on a generation.
    pub fn note(generation: &Generation, tag_check_record: TagCheckRecord) -> Self {
        Self::Note {
            daemon_set: generation.name.clone(),
            uid: generation.uid.clone(),
            tag_check_record: Box::new(tag_check_record),
        }
    }
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
    /// Its list has been missing for [`super::versions::GRACE`].
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
    /// No pod of its newest generation starts with kube-prepull's own image, and another one is used now.
    OwnImage,
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
