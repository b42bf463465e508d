//! How often a generation was restored, as its DaemonSet notes it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest pause between two restores of a DaemonSet.
pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// A DaemonSet that nobody changed for so long is restored at once again.
const QUIET: SignedDuration = SignedDuration::from_mins(15);
/// So many restores in a row mean that somebody keeps changing it.
const CONTESTED: u32 = 4;
/// How often a generation was restored lately, as it is noted on its DaemonSet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restores {
    /// How often in a row, attempts included.
    pub count: u32,
    /// When it was restored last.
    pub at: Timestamp,
    /// The `metadata.generation` that was left as somebody else made it, since nothing builds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

impl Restores {
    /// Reads the annotation. One that cannot be read says nothing.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The annotation.
    pub fn to_text(&self) -> String {
        // Numbers and a time are always JSON.
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// How long the next one waits.
    pub fn pause(&self) -> SignedDuration {
        let doublings = self.count.saturating_sub(1).min(9);
        SignedDuration::from_secs(1 << doublings).min(LONGEST_PAUSE)
    }

    /// Whether somebody keeps changing the DaemonSet.
    pub fn is_contested(&self) -> bool {
        self.count >= CONTESTED
    }

    /// With one more that begins now.
    pub fn and_now(known: Option<&Self>, now: Timestamp) -> Self {
        let count = known.filter(|known| known.is_recent(now)).map_or(0, |known| known.count);
        Self { count: count.saturating_add(1), at: now, left: None }
    }

    /// One from the future says that the clock was set back since, and so nothing of how long ago it was.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        self.at <= now && now.duration_since(self.at) < QUIET
    }

    /// When the next one may begin; `None` where it may.
    pub fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let next_at = self.at.checked_add(self.pause()).ok();
        next_at.filter(|next_at| self.is_recent(now) && now < *next_at)
    }
}
