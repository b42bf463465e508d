//! The part of the status report about ImageCaches.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cache::{Cache, Phase};
use super::ledger::Ledger;
use crate::list::cache_platform::CachePlatform;
use crate::text::CleanText;

/// An ImageCache of a list. `docs/status.md` documents each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ImageCacheReport {
    pub name: CleanText,
    /// The platform that it is for, if the list names any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<CachePlatform>,
    /// Whether the list asks for its content now.
    pub current: bool,
    pub phase: Phase,
    /// How much is built, in percent.
    pub progress: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_id: Option<CleanText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<CleanText>,
    pub images: Vec<CleanText>,
}

/// A list's ImageCaches that are not being deleted: of each platform the newest first.
pub fn of(caches: &[Cache], ledger: Option<&Ledger>) -> Vec<ImageCacheReport> {
    let mut live: Vec<&Cache> = caches.iter().filter(|cache| !cache.deleting).collect();
    live.sort_by_key(|cache| (cache.creation.platform, std::cmp::Reverse(cache.creation.serial)));
    let is_current = |cache: &Cache| ledger.is_some_and(|ledger| ledger.is_current(cache));
    live.into_iter().map(|cache| ImageCacheReport::new(cache, is_current(cache))).collect()
}

impl ImageCacheReport {
    fn new(cache: &Cache, current: bool) -> Self {
        Self {
            name: cache.name.as_str().into(),
            platform: cache.creation.platform,
            current,
            phase: cache.phase,
            progress: match cache.phase {
                Phase::Ready => 100,
                _ => cache.progress.unwrap_or_default(),
            },
            cache_id: cache.id.as_deref().map(CleanText::from),
            expires_at: cache.expires_at(),
            message: cache.message.as_deref().map(CleanText::from),
            images: cache.images.iter().map(CleanText::from).collect(),
        }
    }
}
