//! What the plan may ask for, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::node_scope::NodeScope;
use super::pull_policies::PulledAlways;
use super::restoring::Restores;
use super::tag_check::TagCheckRecord;
use crate::coverage::Shortage;

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
    /// Note on a generation what the tag checks have come to.
    Note {
        /// The name of its DaemonSet.
        daemon_set: String,
        /// The uid of its DaemonSet.
        uid: String,
        /// What they have come to.
        tag_check_record: Box<TagCheckRecord>,
    },
    /// Tell what a tag check found.
    Tell(Finding),
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

/// What was found, in words for the user.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Tags stand for something else now.
    Moved(String),
    /// Some nodes hold older content of a tag than others.
    Outdated(String),
    /// Images could not be looked at.
    Deferred(String),
    /// They can be again.
    Recovered(String),
    /// Images cannot be held.
    Failing(String),
    /// They are held again.
    Healed(String),
    /// Holders are evicted again and again.
    Evicted(String),
    /// Admission makes every pod ask the registry for what it has.
    AlwaysPullEnforced(String),
    /// A group matches no node.
    NoNodes(String),
    /// No pod comes where one belongs.
    Refused {
        /// Where.
        note: String,
        /// The name of the DaemonSet.
        daemon_set: String,
        /// A pod like those that do not come, to ask the API server about.
        pod: Option<Box<Pod>>,
    },
    /// A DaemonSet that somebody else changed stays so, since no form of the list that is kept describes it.
    CannotRestore {
        /// The name of the DaemonSet.
        daemon_set: String,
        /// Who changed it, as far as that is known.
        changed_by: Vec<String>,
    },
    /// A rollout is done.
    Done {
        /// How long it took, and on how many nodes.
        note: String,
        /// The name of the DaemonSet that it was of.
        daemon_set: String,
    },
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

impl fmt::Display for RolloutCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none"),
            Self::Unknown => f.write_str("its DaemonSet no longer says how it was made"),
            Self::ScopedDown => f.write_str("its newest DaemonSet is on some of its nodes only"),
            Self::Edited => f.write_str("its images or nodes were edited"),
            Self::Requested => f.write_str("a refresh was asked for"),
            Self::Due => f.write_str("a refresh is due"),
            Self::Moved { images: 1 } => f.write_str("the registry has another image for 1 of its tags"),
            Self::Moved { images } => write!(f, "the registry has another image for {images} of its tags"),
        }
    }
}
