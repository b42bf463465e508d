//! What is stored on the DaemonSets of a list, and nowhere else: a new controller goes on from there.
//!
//! - [`Generation`], [`Record`]: a generation, and how it was made
//! - [`pulled_always`], [`node_scope`]: what its template pulls with `Always`, and on which nodes it still is
//! - [`tag_check`], [`tag_check_record`], [`digests`]: what nodes say tags stand for
//! - [`conditions`]: what has been reported of its group
//! - [`alteration`], [`restores`]: what somebody else changed of it, and how often it was restored
//! - [`scheduled`]: what the DaemonSet controller says about its nodes
//! - [`pods`]: what pods say in view of it

pub mod alteration;
pub mod conditions;
pub mod digests;
pub mod node_scope;
pub mod pods;
pub mod pulled_always;
pub mod restores;
pub mod scheduled;
pub mod tag_check;
pub mod tag_check_record;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::core::ObjectMeta;
use serde::Serialize;

use alteration::Alteration;
use conditions::ReportedConditions;
use node_scope::NodeScope;
use pulled_always::PulledAlways;
use restores::Restores;
use scheduled::{Scheduled, SlimDaemonSet};
use tag_check_record::TagCheckRecord;

use crate::list::config::{Group, Image, Placement};
use crate::naming::hash::short_hash;
use crate::naming::labels;

/// The version of the builder of pod templates. A generation of another format is left as it is until its rollout ends: an
/// upgrade of the controller changes nothing on any node.
pub const FORMAT: u32 = 2;

/// A DaemonSet of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The DaemonSet's name.
    pub name: String,
    /// The DaemonSet's uid.
    pub uid: String,
    /// The name of its group.
    pub group: String,
    /// When the DaemonSet was made.
    pub created: Option<Timestamp>,
    /// Whether it is about to go.
    pub deleting: bool,
    /// What somebody else changed of its spec after our last write.
    pub altered: Option<Alteration>,
    /// How often it was restored lately.
    pub restores: Option<Restores>,
    /// How it was made; `None` where its annotations do not say so (any more).
    pub record: Option<Record>,
    /// What the tag checks have come to.
    pub tag_check_record: TagCheckRecord,
    /// What has been told of its group.
    pub reported: ReportedConditions,
    /// What its containers hold, by their names, as the list spelled it when it was made.
    pub images: BTreeMap<String, String>,
    /// Which of these its pod template pulls with `Always` now.
    pub pulled_always: PulledAlways,
    /// What its pod template says of that, by which its pods tell from which template they were created; `None` for one whose
    /// template says nothing.
    pub template: Option<String>,
    /// Which nodes it is still on.
    pub node_scope: NodeScope,
    /// The hash of the placement that it was made for ([`placement_hash`]), if it says so.
    pub placement: Option<String>,
    /// The selections after which its nodes were counted again, as hashes.
    pub counted_for: BTreeSet<String>,
    /// What the DaemonSet controller says about its nodes, if that is known.
    pub scheduled: Option<Scheduled>,
}

/// How a generation was made: with this and its group, the same DaemonSet can be built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the order in which the list's generations were made, from 1.
    pub revision: u32,
    /// The hash of the group's images and nodes.
    pub content: String,
    /// The instant at which it begins its pulls.
    pub epoch: Timestamp,
    /// The time over which nodes start, in seconds.
    pub spread_seconds: u64,
    /// The image of the init container.
    pub holder_image: String,
    /// The version of the builder.
    pub format: u32,
    /// The request for a refresh that it answers.
    pub refresh_request: Option<String>,
    /// Which images its pod template pulls with `Always`. This alone changes after it was made, and is not part of its name.
    pub pulled_always: PulledAlways,
}

impl Generation {
    /// Reads a DaemonSet. `None` if it does not belong to a list.
    pub fn from_daemon_set(daemon_set: &SlimDaemonSet) -> Option<Self> {
        let scheduled = Scheduled::from_daemon_set(daemon_set);
        Some(Self { scheduled, ..Self::from_metadata(&daemon_set.metadata)? })
    }

    /// Reads a DaemonSet's metadata, which says nothing about its nodes. `None` where it does not belong to a list, or is one of
    /// its tag checks.
    pub fn from_metadata(metadata: &ObjectMeta) -> Option<Self> {
        let labels = metadata.labels.as_ref()?;
        if !labels::are_ours(labels) || labels.contains_key(labels::TAG_CHECK) {
            return None;
        }
        let (list, group) = (labels.get(labels::LIST)?, labels.get(labels::GROUP)?);
        let name = metadata.name.clone()?;
        let images = annotation(metadata, labels::IMAGES).map(images_from_text).unwrap_or_default();
        let pulled_always = annotation(metadata, labels::PULLED_ALWAYS).map(PulledAlways::from_text);
        let template = pulled_always.as_ref().map(PulledAlways::hash);
        // One that does not say so, such as one of kubernetes-image-puller, pulls everything with `Always`.
        let pulled_always = pulled_always.unwrap_or_else(|| PulledAlways::of(images.keys().cloned()));
        // A record that somebody changed does not fit the name any more, and says nothing.
        let record =
            Record::from_metadata(metadata, &pulled_always).filter(|record| name.ends_with(&record.hash(list, group)));
        Some(Self {
            name,
            uid: metadata.uid.clone()?,
            group: group.clone(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: metadata.deletion_timestamp.is_some(),
            altered: Alteration::of(metadata),
            restores: annotation(metadata, labels::RESTORES).and_then(Restores::from_text),
            record,
            tag_check_record: annotation(metadata, labels::TAG_CHECKS)
                .map(TagCheckRecord::from_text)
                .unwrap_or_default(),
            reported: annotation(metadata, labels::CONDITIONS).map(ReportedConditions::from_text).unwrap_or_default(),
            images,
            pulled_always,
            template,
            node_scope: annotation(metadata, labels::NODE_SCOPE).map(NodeScope::from_text).unwrap_or_default(),
            placement: annotation(metadata, labels::PLACEMENT).map(str::to_owned),
            counted_for: annotation(metadata, labels::COUNTED_FOR).map(words).unwrap_or_default(),
            scheduled: None,
        })
    }

    /// Sorts the newest first.
    pub fn newest_first(&self) -> impl Ord + use<> {
        Reverse((self.revision(), self.created, self.name.clone()))
    }

    /// Whether it was made with that image in that container.
    pub fn holds(&self, image: &Image) -> bool {
        self.images.get(image.name.as_str()).is_some_and(|spelled| spelled == image.reference.as_str())
    }

    /// Whether it answers this request for a refresh: by a tag check, or because it was made for it.
    pub fn answers(&self, request: &str) -> bool {
        match &self.tag_check_record.request {
            Some(_) => self.tag_check_record.answer(request),
            None => self.record.as_ref().and_then(|it| it.refresh_request.as_deref()) == Some(request),
        }
    }

    /// Its number, 0 where it is not known.
    pub fn revision(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.revision)
    }
}

/// The text of the annotation [`labels::IMAGES`]. Neither names nor references may hold `=` or `;`.
pub fn images_to_text<'a>(images: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let images: Vec<String> = images.into_iter().map(|(name, image)| format!("{name}={image}")).collect();
    images.join(";")
}

fn images_from_text(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, image)| (name.to_owned(), image.to_owned())).collect()
}

impl Record {
    fn from_metadata(metadata: &ObjectMeta, pulled_always: &PulledAlways) -> Option<Self> {
        Some(Self {
            revision: annotation(metadata, labels::REVISION)?.parse().ok()?,
            content: annotation(metadata, labels::CONTENT)?.to_owned(),
            epoch: annotation(metadata, labels::EPOCH)?.parse().ok()?,
            spread_seconds: annotation(metadata, labels::SPREAD)?.parse().ok()?,
            holder_image: annotation(metadata, labels::HOLDER_IMAGE)?.to_owned(),
            format: annotation(metadata, labels::FORMAT)?.parse().ok()?,
            refresh_request: annotation(metadata, labels::REFRESH_REQUESTED).map(str::to_owned),
            pulled_always: pulled_always.clone(),
        })
    }

    /// The hash that names the generation: another list, group, content, epoch or revision makes another name.
    pub fn hash(&self, list: &str, group: &str) -> String {
        short_hash(format!("{list}\n{group}\n{}\n{}\n{}", self.content, self.epoch, self.revision).as_bytes())
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The hash of what matters to the nodes: the group as the user wrote it, without anything of ours, so that an upgrade
/// of the controller never makes another one of it.
pub fn content_hash(group: &Group) -> String {
    hash_of(group)
}

/// The hash of which nodes a group belongs on.
pub fn placement_hash(placement: &Placement) -> String {
    hash_of(placement)
}

fn hash_of(part_of_a_list: &impl Serialize) -> String {
    // A list is made of texts, numbers and maps with text keys, which JSON can always hold.
    let json = serde_json::to_vec(part_of_a_list).unwrap_or_else(|error| unreachable!("{error}"));
    short_hash(&json)
}
