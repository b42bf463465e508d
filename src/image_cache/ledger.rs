//! What a restarted controller must know about a list's ImageCaches. It is stored on the list's newest accepted version, because
//! ECI deletes failed ImageCaches and the objects alone do not show how many attempts there were.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cache::{Cache, Phase};
use super::digests::Digests;
use super::timing::STABLE;
use crate::list::cache_platform::CachePlatform;
use crate::text::json;

/// The history of a list's ImageCaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ledger {
    /// Since when the list asks for these entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The highest serial that an ImageCache of the list ever had.
    pub serial: u32,
    /// What the list asks for, in its order.
    pub entries: Vec<Entry>,
    /// The hash of the last request for a refresh that allowed new attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// A ledger for each platform that the list names. Nothing else is recorded then.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<CachePlatform, Ledger>,
}

/// The history of one content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// The hash of what the list asks for.
    pub base: String,
    /// The hash of that and of the digests.
    pub content: String,
    /// The digests of its images.
    pub digests: Digests,
    /// The serial of its latest ImageCache; 0 if there was none.
    pub serial: u32,
    /// How many ImageCaches were created since one was ready.
    pub attempts: u32,
    /// How many ImageCaches in a row were lost soon after they were ready.
    pub losses: u32,
    /// When the latest ImageCache was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// When the latest ImageCache was first seen ready. It may be gone since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When the latest ImageCache was first seen gone or failed after it was ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The last step that was reported.
    pub reported: ReportedStep,
    /// When it was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
}

/// The steps that are reported of an ImageCache. They only go forward, so a flapping status is not reported again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReportedStep {
    /// Nothing was reported.
    #[default]
    Nothing,
    /// A quarter is built.
    Quarter,
    /// Half is built.
    Half,
    /// Three quarters are built.
    MostOfIt,
    /// It is ready.
    Ready,
    /// It failed.
    Failed,
}

impl Ledger {
    /// Reads the annotation. An unreadable one is ignored, because the ImageCaches themselves show most of it.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of the annotation.
    pub fn to_text(&self) -> String {
        json::annotation(self)
    }

    /// What is recorded of one platform, or of a list that names none.
    pub fn of(&self, platform: Option<CachePlatform>) -> Self {
        match platform {
            Some(platform) => self.platforms.get(&platform).cloned().unwrap_or_default(),
            None => Self { platforms: BTreeMap::new(), ..self.clone() },
        }
    }

    /// The ledger of a list, from those of its platforms, or from the only one of a list that names none.
    pub fn of_all(ledgers: impl Iterator<Item = (Option<CachePlatform>, Self)>) -> Self {
        let mut all = Self::default();
        for (platform, ledger) in ledgers {
            match platform {
                Some(platform) => drop(all.platforms.insert(platform, ledger)),
                None => all = ledger,
            }
        }
        all
    }

    /// Updates the ledger from the ImageCaches that exist.
    pub fn take_in(&mut self, caches: &[Cache], now: Timestamp) {
        self.serial = caches.iter().map(|cache| cache.creation.serial).max().unwrap_or(0).max(self.serial);
        for entry in &mut self.entries {
            entry.take_in(caches, now);
        }
    }

    /// Whether that ImageCache is the latest of an entry.
    pub fn is_current(&self, cache: &Cache) -> bool {
        let of_platforms = self.platforms.values().flat_map(|ledger| &ledger.entries);
        self.entries.iter().chain(of_platforms).any(|entry| entry.is_latest(cache))
    }
}

impl Entry {
    /// The content of an existing ImageCache.
    pub fn of(cache: &Cache) -> Self {
        let creation = &cache.creation;
        let (base, content, digests) = (creation.base.clone(), creation.content.clone(), creation.digests.clone());
        Self { base, content, digests, ..Self::default() }
    }

    /// Whether that ImageCache is the latest for this content.
    pub fn is_latest(&self, cache: &Cache) -> bool {
        cache.creation.content == self.content && cache.creation.serial == self.serial
    }

    /// The latest ImageCache for this content, if it exists.
    pub fn latest<'c>(&self, caches: &'c [Cache]) -> Option<&'c Cache> {
        caches.iter().find(|cache| !cache.deleting && self.is_latest(cache))
    }

    /// Updates the entry from the ImageCaches that exist.
    pub fn take_in(&mut self, caches: &[Cache], now: Timestamp) {
        let newer = |cache: &&Cache| cache.creation.content == self.content && cache.creation.serial > self.serial;
        if let Some(newest) = caches.iter().filter(newer).max_by_key(|cache| cache.creation.serial) {
            self.losses = self.losses_by(newest.created.unwrap_or(now));
            self.serial = newest.creation.serial;
            self.attempts = newest.creation.attempt;
            self.last = newest.created.or(Some(now));
            (self.ready_at, self.lost_at, self.reported, self.reported_at) = (None, None, ReportedStep::Nothing, None);
        }
        match self.latest(caches).map(|cache| cache.phase) {
            Some(Phase::Ready) => {
                self.ready_at.get_or_insert(now);
                self.lost_at = None;
            }
            None | Some(Phase::Failed) if self.ready_at.is_some() => drop(self.lost_at.get_or_insert(now)),
            _ => {}
        }
    }

    /// How many ImageCaches in a row were lost soon after they were ready, if the latest is lost at that time.
    pub fn losses_by(&self, now: Timestamp) -> u32 {
        match self.ready_at.map(|ready_at| self.lost_at.unwrap_or(now).duration_since(ready_at)) {
            Some(lasted) if lasted < STABLE => self.losses.saturating_add(1),
            Some(_) => 0,
            None => self.losses,
        }
    }
}
