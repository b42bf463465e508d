//! An ImageCache that kube-prepull created, as read from its object.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::digests::Digests;
use super::object::{ImageCacheObject, Status};
use crate::list::cache_platform::CachePlatform;
use crate::naming::labels;

/// An ImageCache of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Name of the object. It has a hash, so it is new for each ImageCache.
    pub name: String,
    /// UID of the object.
    pub uid: String,
    /// The value of the list's label.
    pub list: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// How it was created. Its spec is not trusted for that, because others may have changed it.
    pub creation: CreationRecord,
    /// References, as in its spec.
    pub images: Vec<String>,
    /// The retention in its spec, in days.
    pub retention_days: Option<u32>,
    /// How far the build is.
    pub phase: Phase,
    /// The progress of the build, in percent.
    pub progress: Option<u8>,
    /// ECI's ID of it, once it has one.
    pub id: Option<String>,
    /// When it expires, according to ECI.
    pub expires: Option<Timestamp>,
    /// ECI's last warning, or else its last message.
    pub message: Option<String>,
}

/// How an ImageCache was created. An annotation of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreationRecord {
    /// The hash of what the list asks for ([`super::content::Shard::base`]).
    pub base: String,
    /// The hash of that and of the digests.
    pub content: String,
    /// The digests that were known then.
    pub digests: Digests,
    /// The platform that it is for, if the list names any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<CachePlatform>,
    /// The list's ImageCaches for a platform are numbered in the order of their creation.
    pub serial: u32,
    /// The number of the attempt for this content, from 1.
    pub attempt: u32,
}

impl CreationRecord {
    /// Reads the annotation. An object without it, or with an unreadable one, has an empty record.
    pub fn of(object: &ImageCacheObject) -> Self {
        let text = object.annotations().get(labels::MADE_FROM);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// How far the build of an ImageCache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // The words are ECI's.
pub enum Phase {
    #[default]
    Pending,
    Creating,
    Ready,
    Failed,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Creating, Self::Ready, Self::Failed];

    /// ECI's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Creating => "Creating",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
        }
    }

    /// Unknown words count as `Pending`.
    fn from_text(text: &str) -> Self {
        match text {
            "Creating" => Self::Creating,
            "Ready" => Self::Ready,
            "Failed" => Self::Failed,
            _ => Self::Pending,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Cache {
    /// Reads an object. `None` if kube-prepull did not create it for a list.
    pub fn from_object(object: &ImageCacheObject) -> Option<Self> {
        let labels = object.labels();
        if labels.get(labels::MANAGED_BY).map(String::as_str) != Some(labels::PROGRAM) {
            return None;
        }
        let status = object.status.clone().unwrap_or_default();
        Some(Self {
            name: object.name_any(),
            uid: object.metadata.uid.clone()?,
            list: labels.get(labels::LIST)?.clone(),
            created: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: object.metadata.deletion_timestamp.is_some(),
            creation: CreationRecord::of(object),
            images: object.spec.images.clone(),
            retention_days: object.spec.retention_days,
            phase: Phase::from_text(status.phase.as_deref().unwrap_or_default()),
            progress: status.progress.as_deref().and_then(percent),
            id: status.image_cache_id.clone().filter(|id| !id.is_empty()),
            expires: status.expire_date_time.as_deref().and_then(|time| time.parse().ok()),
            message: message(&status),
        })
    }

    /// Whether it can still become ready.
    pub fn in_flight(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Creating)
    }

    /// When it expires: according to ECI, or else according to its spec.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires.or_else(|| after_days(self.created?, self.retention_days?))
    }
}

/// The time so many days later.
pub fn after_days(time: Timestamp, days: u32) -> Option<Timestamp> {
    time.checked_add(SignedDuration::from_hours(24 * i64::from(days))).ok()
}

fn percent(text: &str) -> Option<u8> {
    text.trim().strip_suffix('%')?.trim().parse().ok().map(|percent: u8| percent.min(100))
}

fn message(status: &Status) -> Option<String> {
    let events = status.events.as_deref().unwrap_or_default();
    let warning = events.iter().rev().find(|event| event.type_.as_deref() == Some("Warning"));
    let last = warning.or_else(|| events.last())?;
    let words = [last.reason.as_deref(), last.message.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(": "))
}
