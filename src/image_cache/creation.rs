//! What to create for the current content: the first ImageCache, a retry or a renewal.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;

use super::cache::{Cache, CreationRecord, Phase};
use super::content::{self, Shard};
use super::context::CacheContext;
use super::decision::{CacheAction, CacheCause, CacheDeletionReason, CachePlan, CacheWait, NamedCache};
use super::ledger::{Entry, Ledger};
use super::object::{ImageCacheObject, Spec, resource};
use super::{replacement, timing};
use crate::list::config::ImageCache;
use crate::list::names::shortened;
use crate::naming::hash::short_hash;
use crate::naming::labels;
use crate::plan::AcceptedList;
use crate::text::json;

/// The most characters of namespace and list in the name of an ImageCache, before the hash.
const MAX_NAME: usize = 200;

/// Plans what to create for the current content.
pub fn plan(context: &CacheContext, config: &ImageCache, shards: &[Shard], ledger: &Ledger, plan: &mut CachePlan) {
    let mut serial = ledger.serial;
    for (entry, shard) in ledger.entries.iter().zip(shards) {
        report_slow(context, entry, plan);
        let Some((cause, at)) = due(context, config, entry) else { continue };
        // A renewal is a second layer.
        if cause == CacheCause::Renewal && !replacement::is_alone(context, ledger) {
            continue;
        }
        if context.now < at {
            plan.wake_up_at(at);
            continue;
        }
        let failed = entry.latest(context.caches).filter(|cache| cache.phase == Phase::Failed);
        plan.actions.extend(failed.map(|cache| CacheAction::delete(cache, CacheDeletionReason::Failed)));
        serial = serial.saturating_add(1);
        plan.actions.push(create(context, config, entry, shard, serial, cause));
    }
}

/// Reports an ImageCache whose build takes very long. Only ECI knows what it waits for.
fn report_slow(context: &CacheContext, entry: &Entry, plan: &mut CachePlan) {
    let Some(cache) = entry.latest(context.caches).filter(|cache| cache.in_flight()) else { return };
    let Some(created) = cache.created else { return };
    let at = context.after(created, timing::SLOW);
    if context.now < at {
        return plan.wake_up_at(at);
    }
    plan.waiting.push(CacheWait::SlowBuild { cache: NamedCache::of(cache), phase: cache.phase, since: created });
}

/// Why and when the next ImageCache for a content is created, if any is.
pub fn due(context: &CacheContext, config: &ImageCache, entry: &Entry) -> Option<(CacheCause, Timestamp)> {
    let last = entry.last.unwrap_or(context.now);
    // The first lost ImageCache is replaced immediately.
    let losses = entry.losses_by(context.now).saturating_sub(1);
    let latest = entry.latest(context.caches);
    if latest.is_some_and(Cache::in_flight) {
        return None;
    }
    if let Some(ready) = latest.filter(|cache| cache.phase == Phase::Ready) {
        let renewal = timing::renewal_at(ready, config.retention_days)?;
        return Some((CacheCause::Renewal, renewal.max(context.after(last, timing::pause(losses)))));
    }
    if entry.ready_at.is_some() {
        return Some((CacheCause::Lost, context.after(last, timing::pause(losses))));
    }
    match entry.attempts {
        0 => Some((CacheCause::Missing, context.now)),
        timing::MAX_ATTEMPTS.. => None,
        attempts => {
            let pause = timing::pause(attempts).max(share_of_what_is_left(context, entry));
            Some((CacheCause::Retry { attempt: attempts + 1 }, context.after(last, pause)))
        }
    }
}

/// While an older ImageCache of the same content is ready, attempts are spread over its remaining lifetime.
fn share_of_what_is_left(context: &CacheContext, entry: &Entry) -> SignedDuration {
    let older = context.live().filter(|it| it.creation.content == entry.content && it.phase == Phase::Ready);
    let end = older.filter_map(Cache::expires_at).max();
    let left = end.map_or(SignedDuration::ZERO, |end| end.duration_since(entry.last.unwrap_or(context.now)));
    left.max(SignedDuration::ZERO) / i32::try_from(timing::MAX_ATTEMPTS).unwrap_or(i32::MAX)
}

fn create(
    context: &CacheContext,
    config: &ImageCache,
    entry: &Entry,
    shard: &Shard,
    serial: u32,
    cause: CacheCause,
) -> CacheAction {
    let creation = CreationRecord {
        base: entry.base.clone(),
        content: entry.content.clone(),
        digests: entry.digests.clone(),
        platform: shard.platform,
        serial,
        attempt: match cause {
            CacheCause::Retry { attempt } => attempt,
            CacheCause::Missing | CacheCause::Lost | CacheCause::Renewal => 1,
        },
    };
    let object = object(context.list, context.name, config, shard, &creation, context.sizes);
    CacheAction::Create { object: Box::new(object), cause }
}

/// An ImageCache as it is sent to the API server.
pub fn object(
    list: AcceptedList,
    name: &str,
    config: &ImageCache,
    shard: &Shard,
    creation: &CreationRecord,
    sizes: Option<&BTreeMap<String, u64>>,
) -> ImageCacheObject {
    let spec = Spec {
        images: shard.images.clone(),
        image_pull_secrets: Some(shard.secrets.clone()).filter(|secrets| !secrets.is_empty()),
        image_cache_size: Some(content::size(shard, sizes)),
        retention_days: config.retention_days,
    };
    let namespace = list.namespace;
    let hash = short_hash(format!("{namespace}\n{name}\n{}\n{}", creation.content, creation.serial).as_bytes());
    let name = format!("{}-{hash}", shortened(&format!("{namespace}-{name}"), MAX_NAME));
    let labels = [
        (labels::LIST, list.label),
        (labels::NAMESPACE, namespace),
        (labels::NAME, labels::PROGRAM),
        (labels::MANAGED_BY, labels::PROGRAM),
    ];
    let text = json::annotation(creation);
    let mut annotations = shard.annotations.clone();
    annotations.insert(labels::MADE_FROM.to_owned(), text);
    let mut object = ImageCacheObject::new(&name, &resource(), spec);
    object.metadata = ObjectMeta {
        name: Some(name),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    object
}
