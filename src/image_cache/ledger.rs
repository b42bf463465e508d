//! What is kept of a list's ImageCaches, on its newest accepted form: a new controller goes on from there. ECI deletes what
//! failed, so the objects alone do not tell what has been tried.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cache::{Cache, Phase};
use super::digests::Digests;
use super::pace::STABLE;

/// What is kept of a list's ImageCaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ledger {
    /// Since when these are what is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The greatest number that an ImageCache of the list ever had.
    pub serial: u32,
    /// What is asked for, in the order of the list.
    pub entries: Vec<Entry>,
    /// The request for a refresh that was the last to bring new tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// What is kept of one content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// The hash of what the list asks for.
    pub base: String,
    /// The hash of that and of the digests.
    pub content: String,
    /// The digests that it is for.
    pub digests: Digests,
    /// The number of the ImageCache that was made last for it; 0 where none was.
    pub serial: u32,
    /// How many were made since one was ready.
    pub attempts: u32,
    /// How many in a row were ready for a short time only.
    pub losses: u32,
    /// When the last one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Since when that is known to be ready; it may not be any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// Since when that is known to be gone or to have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// How much of that was told.
    pub reported: ReportedStep,
    /// When that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
}

/// How much was told of an ImageCache. A later one is never taken back, so a status that flaps tells nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReportedStep {
    /// Nothing.
    #[default]
    Nothing,
    /// That a quarter is done.
    Quarter,
    /// That a half is done.
    Half,
    /// That three quarters are done.
    MostOfIt,
    /// That it is ready.
    Ready,
    /// That it has failed.
    Failed,
}

impl Ledger {
    /// Reads the annotation. One that cannot be read says nothing: the ImageCaches themselves say most of it.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The annotation.
    pub fn to_text(&self) -> String {
        // Texts, numbers and maps of texts are always JSON.
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Takes in what there is.
    pub fn take_in(&mut self, caches: &[Cache], now: Timestamp) {
        self.serial = caches.iter().map(|cache| cache.made.serial).max().unwrap_or(0).max(self.serial);
        for entry in &mut self.entries {
            entry.take_in(caches, now);
        }
    }

    /// Whether that ImageCache is the last that was made for what is asked for.
    pub fn is_current(&self, cache: &Cache) -> bool {
        self.entries.iter().any(|entry| entry.is_latest(cache))
    }
}

impl Entry {
    /// A content that an ImageCache was made for earlier.
    pub fn of(cache: &Cache) -> Self {
        let made = &cache.made;
        let (base, content, digests) = (made.base.clone(), made.content.clone(), made.digests.clone());
        Self { base, content, digests, ..Self::default() }
    }

    /// Whether that ImageCache is the last that was made for it.
    pub fn is_latest(&self, cache: &Cache) -> bool {
        cache.made.content == self.content && cache.made.serial == self.serial
    }

    /// The last that was made for it, if it is there.
    pub fn latest<'c>(&self, caches: &'c [Cache]) -> Option<&'c Cache> {
        caches.iter().find(|cache| !cache.deleting && self.is_latest(cache))
    }

    /// Takes in what there is of it.
    pub fn take_in(&mut self, caches: &[Cache], now: Timestamp) {
        let newer = |cache: &&Cache| cache.made.content == self.content && cache.made.serial > self.serial;
        if let Some(newest) = caches.iter().filter(newer).max_by_key(|cache| cache.made.serial) {
            self.losses = self.losses_by(newest.created.unwrap_or(now));
            self.serial = newest.made.serial;
            self.attempts = newest.made.attempt;
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

    /// How many in a row were ready for a short time only, if the last is not any more at that time.
    pub fn losses_by(&self, now: Timestamp) -> u32 {
        match self.ready_at.map(|ready_at| self.lost_at.unwrap_or(now).duration_since(ready_at)) {
            Some(lasted) if lasted < STABLE => self.losses.saturating_add(1),
            Some(_) => 0,
            None => self.losses,
        }
    }
}
