//! The complete plan for a list's ImageCaches.

use super::cache::{Cache, Phase};
use super::content::{self, Shard};
use super::context::CacheContext;
use super::decision::{CacheAction, CacheDeletionReason, CachePlan, CacheWait};
use super::digests::Digests;
use super::ledger::{Entry, Ledger};
use super::{creation, events, replacement, timing};
use crate::list::config::ImageCache;
use crate::naming::hash::short_hash;

/// Plans what to do for an accepted list.
pub fn plan(context: &CacheContext) -> CachePlan {
    let Some(config) = &context.list.config.image_cache else {
        return release(context.caches, context.ledger, CacheDeletionReason::TurnedOff);
    };
    let mut plan = CachePlan::default();
    let mut ledger = context.ledger.cloned().unwrap_or_default();
    ledger.take_in(context.caches, context.now);
    answer_request(context, &mut ledger);
    let (wanted, complete) = wanted(context, config, &ledger, &mut plan);
    let is_current = complete && replacement::take(context, config, wanted, &mut ledger, &mut plan);
    let findings = events::report(context, config, &mut ledger, is_current, &mut plan);
    if context.on_newest_version != Some(&ledger) {
        plan.actions.push(CacheAction::Keep { ledger: Some(Box::new(ledger.clone())), findings });
    }
    replacement::end_previous(context, config, &ledger, &mut plan);
    if is_current {
        creation::plan(context, config, &ledger, &mut plan);
    }
    plan
}

/// Deletes all ImageCaches of a list that no longer asks for any.
pub fn release(caches: &[Cache], ledger: Option<&Ledger>, ending: CacheDeletionReason) -> CachePlan {
    let live = caches.iter().filter(|cache| !cache.deleting);
    let mut actions: Vec<CacheAction> = live.map(|cache| CacheAction::delete(cache, ending)).collect();
    // The ledger says that there may be ImageCaches, so it is removed last.
    if ledger.is_some() && caches.is_empty() {
        actions.push(CacheAction::Keep { ledger: None, findings: Vec::new() });
    }
    CachePlan { actions, ..CachePlan::default() }
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

/// The content that the list asks for, and whether enough is known to create it.
fn wanted(context: &CacheContext, config: &ImageCache, ledger: &Ledger, plan: &mut CachePlan) -> (Vec<Entry>, bool) {
    let shards = content::shards(context.list.namespace, context.list.config, config);
    let mut complete = true;
    let wanted = shards.iter().map(|shard| {
        let base = shard.base();
        let before = before(context, ledger, &base);
        let Some(before) = before else {
            complete &= knows_all_of(context, shard, plan);
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
    let content = content_hash(context, &base, &digests);
    with_what_is_there(context, Entry { base, content, digests, ..Entry::default() })
}

fn with_what_is_there(context: &CacheContext, mut entry: Entry) -> Entry {
    entry.take_in(context.caches, context.now);
    entry
}

/// The list is part of the hash, because two lists never share an ImageCache.
fn content_hash(context: &CacheContext, base: &str, digests: &Digests) -> String {
    let digests = serde_json::to_string(digests).unwrap_or_else(|error| unreachable!("{error}"));
    short_hash(format!("{}\n{}\n{base}\n{digests}", context.list.namespace, context.name).as_bytes())
}

/// Whether nodes have reported the digests of all tags, or had enough time to. Without a digest, an ImageCache is created
/// from whatever the tag is then, and the digest is learnt later.
fn knows_all_of(context: &CacheContext, shard: &Shard, plan: &mut CachePlan) -> bool {
    let unknown: Vec<&String> = shard.tags().filter(|image| !context.known.has_seen(image)).collect();
    let until = context.accepted_at.and_then(|at| at.min(context.now).checked_add(timing::DIGESTS_WITHIN).ok());
    let Some(until) = until.filter(|until| !unknown.is_empty() && context.now < *until) else { return true };
    plan.waiting.push(CacheWait::Digests { images: unknown.into_iter().cloned().collect(), until });
    plan.wake_up_at(until);
    false
}
