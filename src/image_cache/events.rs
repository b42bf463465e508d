//! Which steps of ImageCaches are reported as Events: each once.

use jiff::SignedDuration;

use super::cache::{Cache, Phase};
use super::context::CacheContext;
use super::creation;
use super::decision::{CacheFinding, CachePlan, NamedCache, Next};
use super::ledger::{Entry, Ledger, ReportedStep};
use crate::list::config::ImageCache;

/// The shortest pause between two reported steps of progress.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Returns what to report of the current ImageCaches, and records in the ledger that it was reported.
pub fn report(
    context: &CacheContext,
    config: &ImageCache,
    ledger: &mut Ledger,
    is_current: bool,
    plan: &mut CachePlan,
) -> Vec<CacheFinding> {
    let mut findings = Vec::new();
    for entry in &mut ledger.entries {
        let Some(cache) = entry.latest(context.caches) else { continue };
        let step = step(cache);
        if step <= entry.reported {
            continue;
        }
        if let Some(again) = too_soon(context, entry, step) {
            plan.wake_up_at(again);
            continue;
        }
        let finding = finding(context, config, entry, cache, is_current);
        (entry.reported, entry.reported_at) = (step, Some(context.now));
        findings.push(finding);
    }
    findings
}

fn step(cache: &Cache) -> ReportedStep {
    match (cache.phase, cache.progress.unwrap_or_default()) {
        (Phase::Failed, _) => ReportedStep::Failed,
        (Phase::Ready, _) => ReportedStep::Ready,
        (_, 75..) => ReportedStep::MostOfIt,
        (_, 50..) => ReportedStep::Half,
        (_, 25..) => ReportedStep::Quarter,
        _ => ReportedStep::Nothing,
    }
}

fn too_soon(context: &CacheContext, entry: &Entry, step: ReportedStep) -> Option<jiff::Timestamp> {
    let again = context.after(entry.reported_at.filter(|_| step < ReportedStep::Ready)?, LEAST_PAUSE);
    (context.now < again).then_some(again)
}

fn finding(
    context: &CacheContext,
    config: &ImageCache,
    entry: &Entry,
    found: &Cache,
    is_current: bool,
) -> CacheFinding {
    let cache = NamedCache::of(found);
    match found.phase {
        Phase::Ready => CacheFinding::Ready { cache, id: found.id.clone() },
        Phase::Pending | Phase::Creating => {
            CacheFinding::Progress { cache, percent: found.progress.unwrap_or_default() }
        }
        Phase::Failed => CacheFinding::Failed {
            cache,
            reason: found.message.clone(),
            next: match creation::due(context, config, entry) {
                _ if !is_current => Next::Nothing,
                Some((_, at)) => Next::Retry(at),
                None => Next::GivenUp,
            },
        },
    }
}
