//! Checks the ImageCache of a list.

use super::super::place::BothKeys;
use super::{PolicyCheck, ask, both, refusal_of};
use crate::list::config::ImageCache;
use crate::list::problem::Code;

const IMAGE_CACHE: BothKeys = both(&["imageCache"], "IMAGE_CACHE");
const CACHE_SIZE: BothKeys = both(&["imageCache", "size"], "IMAGE_CACHE_SIZE");
const CACHE_RETENTION: BothKeys = both(&["imageCache", "retentionDays"], "IMAGE_CACHE_RETENTION_DAYS");
const CACHE_SECRETS: BothKeys = both(&["imageCache", "imagePullSecrets"], "IMAGE_CACHE_PULL_SECRETS");
const CACHE_ANNOTATIONS: BothKeys = both(&["imageCache", "annotations"], "IMAGE_CACHE_ANNOTATIONS");
const CACHE_PLATFORMS: BothKeys = both(&["imageCache", "platforms"], "IMAGE_CACHE_PLATFORMS");

impl<'c> PolicyCheck<'c, '_> {
    pub(super) fn image_cache(&mut self, cache: &'c ImageCache) {
        let rules = &self.policy.image_cache;
        if !rules.allowed {
            let place = self.locator.of_document(IMAGE_CACHE, &[]);
            let remedy = ask("remove it", "imageCache.allowed");
            self.problems.error(place, Code::NotAllowed, "lists may not have an ImageCache", remedy);
            return;
        }
        self.cache_number(cache.size, rules.max_size, ("size", " GiB", "computed from the images"), CACHE_SIZE);
        self.cache_number(
            cache.retention_days,
            rules.max_retention_days,
            ("retentionDays", " days", "unlimited"),
            CACHE_RETENTION,
        );
        self.secrets(&cache.image_pull_secrets, |it, name| it.name(None, CACHE_SECRETS, name));
        let refused = self.keys(&cache.annotations, &rules.annotations);
        self.entries(refused, "the annotation", "imageCache.annotations", &rules.annotations, |it, key| {
            it.of_document(CACHE_ANNOTATIONS, &[key])
        });
        for platform in &cache.platforms {
            let own = platform.annotations.iter().filter(|(key, _)| !cache.annotations.contains_key(*key));
            let set = platform.platform.annotations();
            let own = own.filter(|(key, _)| !set.iter().any(|(known, _)| known == key));
            let refused = own.filter_map(|(key, _)| refusal_of(key, &rules.annotations)).collect();
            let name = platform.platform.name();
            self.entries(refused, "the annotation", "imageCache.annotations", &rules.annotations, |it, _| {
                it.name(None, CACHE_PLATFORMS, name)
            });
        }
    }

    /// A number of an ImageCache. Without one, it may be any.
    fn cache_number(&mut self, written: Option<u32>, most: Option<u32>, words: (&str, &str, &str), keys: BothKeys) {
        let Some(most) = most.filter(|most| written.is_none_or(|written| written > *most)) else { return };
        let (what, unit, without) = words;
        let (message, remedy) = match written {
            Some(written) => {
                (format!("the {what} {written} is more than the {most}{unit} that are allowed"), "lower it")
            }
            None => (format!("{what} is not set, so it is {without}, and at most {most}{unit} are allowed"), "set it"),
        };
        let path = if what == "size" { "imageCache.maxSize" } else { "imageCache.maxRetentionDays" };
        self.too_large(self.locator.of_document(keys, &[]), message, remedy, path);
    }
}
