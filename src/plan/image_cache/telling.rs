//! What is told of ImageCaches: each step once.

use jiff::SignedDuration;

use super::cache::{Cache, Phase};
use super::ledger::{Entry, Ledger, Told};
use super::{Facts, Finding, Next, Plan, making};
use crate::list::config::ImageCache;

/// The least time between two steps of progress that are told.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Notes in the ledger what is told of the current ImageCaches from now on, and returns what that is.
pub fn tell(
    facts: &Facts,
    config: &ImageCache,
    ledger: &mut Ledger,
    is_current: bool,
    plan: &mut Plan,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in &mut ledger.entries {
        let Some(cache) = entry.latest(facts.caches) else { continue };
        let step = step(cache);
        if step <= entry.told {
            continue;
        }
        if let Some(again) = too_soon(facts, entry, step) {
            plan.wake_up_at(again);
            continue;
        }
        let finding = finding(facts, config, entry, cache, is_current);
        (entry.told, entry.told_at) = (step, Some(facts.now));
        findings.push(finding);
    }
    findings
}

fn step(cache: &Cache) -> Told {
    match (cache.phase, cache.progress.unwrap_or_default()) {
        (Phase::Failed, _) => Told::Failed,
        (Phase::Ready, _) => Told::Ready,
        (_, 75..) => Told::MostOfIt,
        (_, 50..) => Told::Half,
        (_, 25..) => Told::Quarter,
        _ => Told::Nothing,
    }
}

fn too_soon(facts: &Facts, entry: &Entry, step: Told) -> Option<jiff::Timestamp> {
    let again = facts.after(entry.told_at.filter(|_| step < Told::Ready)?, LEAST_PAUSE);
    (facts.now < again).then_some(again)
}

fn finding(facts: &Facts, config: &ImageCache, entry: &Entry, cache: &Cache, is_current: bool) -> Finding {
    let name = cache.name.clone();
    match cache.phase {
        Phase::Ready => Finding::Ready { name, id: cache.id.clone() },
        Phase::Pending | Phase::Creating => Finding::Progress { name, percent: cache.progress.unwrap_or_default() },
        Phase::Failed => Finding::Failed {
            name,
            reason: cache.message.clone().unwrap_or_else(|| "ECI says no reason".to_owned()),
            next: match making::due(facts, config, entry) {
                _ if !is_current => Next::Nothing,
                Some((_, at)) => Next::Retry(at),
                None => Next::GivenUp,
            },
        },
    }
}
