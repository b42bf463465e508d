//! How often a generation was restored, as stored on its DaemonSet.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::text::json;

/// The longest pause between two restores of a DaemonSet.
pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// Once a DaemonSet has not been changed for this long, the next change is undone immediately again.
const QUIET: SignedDuration = SignedDuration::from_mins(15);
/// After this many restores in a row, somebody is assumed to keep changing the DaemonSet.
const CONTESTED: u32 = 4;
/// How often a generation was restored recently, as stored on its DaemonSet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restores {
    /// Restores in a row, including attempts.
    pub count: u32,
    /// When it was last restored.
    pub at: Timestamp,
    /// The `metadata.generation` of a change that cannot be undone, because no stored list describes the DaemonSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

impl Restores {
    /// Parses the annotation. Returns `None` if it is invalid.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Formats the annotation.
    pub fn to_text(&self) -> String {
        json::annotation(self)
    }

    /// How long the next restore waits.
    pub fn pause(&self) -> SignedDuration {
        let doublings = self.count.saturating_sub(1).min(9);
        SignedDuration::from_secs(1 << doublings).min(LONGEST_PAUSE)
    }

    /// Whether somebody keeps changing the DaemonSet.
    pub fn is_contested(&self) -> bool {
        self.count >= CONTESTED
    }

    /// Adds a restore at `now`.
    pub fn and_now(known: Option<&Self>, now: Timestamp) -> Self {
        let count = known.filter(|known| known.is_recent(now)).map_or(0, |known| known.count);
        Self { count: count.saturating_add(1), at: now, left: None }
    }

    /// Whether the last restore is recent. If it is in the future, the clock was set back since, so its age is unknown
    /// and it does not count.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        self.at <= now && now.duration_since(self.at) < QUIET
    }

    /// When the next restore may start, or `None` if it may start now.
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let next_at = self.at.checked_add(self.pause()).ok();
        next_at.filter(|next_at| self.is_recent(now) && now < *next_at)
    }
}
