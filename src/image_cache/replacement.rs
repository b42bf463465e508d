//! When new content replaces the current one, and when the previous ImageCaches are deleted.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::cache::{Cache, Phase};
use super::context::CacheContext;
use super::decision::{CacheAction, CacheDeletionReason, CachePlan};
use super::ledger::{Entry, Ledger};
use super::timing;
use crate::list::config::ImageCache;

/// Makes `wanted` the current content if it may begin now, and returns whether it is current.
pub fn take(
    context: &CacheContext,
    config: &ImageCache,
    wanted: Vec<Entry>,
    ledger: &mut Ledger,
    plan: &mut CachePlan,
) -> bool {
    if contents(&wanted) == contents(&ledger.entries) {
        ledger.entries = wanted;
        return true;
    }
    if !(is_there(context, &wanted) || may_begin(context, config, &wanted, ledger, plan)) {
        return false;
    }
    // Before the content becomes current: if the status flaps, these would otherwise count again.
    let is_wanted = |cache: &Cache| wanted.iter().any(|entry| entry.is_latest(cache));
    let failed = context.live().filter(|cache| cache.phase == Phase::Failed && !is_wanted(cache));
    plan.actions.extend(failed.map(|cache| CacheAction::delete(cache, CacheDeletionReason::Failed)));
    ledger.entries = wanted;
    ledger.since = Some(context.now);
    true
}

fn contents(entries: &[Entry]) -> BTreeSet<&str> {
    entries.iter().map(|entry| entry.content.as_str()).collect()
}

/// Whether the content already exists, so that going back to it creates nothing.
fn is_there(context: &CacheContext, wanted: &[Entry]) -> bool {
    let ready = |entry: &Entry| entry.latest(context.caches).is_some_and(|cache| cache.phase == Phase::Ready);
    !wanted.is_empty() && wanted.iter().all(ready)
}

/// Whether another layer may be created: only the current one exists, or the current one failed.
fn may_begin(
    context: &CacheContext,
    config: &ImageCache,
    wanted: &[Entry],
    ledger: &Ledger,
    plan: &mut CachePlan,
) -> bool {
    let is_wanted = |cache: &Cache| wanted.iter().any(|entry| entry.is_latest(cache));
    let others = || context.live().filter(|cache| !is_wanted(cache) && cache.phase != Phase::Failed);
    if others().all(|cache| ledger.is_current(cache)) {
        return true;
    }
    if is_ready(context, ledger) {
        // The layer before it is deleted first.
        previous_goes_at(context, config, ledger).into_iter().for_each(|at| plan.wake_up_at(at));
        return false;
    }
    let current = || others().filter(|cache| ledger.is_current(cache));
    let stuck_at = |cache: &Cache| context.after(cache.created.unwrap_or(context.now), timing::STUCK);
    if let Some(at) = current().filter(|cache| cache.in_flight()).map(stuck_at).max().filter(|at| context.now < *at) {
        plan.wake_up_at(at);
        return false;
    }
    // A layer that was never complete is deleted. A complete one whose renewal failed becomes the layer before.
    let is_covered = is_covered(context, ledger);
    let goes = current().filter(|cache| !is_covered || cache.phase != Phase::Ready);
    plan.actions.extend(goes.map(|cache| CacheAction::delete(cache, CacheDeletionReason::Abandoned)));
    true
}

/// Whether a renewal may be created: the layer before is gone, or is deleted now.
pub fn is_alone(context: &CacheContext, ledger: &Ledger) -> bool {
    is_ready(context, ledger) || context.live().all(|cache| ledger.is_current(cache) || cache.phase == Phase::Failed)
}

/// Whether all of the current content is ready now.
pub fn is_ready(context: &CacheContext, ledger: &Ledger) -> bool {
    let ready = |entry: &Entry| entry.latest(context.caches).is_some_and(|cache| cache.phase == Phase::Ready);
    !ledger.entries.is_empty() && ledger.entries.iter().all(ready)
}

/// Whether all of the current content is ready, including ImageCaches that are being renewed.
fn is_covered(context: &CacheContext, ledger: &Ledger) -> bool {
    let ready = |entry: &Entry| {
        context.live().any(|cache| cache.creation.content == entry.content && cache.phase == Phase::Ready)
    };
    !ledger.entries.is_empty() && ledger.entries.iter().all(ready)
}

/// When the layer before may be deleted: after `keepPreviousFor`, or when the current layer must be renewed, which needs a
/// layer of its own.
pub fn previous_goes_at(context: &CacheContext, config: &ImageCache, ledger: &Ledger) -> Option<Timestamp> {
    let ready_at = ledger.entries.iter().map(|entry| entry.ready_at);
    let begun = ready_at.chain([ledger.since]).flatten().max()?;
    let kept_until = context.after(begun, config.keep_previous_for);
    let current = ledger.entries.iter().filter_map(|entry| entry.latest(context.caches));
    let renewal = current.filter_map(|cache| timing::renewal_at(cache, config.retention_days)).min();
    Some(renewal.map_or(kept_until, |renewal| renewal.min(kept_until)))
}

/// Deletes the layer before the current content as soon as it may go.
pub fn end_previous(context: &CacheContext, config: &ImageCache, ledger: &Ledger, plan: &mut CachePlan) {
    let being_deleted: BTreeSet<String> = plan.actions.iter().filter_map(deleted).collect();
    let previous = context.live().filter(|it| !ledger.is_current(it) && !being_deleted.contains(&it.uid));
    let goes_at = if is_ready(context, ledger) { previous_goes_at(context, config, ledger) } else { None };
    let mut deletions = Vec::new();
    for cache in previous {
        match (cache.phase, goes_at) {
            (Phase::Failed, _) => deletions.push(CacheAction::delete(cache, CacheDeletionReason::Failed)),
            (Phase::Ready, Some(at)) if context.now < at => plan.wake_up_at(at),
            (Phase::Ready, Some(_)) => deletions.push(CacheAction::delete(cache, CacheDeletionReason::Replaced)),
            (Phase::Pending | Phase::Creating, Some(_)) => {
                deletions.push(CacheAction::delete(cache, CacheDeletionReason::Abandoned))
            }
            (_, None) => {}
        }
    }
    plan.actions.extend(deletions);
}

fn deleted(action: &CacheAction) -> Option<String> {
    match action {
        CacheAction::Delete { uid, .. } => Some(uid.clone()),
        _ => None,
    }
}
