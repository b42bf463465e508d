//! The accepted forms of a list, and which of them is in force.
//!
//! Each accepted form is kept in a ControllerRevision before anything is made of it. So the list that was accepted last is in
//! force while a bad edit stands, after a restart, and for a while after the ConfigMap has gone.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::validation_result;
use crate::list::ListData;
use crate::list::names::shortened;
use crate::naming::hash::short_hash;
use crate::naming::labels;

/// How many accepted forms of a list are kept: the one in force, and those before it for people to look at.
pub const KEPT: usize = 3;

/// How long what was made of a list outlives its ConfigMap. `kubectl replace --force`, GitOps tools and restores delete a
/// ConfigMap and make it anew; whoever deletes it by mistake gets it back in time.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// The most characters of a list's name in the name of its revisions; a hash follows.
const MAX_NAME: usize = 200;

/// An accepted form of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// The ControllerRevision's name.
    pub name: String,
    /// The ControllerRevision's uid.
    pub uid: String,
    /// The greatest is the one that was accepted last.
    pub number: i64,
    /// The list as it was accepted.
    pub list: ListData,
    /// Since when the list's ConfigMap is known to be missing.
    pub missing_since: Option<Timestamp>,
    /// When it was first accepted.
    pub created: Option<Timestamp>,
    /// What is kept of the list's ImageCaches.
    pub image_caches: Option<String>,
}

/// What a ControllerRevision holds. The name is the list's whole name, since a label may hold a part of it only.
#[derive(Serialize, Deserialize)]
struct Content {
    name: String,
    data: BTreeMap<String, String>,
}

impl Revision {
    /// Reads a ControllerRevision. `None` where it is none of ours, or about to go.
    pub fn from_object(object: &ControllerRevision) -> Option<Self> {
        let metadata = &object.metadata;
        metadata.labels.as_ref()?.get(labels::LIST)?;
        if metadata.deletion_timestamp.is_some() {
            return None;
        }
        let content: Content = serde_json::from_value(object.data.clone()?.0).ok()?;
        let annotation = |key| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            number: object.revision,
            list: ListData {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: content.name,
                data: content.data,
            },
            missing_since: annotation(labels::MISSING_SINCE).and_then(|time| time.parse().ok()),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            image_caches: annotation(labels::IMAGE_CACHES).cloned(),
        })
    }

    /// The greatest was accepted last. No two revisions are equal.
    fn order(&self) -> (i64, &str) {
        (self.number, &self.name)
    }
}

/// The ControllerRevision that keeps a form of a list. The same form has the same name, so that going back to it takes the
/// one that is there, with a greater number; whatever ledger of ImageCaches was left on it is overwritten.
pub fn build(
    list: &ListData,
    label: &str,
    number: i64,
    ledger: Option<&str>,
    owner: Option<&OwnerReference>,
) -> ControllerRevision {
    let content = Content { name: list.name.clone(), data: list.data.clone() };
    let hash = short_hash(format!("{}\n{}", list.name, validation_result::data_hash(&list.data)).as_bytes());
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
        // Two texts and a map of texts are always JSON.
        data: Some(RawExtension(serde_json::to_value(content).unwrap_or_else(|error| unreachable!("{error}")))),
        revision: number,
    }
}

/// The ControllerRevision for a list of which nothing is known but that it is missing.
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

/// The accepted form that was in force before the list was written as it stands: the one that the last validation result on it is about,
/// or, if that rejected it, the newest. `None` for a list that is new.
pub fn before<'a>(metadata: &ObjectMeta, written: &ListData, revisions: &'a [Revision]) -> Option<&'a Revision> {
    let state = metadata.labels.as_ref().and_then(|labels| labels.get(labels::STATE));
    let hash = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::DATA_HASH));
    let validated = |revision: &&Revision| Some(&validation_result::data_hash(&revision.list.data)) == hash;
    match state.map(String::as_str) {
        Some("accepted") => revisions.iter().find(validated).or_else(|| newest(revisions)),
        Some(_) => newest(revisions),
        // The form that was just kept says nothing of what was before it.
        None => newest(revisions).filter(|revision| revision.list.data != written.data),
    }
}

/// What the ConfigMap of a list is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Written<'a> {
    /// It is there, and accepted.
    Accepted(&'a ListData),
    /// It is there, and rejected.
    Rejected,
    /// There is no such ConfigMap, or it is no list any more.
    Missing {
        /// Whether there are still DaemonSets of it.
        left_behind: bool,
    },
}

/// Which form of a list everything goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InForce<'a> {
    /// The one that is written.
    Written,
    /// The one that was accepted last.
    Kept(&'a Revision),
    /// None was ever accepted: there is nothing to go by, and nothing is changed.
    Nothing,
    /// The list has been missing for [`GRACE`]: all that was made of it goes.
    Gone,
}

/// A write to the history of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Write<'a> {
    /// Keep the written form, as the newest.
    Keep {
        /// Its number.
        number: i64,
        /// The ledger of ImageCaches, which moves to it in the same write: at no instant is an outdated one the newest.
        ledger: Option<&'a str>,
    },
    /// Keep an empty form: a list of which nothing is known but its DaemonSets is missing.
    KeepNothing {
        /// Since when.
        missing_since: Timestamp,
    },
    /// Note since when the list is missing, or that it is back.
    Note {
        /// The revision to note it on.
        revision: &'a Revision,
        /// Since when; `None` where it is back.
        missing_since: Option<Timestamp>,
    },
    /// Forget a form.
    Forget(&'a Revision),
}

/// What a look at a list and its history comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling<'a> {
    /// Which form everything goes by.
    pub in_force: InForce<'a>,
    /// To be written before anything is made of the list.
    pub first: Vec<Write<'a>>,
    /// To be written after all else.
    pub last: Vec<Write<'a>>,
    /// When to look again, if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

impl<'a> Ruling<'a> {
    fn of(in_force: InForce<'a>) -> Self {
        Self { in_force, first: Vec::new(), last: Vec::new(), wake_at: None }
    }

    /// Whether the written form is yet to be kept, and so to come into force.
    pub fn accepts(&self) -> bool {
        self.first.iter().any(|write| matches!(write, Write::Keep { .. }))
    }

    /// Whether there is nothing to write.
    pub fn is_idle(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }
}

/// The revision that was accepted last.
pub fn newest(revisions: &[Revision]) -> Option<&Revision> {
    revisions.iter().max_by_key(|revision| revision.order())
}

/// What is kept of the list's ImageCaches. The newest accepted form has it; an older one counts only if somebody took it away
/// from there. What ledgers hold does not decide: two may have equal numbers and times, and the order of revisions is arbitrary.
pub fn newest_ledger(revisions: &[Revision]) -> Option<&str> {
    let with_ledger = revisions.iter().filter(|revision| revision.image_caches.is_some());
    with_ledger.max_by_key(|revision| revision.order())?.image_caches.as_deref()
}

/// Rules which form of a list is in force, and what is to be written about it.
pub fn rule<'a>(written: &Written, revisions: &'a [Revision], now: Timestamp) -> Ruling<'a> {
    let newest = newest(revisions);
    match written {
        Written::Accepted(list) => accepted(list, newest, revisions),
        Written::Rejected => {
            let mut ruling = Ruling::of(newest.map_or(InForce::Nothing, InForce::Kept));
            ruling.first.extend(newest.and_then(found));
            ruling
        }
        Written::Missing { left_behind, .. } => missing(*left_behind, newest, revisions, now),
    }
}

fn accepted<'a>(list: &ListData, newest: Option<&'a Revision>, revisions: &'a [Revision]) -> Ruling<'a> {
    let mut ruling = Ruling::of(InForce::Written);
    match newest.filter(|newest| newest.list.data == list.data && newest.list.name == list.name) {
        Some(newest) => ruling.first.extend(found(newest)),
        None => ruling.first.push(Write::Keep {
            number: newest.map_or(0, |newest| newest.number).saturating_add(1),
            ledger: newest_ledger(revisions),
        }),
    }
    let mut older: Vec<&Revision> = revisions.iter().filter(|revision| revision.list.data != list.data).collect();
    older.sort_by_key(|revision| Reverse(revision.order()));
    ruling.last.extend(older.into_iter().skip(KEPT - 1).map(Write::Forget));
    ruling
}

/// The list is back.
fn found(newest: &Revision) -> Option<Write<'_>> {
    newest.missing_since.map(|_| Write::Note { revision: newest, missing_since: None })
}

fn missing<'a>(
    left_behind: bool,
    newest: Option<&'a Revision>,
    revisions: &'a [Revision],
    now: Timestamp,
) -> Ruling<'a> {
    let Some(newest) = newest else {
        let mut ruling = Ruling::of(InForce::Nothing);
        if left_behind {
            ruling.first.push(Write::KeepNothing { missing_since: now });
        }
        return ruling;
    };
    // A note from the future says that the clock was set back since, and so nothing of how long ago it was.
    let Some(since) = newest.missing_since.filter(|since| *since <= now) else {
        let mut ruling = Ruling::of(InForce::Kept(newest));
        ruling.first.push(Write::Note { revision: newest, missing_since: Some(now) });
        return ruling;
    };
    if now.duration_since(since) < GRACE {
        let wake_at = since.checked_add(GRACE).ok();
        return Ruling { wake_at, ..Ruling::of(InForce::Kept(newest)) };
    }
    let mut ruling = Ruling::of(InForce::Gone);
    // The newest goes last: it is what says that the rest may go.
    ruling.last.extend(revisions.iter().filter(|revision| revision.name != newest.name).map(Write::Forget));
    ruling.last.push(Write::Forget(newest));
    ruling
}
