//! A generation as it is known from its DaemonSet's metadata.

use std::cmp::Reverse;

use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::hash::short_hash;
use super::labels;
use crate::list::config::{Group, GroupName};

/// The version of the builder of pod templates. A generation of another format is left as it is until its round ends: an
/// upgrade of the controller changes nothing on any node.
pub const FORMAT: u32 = 1;

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
    /// Whether somebody else changed its spec after our last write.
    pub altered: bool,
    /// How it was made; `None` where its annotations do not say so (any more).
    pub record: Option<Record>,
}

/// How a generation was made: with this and its group, the same DaemonSet can be built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
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
}

impl Generation {
    /// Reads a DaemonSet's metadata. `None` where it does not belong to a list.
    pub fn from_metadata(metadata: &ObjectMeta) -> Option<Self> {
        let labels = metadata.labels.as_ref()?;
        if labels.get(labels::MANAGED_BY).map(String::as_str) != Some(labels::PROGRAM) {
            return None;
        }
        let ours = annotation(metadata, labels::SPEC_GENERATION).map_or(Some(1), |text| text.parse::<i64>().ok());
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            group: labels.get(labels::GROUP)?.clone(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: metadata.deletion_timestamp.is_some(),
            altered: metadata.generation != ours,
            record: Record::from_metadata(metadata),
        })
    }

    /// Sorts the newest first.
    pub fn newest_first(&self) -> impl Ord + use<> {
        Reverse((self.record.as_ref().map(|record| record.epoch), self.created, self.name.clone()))
    }
}

impl Record {
    fn from_metadata(metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            content: annotation(metadata, labels::CONTENT)?.to_owned(),
            epoch: annotation(metadata, labels::EPOCH)?.parse().ok()?,
            spread_seconds: annotation(metadata, labels::SPREAD)?.parse().ok()?,
            holder_image: annotation(metadata, labels::HOLDER_IMAGE)?.to_owned(),
            format: annotation(metadata, labels::FORMAT)?.parse().ok()?,
            refresh_request: annotation(metadata, labels::REFRESH_REQUESTED).map(str::to_owned),
        })
    }

    /// The hash that names the generation: another list, group, content or epoch makes another name.
    pub fn hash(&self, list: &str, group: &GroupName) -> String {
        short_hash(format!("{list}\n{group}\n{}\n{}", self.content, self.epoch).as_bytes())
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The hash of what matters to the nodes: the group as the user wrote it, without anything of ours, so that an upgrade
/// of the controller never makes another one of it.
pub fn content_hash(group: &Group) -> String {
    // A group is made of texts, numbers and maps with text keys, which JSON can always hold.
    let json = serde_json::to_vec(group).unwrap_or_else(|error| unreachable!("{error}"));
    short_hash(&json)
}
