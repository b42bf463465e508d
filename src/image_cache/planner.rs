//! The complete plan for a list's ImageCaches.

use super::cache::{Cache, Phase};
use super::context::CacheContext;
use super::decision::{CacheAction, CacheDeletionReason, CachePlan};
use super::ledger::Ledger;
use super::series::Series;
use crate::list::config::ImageCache;

/// Plans what to do for an accepted list.
pub fn plan(context: &CacheContext) -> CachePlan {
    let Some(config) = &context.list.config.image_cache else {
        return release(context.caches, context.ledger, CacheDeletionReason::TurnedOff);
    };
    let mut plan = CachePlan::default();
    let mut all = Series::all(context, config);
    let mut findings = Vec::new();
    for series in &mut all {
        findings.extend(series.advance(context, config, &mut plan));
    }
    let ledger = Ledger::of_all(all.iter().map(|series| (series.platform(), series.ledger.clone())));
    if context.on_newest_version != Some(&ledger) {
        plan.actions.push(CacheAction::Keep { ledger: Some(Box::new(ledger)), findings });
    }
    for series in &all {
        series.carry_on(context, config, &mut plan);
    }
    end_others(context, config, &all, &mut plan);
    plan
}

/// Deletes the ImageCaches of platforms that the list no longer names: ready ones as soon as all others can replace them.
fn end_others(context: &CacheContext, config: &ImageCache, all: &[Series], plan: &mut CachePlan) {
    let is_asked_for = |cache: &Cache| all.iter().any(|series| series.platform() == cache.creation.platform);
    // Nothing is ready for as long as one of them is not.
    let goes_at = all.iter().map(|series| series.replaces_others_at(context, config)).collect::<Option<Vec<_>>>();
    let goes_at = goes_at.and_then(|times| times.into_iter().max());
    for cache in context.live().filter(|cache| !is_asked_for(cache)) {
        let ending = match (cache.phase, goes_at) {
            (Phase::Failed, _) => CacheDeletionReason::Failed,
            (Phase::Pending | Phase::Creating, _) => CacheDeletionReason::Abandoned,
            (Phase::Ready, Some(at)) if at <= context.now => CacheDeletionReason::PlatformRemoved,
            (Phase::Ready, at) => {
                at.into_iter().for_each(|at| plan.wake_up_at(at));
                continue;
            }
        };
        plan.actions.push(CacheAction::delete(cache, ending));
    }
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
