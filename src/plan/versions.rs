//! The accepted versions of a list, and which of them is in effect.
//!
//! Each accepted version is stored in a ControllerRevision before anything is created from it. So the version that was
//! accepted last stays in effect during a bad edit, after a restart, and for some time after the ConfigMap was deleted.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::validation_result;
use crate::list::ListData;
use crate::list::discover::found::Found;
use crate::list::names::{ResourceName, shortened};
use crate::naming::hash::short_hash;
use crate::naming::labels;

/// How many accepted versions of a list are kept at most: the one in effect, and earlier ones to go back to.
pub const KEPT: usize = 10;
/// How many are kept however large they are: generations of an interrupted rollout may have to be restored from them.
const ALWAYS_KEPT: usize = 3;
/// How many bytes the earlier ones may have together beyond that. The controller has all of them in memory.
const KEPT_BYTES: usize = 64 * 1024;

/// How long a list's objects outlive its ConfigMap. `kubectl replace --force`, GitOps tools and restores delete and
/// recreate ConfigMaps, and somebody who deleted one by mistake has this long to put it back.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// The maximum length of a list's name within the names of its revisions; a hash follows.
const MAX_NAME: usize = 200;

/// An accepted version of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Name of the ControllerRevision.
    pub name: String,
    /// UID of the ControllerRevision.
    pub uid: String,
    /// Its number. The highest number was accepted last.
    pub number: i64,
    /// The list as it was accepted.
    pub list: Arc<ListData>,
    /// Since when the list's ConfigMap is known to be missing.
    pub missing_since: Option<Timestamp>,
    /// When it was first accepted.
    pub created: Option<Timestamp>,
    /// The ledger of the list's ImageCaches.
    pub image_caches: Option<String>,
}

/// The data of a ControllerRevision. It includes the list's full name, since a label may hold only a part of it.
#[derive(Serialize, Deserialize)]
struct Content {
    name: String,
    data: BTreeMap<String, String>,
    /// What its groups have discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

impl Revision {
    /// Reads a ControllerRevision. Returns `None` if it is not one of a list, or is being deleted.
    pub fn from_object(object: &ControllerRevision) -> Option<Self> {
        let metadata = &object.metadata;
        metadata.labels.as_ref()?.get(labels::LIST)?;
        if metadata.deletion_timestamp.is_some() {
            return None;
        }
        let content: Content = serde_json::from_value(object.data.clone()?.0).ok()?;
        // It becomes a part of paths, and whoever may write ControllerRevisions has chosen it.
        ResourceName::parse_subdomain(&content.name).ok()?;
        let annotation = |key| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            number: object.revision,
            list: Arc::new(ListData {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: content.name,
                data: content.data,
                found: content.found.map(Arc::new),
            }),
            missing_since: annotation(labels::MISSING_SINCE).and_then(|time| time.parse().ok()),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            image_caches: annotation(labels::IMAGE_CACHES).cloned(),
        })
    }

    /// Whether the ConfigMap, which is in the same namespace, says the same. What was discovered is not a part of it.
    pub fn is_data_of(&self, config_map: &ConfigMap) -> bool {
        let list = &self.list;
        config_map.metadata.name.as_ref() == Some(&list.name) && config_map.data.iter().flatten().eq(&list.data)
    }

    /// A sort key that is greatest for the version accepted last. No two revisions are equal.
    pub fn order(&self) -> (i64, &str) {
        (self.number, &self.name)
    }
}

/// Builds the ControllerRevision for a version of a list. The same version always has the same name, so reverting to it
/// updates the existing revision with a higher number. Any ledger of ImageCaches on it is overwritten.
pub fn build(
    list: &ListData,
    label: &str,
    number: i64,
    ledger: Option<&str>,
    owner: Option<&OwnerReference>,
) -> ControllerRevision {
    let content = Content { name: list.name.clone(), data: list.data.clone(), found: list.found.as_deref().cloned() };
    let hash = short_hash(
        format!("{}\n{}{}", list.name, validation_result::data_hash(&list.data), found_text(list)).as_bytes(),
    );
    let labels = [(labels::LIST, label), (labels::NAME, labels::PROGRAM), (labels::MANAGED_BY, labels::PROGRAM)];
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", shortened(&list.name, MAX_NAME))),
            namespace: Some(list.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            annotations: ledger.map(|ledger| [(labels::IMAGE_CACHES.to_owned(), ledger.to_owned())].into()),
            owner_references: owner.map(|owner| vec![owner.clone()]),
            ..ObjectMeta::default()
        },
        // Strings and maps of strings always serialize to JSON.
        data: Some(RawExtension(serde_json::to_value(content).unwrap_or_else(|error| unreachable!("{error}")))),
        revision: number,
    }
}

/// What was discovered, as a part of what tells two versions apart; empty for lists that discover nothing.
fn found_text(list: &ListData) -> String {
    // Maps of strings always serialize to JSON.
    let text = |found: &Found| serde_json::to_string(found).unwrap_or_else(|error| unreachable!("{error}"));
    list.found.as_deref().map(text).unwrap_or_default()
}

/// Builds the ControllerRevision for a list that is missing and of which no version is known.
pub fn build_missing(
    list: &ListData,
    label: &str,
    missing_since: Timestamp,
    owner: Option<&OwnerReference>,
) -> ControllerRevision {
    let mut revision = build(list, label, 0, None, owner);
    let note = (labels::MISSING_SINCE.to_owned(), missing_since.to_string());
    revision.metadata.annotations = Some([note].into());
    revision
}

/// The version that was in effect before the current edit: the one that the validation result on the ConfigMap is about
/// or, if that rejected it, the newest. `None` for a new list.
pub fn before<'a>(metadata: &ObjectMeta, written: &ListData, revisions: &'a [Revision]) -> Option<&'a Revision> {
    let state = metadata.labels.as_ref().and_then(|labels| labels.get(labels::STATE));
    let hash = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::DATA_HASH));
    let validated = |revision: &&Revision| Some(&validation_result::data_hash(&revision.list.data)) == hash;
    let validated = || newest(revisions.iter().filter(validated));
    match state.map(String::as_str) {
        Some("accepted") => validated().or_else(|| newest(revisions)),
        Some("rejected") => newest(revisions),
        // A version that has just been stored is not the previous one.
        _ => newest(revisions).filter(|revision| revision.list.data != written.data),
    }
}

/// The current state of a list's ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConfigMapState<'a> {
    /// It exists and is accepted.
    Accepted(&'a ListData),
    /// It exists and is rejected, or is empty.
    Rejected,
    /// It does not exist, or is no longer an image list.
    Missing {
        /// Whether the list still has DaemonSets.
        has_daemon_sets: bool,
    },
    /// Its namespace is gone: only ImageCaches are left, which are in no namespace. Nothing can be written there.
    NamespaceGone,
}

/// The version of a list that is in effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InForce<'a> {
    /// The current ConfigMap.
    Current,
    /// The version that was accepted last.
    LastAccepted(&'a Revision),
    /// None, because none was ever accepted. Nothing is changed.
    Nothing,
    /// None, because the list has been missing for [`GRACE`], or with its namespace. All of its objects are deleted.
    Gone,
}

/// A write to a list's history.
#[derive(Clone, Debug, PartialEq)]
pub enum Write<'a> {
    /// Store the current ConfigMap as the newest version.
    Store {
        /// One more than that of the version before.
        number: i64,
        /// The ledger of ImageCaches. It moves to the new version in the same write, so that an outdated ledger
        /// is never the newest one.
        ledger: Option<&'a str>,
    },
    /// Store an empty version, for a missing list of which only DaemonSets are known.
    StoreEmpty {
        /// Since when it is missing.
        missing_since: Timestamp,
    },
    /// Record since when the list is missing, or that it is back.
    RecordMissing {
        /// The revision to record it on.
        revision: &'a Revision,
        /// Since when it is missing, or `None` if it is back.
        missing_since: Option<Timestamp>,
    },
    /// Delete a version.
    Delete(&'a Revision),
}

/// Which version of a list is in effect, and the writes that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPlan<'a> {
    /// The version in effect.
    pub in_force: InForce<'a>,
    /// Writes that precede all changes to the list's objects.
    pub first: Vec<Write<'a>>,
    /// Writes that follow all other changes.
    pub last: Vec<Write<'a>>,
    /// When to decide again if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

impl<'a> HistoryPlan<'a> {
    fn of(in_force: InForce<'a>) -> Self {
        Self { in_force, first: Vec::new(), last: Vec::new(), wake_at: None }
    }

    /// Whether the current ConfigMap has yet to be stored, and so is about to come into force.
    pub fn accepts(&self) -> bool {
        self.first.iter().any(|write| matches!(write, Write::Store { .. }))
    }

    /// Whether there is nothing to write.
    pub fn is_idle(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }
}

/// The version that was accepted last.
pub fn newest<'a>(revisions: impl IntoIterator<Item = &'a Revision>) -> Option<&'a Revision> {
    revisions.into_iter().max_by_key(|revision| revision.order())
}

/// The ledger of the list's ImageCaches. The newest version has it; an older version counts only if somebody removed it
/// from there. Ledgers cannot be compared with each other: two may have equal numbers and timestamps.
pub fn newest_ledger<'a>(revisions: impl IntoIterator<Item = &'a Revision>) -> Option<&'a str> {
    let with_ledger = revisions.into_iter().filter(|revision| revision.image_caches.is_some());
    with_ledger.max_by_key(|revision| revision.order())?.image_caches.as_deref()
}

/// Decides which version of a list is in effect, and what to write.
pub fn plan<'a>(state: &ConfigMapState, revisions: &'a [Revision], now: Timestamp) -> HistoryPlan<'a> {
    let newest = newest(revisions);
    match state {
        ConfigMapState::Accepted(list) => accepted(list, newest, revisions),
        ConfigMapState::Rejected => {
            let mut plan = HistoryPlan::of(newest.map_or(InForce::Nothing, InForce::LastAccepted));
            plan.first.extend(newest.and_then(record_return));
            plan
        }
        ConfigMapState::NamespaceGone => HistoryPlan::of(InForce::Gone),
        ConfigMapState::Missing { has_daemon_sets, .. } => missing(*has_daemon_sets, newest, revisions, now),
    }
}

fn accepted<'a>(list: &ListData, newest: Option<&'a Revision>, revisions: &'a [Revision]) -> HistoryPlan<'a> {
    let mut plan = HistoryPlan::of(InForce::Current);
    let is_this = |revision: &&Revision| revision.list.data == list.data && revision.list.found == list.found;
    match newest.filter(|newest| is_this(newest) && newest.list.name == list.name) {
        Some(newest) => plan.first.extend(record_return(newest)),
        None => plan.first.push(Write::Store {
            number: newest.map_or(0, |newest| newest.number).saturating_add(1),
            ledger: newest_ledger(revisions),
        }),
    }
    let mut older: Vec<&Revision> = revisions.iter().filter(|revision| !is_this(revision)).collect();
    older.sort_by_key(|revision| Reverse(revision.order()));
    let (kept, repeated) = by_text(list, older);
    let deleted = repeated.iter().chain(no_longer_kept(&kept));
    plan.last.extend(deleted.map(|revision| Write::Delete(revision)));
    plan
}

/// The earlier versions, and those of them whose text a later one has, too: they differ in what was discovered, and would displace edits. Some
/// of these are kept all the same, because generations may have to be restored from them.
fn by_text<'a>(list: &ListData, older: Vec<&'a Revision>) -> (Vec<&'a Revision>, Vec<&'a Revision>) {
    let mut texts = vec![&list.data];
    let (mut kept, mut repeated) = (Vec::new(), Vec::new());
    for revision in older {
        let is_new = !texts.contains(&&revision.list.data);
        if is_new {
            texts.push(&revision.list.data);
        }
        if is_new || kept.len() < ALWAYS_KEPT - 1 { kept.push(revision) } else { repeated.push(revision) }
    }
    (kept, repeated)
}

/// Which of the earlier versions to delete. They are sorted, the newest first.
fn no_longer_kept<'r, 'a>(older: &'r [&'a Revision]) -> &'r [&'a Revision] {
    let bytes = older.iter().scan(0, |sum, revision| {
        *sum += revision.list.bytes();
        Some(*sum)
    });
    let fitting = bytes.take_while(|sum| *sum <= KEPT_BYTES).count();
    older.get(fitting.clamp(ALWAYS_KEPT - 1, KEPT - 1)..).unwrap_or_default()
}

/// Records that the list is back, if it was missing.
fn record_return(newest: &Revision) -> Option<Write<'_>> {
    newest.missing_since.map(|_| Write::RecordMissing { revision: newest, missing_since: None })
}

fn missing<'a>(
    has_daemon_sets: bool,
    newest: Option<&'a Revision>,
    revisions: &'a [Revision],
    now: Timestamp,
) -> HistoryPlan<'a> {
    let Some(newest) = newest else {
        let mut plan = HistoryPlan::of(InForce::Nothing);
        if has_daemon_sets {
            plan.first.push(Write::StoreEmpty { missing_since: now });
        }
        return plan;
    };
    // If the timestamp is in the future, the clock was set back since, so its age is unknown.
    let Some(since) = newest.missing_since.filter(|since| *since <= now) else {
        let mut plan = HistoryPlan::of(InForce::LastAccepted(newest));
        plan.first.push(Write::RecordMissing { revision: newest, missing_since: Some(now) });
        return plan;
    };
    if now.duration_since(since) < GRACE {
        let wake_at = since.checked_add(GRACE).ok();
        return HistoryPlan { wake_at, ..HistoryPlan::of(InForce::LastAccepted(newest)) };
    }
    let mut plan = HistoryPlan::of(InForce::Gone);
    // Delete the newest version last: it records that the others are to be deleted.
    plan.last.extend(revisions.iter().filter(|revision| revision.name != newest.name).map(Write::Delete));
    plan.last.push(Write::Delete(newest));
    plan
}
