//! The ImageCaches of one platform, which follow each other. What happens to those of one platform does not affect those of
//! another.

use std::borrow::Cow;

use super::cache::{Cache, Phase};
use super::content::{self, Shard};
use super::context::CacheContext;
use super::decision::{CacheFinding, CachePlan, CacheWait};
use super::digests::{Digests, HeldDigests};
use super::ledger::{Entry, Ledger};
use super::{creation, events, replacement, timing};
use crate::list::cache_platform::CachePlatform;
use crate::list::config::ImageCache;
use crate::naming::hash::short_hash;

/// The ImageCaches of one platform, or all of a list that names none.
pub struct Series<'a> {
    platform: Option<CachePlatform>,
    shards: Vec<Shard>,
    caches: Vec<Cache>,
    known: Cow<'a, HeldDigests>,
    /// What is recorded of them after this plan.
    pub ledger: Ledger,
    /// Whether the content that the list asks for is the current one.
    is_current: bool,
}

impl<'a> Series<'a> {
    /// The series that a list asks for, each with what exists and is recorded of it.
    pub fn all(context: &CacheContext<'a>, config: &ImageCache) -> Vec<Self> {
        let shards = content::shards(context.list.namespace, context.list.config, config);
        let platforms = content::platforms(config);
        let of = |platform| Self {
            platform,
            shards: shards.iter().filter(|shard| shard.platform == platform).cloned().collect(),
            caches: context.caches.iter().filter(|cache| cache.creation.platform == platform).cloned().collect(),
            known: known(context.known, platform),
            ledger: context.ledger.map(|ledger| ledger.of(platform)).unwrap_or_default(),
            is_current: false,
        };
        platforms.into_iter().map(of).collect()
    }

    /// The platform, if the list names any.
    pub fn platform(&self) -> Option<CachePlatform> {
        self.platform
    }

    /// Updates the ledger, makes new content current if it may begin, and returns what to report.
    pub fn advance(&mut self, outer: &CacheContext, config: &ImageCache, plan: &mut CachePlan) -> Vec<CacheFinding> {
        let mut ledger = self.ledger.clone();
        let context = self.context(outer);
        ledger.take_in(context.caches, context.now);
        answer_request(&context, &mut ledger);
        let (wanted, complete) = self.wanted(&context, &ledger, plan);
        let is_current = complete && replacement::take(&context, config, wanted, &mut ledger, plan);
        if complete && !is_current {
            plan.waiting.push(CacheWait::Predecessor { platform: self.platform });
        }
        let findings = events::report(&context, config, &mut ledger, is_current, plan);
        (self.ledger, self.is_current) = (ledger, is_current);
        findings
    }

    /// Deletes what is no longer needed, and creates what is missing, once the ledger is stored.
    pub fn carry_on(&self, outer: &CacheContext, config: &ImageCache, plan: &mut CachePlan) {
        let context = self.context(outer);
        replacement::end_previous(&context, config, &self.ledger, plan);
        if self.is_current {
            creation::plan(&context, config, &self.shards, &self.ledger, plan);
        }
    }

    /// Since when, with `keepPreviousFor`, the ImageCaches before this series are no longer needed; `None`: they still are.
    pub fn replaces_others_at(&self, outer: &CacheContext, config: &ImageCache) -> Option<jiff::Timestamp> {
        let context = self.context(outer);
        let is_ready = self.is_current && replacement::is_ready(&context, &self.ledger);
        replacement::previous_goes_at(&context, config, &self.ledger).filter(|_| is_ready)
    }

    fn context<'s>(&'s self, outer: &CacheContext<'s>) -> CacheContext<'s> {
        CacheContext { caches: &self.caches, known: &self.known, ..*outer }
    }

    /// The content that the list asks for, and whether enough is known to create it.
    fn wanted(&self, context: &CacheContext, ledger: &Ledger, plan: &mut CachePlan) -> (Vec<Entry>, bool) {
        let mut complete = true;
        let wanted = self.shards.iter().map(|shard| {
            let base = shard.base();
            let before = before(context, ledger, &base);
            let Some(before) = before else {
                complete &= self.knows_all_of(context, shard, plan);
                return of_content(context, base, context.known.learnt(&Digests::new(), &shard.images));
            };
            match context.known.outdates(&before.digests, &shard.images) {
                Some(digests) => of_content(context, base, digests),
                None => Entry { digests: context.known.learnt(&before.digests, &shard.images), ..before },
            }
        });
        let wanted = wanted.collect();
        (wanted, complete)
    }

    /// Whether nodes have reported the digests of all tags, or had enough time to. Without a digest, an ImageCache is created
    /// from whatever the tag is then, and the digest is learnt later.
    fn knows_all_of(&self, context: &CacheContext, shard: &Shard, plan: &mut CachePlan) -> bool {
        let unknown: Vec<&String> = shard.tags().filter(|image| !context.known.has_seen(image)).collect();
        let until = context.accepted_at.and_then(|at| at.min(context.now).checked_add(timing::DIGESTS_WITHIN).ok());
        let Some(until) = until.filter(|until| !unknown.is_empty() && context.now < *until) else { return true };
        let images = unknown.into_iter().cloned().collect();
        plan.waiting.push(CacheWait::Digests { platform: self.platform, images, until });
        plan.wake_up_at(until);
        false
    }
}

/// What nodes say of the content for a platform.
fn known(known: &HeldDigests, platform: Option<CachePlatform>) -> Cow<'_, HeldDigests> {
    match platform {
        Some(platform) => Cow::Owned(known.of_architecture(platform.architecture())),
        None => Cow::Borrowed(known),
    }
}

/// A requested refresh allows new attempts.
fn answer_request(context: &CacheContext, ledger: &mut Ledger) {
    let request = context.refresh_request.map(|request| short_hash(request.as_bytes()));
    if request.is_some() && request != ledger.request {
        let unready = ledger.entries.iter_mut().filter(|entry| entry.ready_at.is_none());
        unready.for_each(|entry| entry.attempts = 0);
        ledger.request = request;
    }
}

/// The earlier content with the same images and settings: the current one, or else one that still has an ImageCache.
fn before(context: &CacheContext, ledger: &Ledger, base: &str) -> Option<Entry> {
    if let Some(current) = ledger.entries.iter().find(|entry| entry.base == base) {
        return Some(current.clone());
    }
    let left = context.live().filter(|cache| cache.creation.base == base && cache.phase != Phase::Failed);
    let left = left.max_by_key(|cache| cache.creation.serial)?;
    Some(with_what_is_there(context, Entry::of(left)))
}

fn of_content(context: &CacheContext, base: String, digests: Digests) -> Entry {
    let content = content::hash(context.list.namespace, context.name, &base, &digests);
    with_what_is_there(context, Entry { base, content, digests, ..Entry::default() })
}

fn with_what_is_there(context: &CacheContext, mut entry: Entry) -> Entry {
    entry.take_in(context.caches, context.now);
    entry
}
