//! What the controller stores on the DaemonSets of a list, and nowhere else: after a restart, a new process continues
//! from there.
//!
//! - [`Generation`], [`Record`]: a generation, and how it was built
//! - [`holder_folder`]: where the holder is mounted in its containers
//! - [`pulled_always`], [`node_scope`]: which images its template pulls with `Always`, and which nodes it is still on
//! - [`tag_check`], [`tag_check_record`], [`digests`]: what nodes report as the content of tags
//! - [`check_failure`]: why a tag could not be checked
//! - [`conditions`]: which conditions of its group have been reported
//! - [`alteration`], [`restores`]: what another client changed, and how often that was undone
//! - [`scheduled`]: the node counts in its DaemonSet's status
//! - [`pods`]: the state of its pods relative to its template
//! - [`pod_creation`]: whether the DaemonSet controller is late with its pods
//! - [`exclusion`]: nodes that admission keeps its pods off

pub mod alteration;
pub mod check_failure;
pub mod conditions;
pub mod digests;
pub mod exclusion;
pub mod holder_folder;
pub mod node_scope;
pub mod pod_creation;
pub mod pods;
pub mod pulled_always;
pub mod restores;
pub mod scheduled;
pub mod tag_check;
pub mod tag_check_record;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use serde::Serialize;

use alteration::Alteration;
use conditions::ReportedConditions;
use holder_folder::{HolderFolder, Seed};
use node_scope::NodeScope;
use pulled_always::PulledAlways;
use restores::Restores;
use scheduled::{Scheduled, SlimDaemonSet};
use tag_check_record::TagCheckRecord;

use crate::list::config::{Group, Image, Placement, TaintKey};
use crate::naming::hash::short_hash;
use crate::naming::labels;

/// The version of the pod template builder. Generations of other versions stay as they are until the next rollout, so an
/// upgrade of the controller changes nothing on any node.
///
/// - 2: the first
/// - 3: containers set `NVIDIA_VISIBLE_DEVICES`, and the pod's status has what a failing init container logged
/// - 4: each generation has a folder of its own for the holder, and holders run in `/` whatever `WORKDIR` of the image says
pub const FORMAT: u32 = 4;
/// The versions of the builder whose templates this one can build too.
pub const KNOWN_FORMATS: RangeInclusive<u32> = 2..=FORMAT;
/// Generations of earlier formats use the same folder.
pub const FIRST_FORMAT_WITH_OWN_FOLDER: u32 = 4;

/// A DaemonSet of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Name of the DaemonSet.
    pub name: String,
    /// UID of the DaemonSet.
    pub uid: String,
    /// The group that it was built from, which may no longer be on the list.
    pub group: String,
    /// Which shard of that group it holds.
    pub shard: u32,
    /// The number of parallel pulls that the group is split for.
    pub parallel_pulls: u32,
    /// When the DaemonSet was created.
    pub created: Option<Timestamp>,
    /// Whether the DaemonSet is being deleted.
    pub deleting: bool,
    /// A change of its spec that another client made after the controller's last write.
    pub altered: Option<Alteration>,
    /// How often it was restored recently.
    pub restores: Option<Restores>,
    /// How it was built, or `None` if its annotations do not (or no longer) say so.
    pub record: Option<Record>,
    /// The results of tag checks.
    pub tag_check_record: TagCheckRecord,
    /// The conditions of its group that have been reported.
    pub reported: ReportedConditions,
    /// The images as written in the list, by container name.
    pub images: BTreeMap<String, String>,
    /// Which of these its pod template pulls with `Always`.
    pub pulled_always: PulledAlways,
    /// The pod template's annotation about pull policies. Comparing it with a pod's shows whether the pod was created
    /// from the current template. `None` if the template has no such annotation.
    pub template: Option<String>,
    /// The nodes that it is still on.
    pub node_scope: NodeScope,
    /// The image with nothing but the holder that no registry had when it was created, if the controller's image serves instead.
    pub absent_holder_image: Option<String>,
    /// The hash of the placement that it was created for ([`placement_hash`]), if known.
    pub placement: Option<String>,
    /// Hashes of the selections after which its nodes were recounted.
    pub counted_for: BTreeSet<String>,
    /// The node counts in the DaemonSet's status, if they are up to date.
    pub scheduled: Option<Scheduled>,
}

/// How a generation was built. The same record and group always result in the same DaemonSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number among the list's generations, starting at 1.
    pub revision: u32,
    /// The hash of the group's images and placement.
    pub content: String,
    /// When its pulls start.
    pub epoch: Timestamp,
    /// The time over which nodes start pulling, in seconds.
    pub spread_seconds: u64,
    /// The image of the init container.
    pub holder_image: String,
    /// The version of the builder ([`FORMAT`]).
    pub format: u32,
    /// Where the holder is mounted. It is no part of the name.
    pub folder: HolderFolder,
    /// The request for a refresh that it answers.
    pub refresh_request: Option<String>,
    /// Which images its pod template pulls with `Always`. This and the next can change later, so they are not part of the name.
    pub pulled_always: PulledAlways,
    /// The taints of gates that its pod template tolerates.
    pub gate_taints: BTreeSet<TaintKey>,
}

impl Generation {
    /// Reads a DaemonSet. Returns `None` if it does not belong to a list.
    pub fn from_daemon_set(daemon_set: &SlimDaemonSet) -> Option<Self> {
        let scheduled = Scheduled::from_daemon_set(daemon_set);
        Some(Self { scheduled, ..Self::from_metadata(&daemon_set.metadata)? })
    }

    /// Reads a DaemonSet's metadata, which does not include node counts. Returns `None` if the DaemonSet does not
    /// belong to a list, or is a tag check.
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
        // A DaemonSet without this annotation, such as one of kubernetes-image-puller, pulls everything with `Always`.
        let pulled_always = pulled_always.unwrap_or_else(|| PulledAlways::of(images.keys().cloned()));
        let shard = labels::shard(labels);
        // If somebody changed the record, it no longer matches the name and is ignored.
        let record = Record::from_metadata(metadata, &pulled_always)
            .filter(|record| name.ends_with(&record.hash(list, group, shard)));
        Some(Self {
            name,
            uid: metadata.uid.clone()?,
            group: group.clone(),
            shard,
            parallel_pulls: annotation(metadata, labels::PARALLEL_PULLS)
                .and_then(|number| number.parse().ok())
                .unwrap_or(Group::DEFAULT_PARALLEL_PULLS),
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
            absent_holder_image: annotation(metadata, labels::ABSENT_HOLDER_IMAGE).map(str::to_owned),
            placement: annotation(metadata, labels::PLACEMENT).map(str::to_owned),
            counted_for: annotation(metadata, labels::COUNTED_FOR).map(words).unwrap_or_default(),
            scheduled: None,
        })
    }

    /// Whether it is one of this shard of a group.
    pub fn is_of(&self, group: &Group) -> bool {
        self.shard == group.shard && self.group == group.name.as_str()
    }

    /// Whether both are of the same shard of the same group.
    pub fn is_of_same_shard(&self, other: &Self) -> bool {
        self.shard == other.shard && self.group == other.group
    }

    /// A sort key that puts the newest generation first.
    pub fn newest_first(&self) -> impl Ord + use<> {
        Reverse((self.revision(), self.created, self.name.clone()))
    }

    /// Whether it was built with this image in this container.
    pub fn holds(&self, image: &Image) -> bool {
        self.images.get(image.name.as_str()).is_some_and(|spelled| spelled == image.reference.as_str())
    }

    /// Whether it answers this request for a refresh, because of a tag check or because it was created for it.
    pub fn answers(&self, request: &str) -> bool {
        match &self.tag_check_record.request {
            Some(_) => self.tag_check_record.answers(request),
            None => self.record.as_ref().and_then(|it| it.refresh_request.as_deref()) == Some(request),
        }
    }

    /// Its number, or 0 if that is unknown.
    pub fn revision(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.revision)
    }
}

/// Formats the annotation [`labels::IMAGES`]. Names and references cannot contain `=` or `;`.
pub fn images_to_text<'a>(images: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let images: Vec<String> = images.into_iter().map(|(name, image)| format!("{name}={image}")).collect();
    images.join(";")
}

fn images_from_text(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, image)| (name.to_owned(), image.to_owned())).collect()
}

/// Formats the annotation [`labels::GATE_TAINTS`]. Keys cannot contain `,`.
pub fn taints_to_text(taints: &BTreeSet<TaintKey>) -> String {
    taints.iter().map(TaintKey::as_str).collect::<Vec<_>>().join(",")
}

fn taints_from_text(text: &str) -> BTreeSet<TaintKey> {
    text.split(',').filter_map(TaintKey::new).collect()
}

impl Record {
    fn from_metadata(metadata: &ObjectMeta, pulled_always: &PulledAlways) -> Option<Self> {
        let format = annotation(metadata, labels::FORMAT)?.parse().ok()?;
        let folder = annotation(metadata, labels::HOLDER_FOLDER).and_then(HolderFolder::from_path);
        Some(Self {
            revision: annotation(metadata, labels::REVISION)?.parse().ok()?,
            content: annotation(metadata, labels::CONTENT)?.to_owned(),
            epoch: annotation(metadata, labels::EPOCH)?.parse().ok()?,
            spread_seconds: annotation(metadata, labels::SPREAD)?.parse().ok()?,
            holder_image: annotation(metadata, labels::HOLDER_IMAGE)?.to_owned(),
            format,
            folder: match format {
                FIRST_FORMAT_WITH_OWN_FOLDER..=FORMAT => folder?,
                // Generations of formats that this version does not know stay as they are.
                _ => folder.unwrap_or_default(),
            },
            refresh_request: annotation(metadata, labels::REFRESH_REQUESTED).map(str::to_owned),
            pulled_always: pulled_always.clone(),
            gate_taints: annotation(metadata, labels::GATE_TAINTS).map(taints_from_text).unwrap_or_default(),
        })
    }

    /// The hash in the generation's name. It depends on list, group, shard, content, epoch and revision.
    pub fn hash(&self, list: &str, group: &str, shard: u32) -> String {
        short_hash(self.identity(list, group, shard).as_bytes())
    }

    /// The record with a folder that nobody can guess without the seed.
    pub fn with_own_folder(self, list: &str, group: &Group, seed: &Seed) -> Self {
        Self { folder: HolderFolder::new(seed, &self.identity(list, group.name.as_str(), group.shard)), ..self }
    }

    fn identity(&self, list: &str, group: &str, shard: u32) -> String {
        let identity = format!("{list}\n{group}\n{}\n{}\n{}", self.content, self.epoch, self.revision);
        // That of the first shard is that of a group that needs only one.
        if shard == 0 { identity } else { format!("{identity}\n{shard}") }
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The hash of everything that matters to the nodes: the group as the user wrote it and nothing of kube-prepull's own,
/// so that an upgrade of the controller never starts a rollout.
pub fn content_hash(group: &Group) -> String {
    hash_of(group)
}

/// The hash of a group's placement.
pub fn placement_hash(placement: &Placement) -> String {
    hash_of(placement)
}

fn hash_of(part_of_a_list: &impl Serialize) -> String {
    // A list consists of strings, numbers and maps with string keys, which always serialize to JSON.
    let json = serde_json::to_vec(part_of_a_list).unwrap_or_else(|error| unreachable!("{error}"));
    short_hash(&json)
}
