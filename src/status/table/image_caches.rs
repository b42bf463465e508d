//! The ImageCaches of a list, a line each.

use jiff::Timestamp;

use super::words::{number, printable, span};
use crate::image_cache::{ImageCacheReport, Phase};

/// What is said of one, after its name.
pub fn in_words(cache: &ImageCacheReport, now: Timestamp) -> String {
    let mut text = format!(": {} of {}", cache.phase, number(cache.images.len(), "image"));
    if matches!(cache.phase, Phase::Pending | Phase::Creating) {
        text.push_str(&format!(", {}%", cache.progress));
    }
    if let Some(id) = &cache.cache_id {
        text.push_str(&format!(", {}", printable(id)));
    }
    if let Some(expires) = cache.expires_at {
        text.push_str(&format!(", expires in {}", span(expires.duration_since(now))));
    }
    if let Some(message) = cache.message.as_ref().filter(|_| cache.phase == Phase::Failed) {
        text.push_str(&format!(": {}", printable(message)));
    }
    if !cache.current {
        text.push_str("; it is of before, and goes when what the list asks for now is ready");
    }
    text
}
