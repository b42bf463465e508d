//! Decides which ImageCaches a list should have. Virtual nodes start pods from them.
//!
//! ```text
//! Config ─► content: images, settings ────┐
//! coverage ─► digests: what tags are now ─┼─► wanted content ─► replacement: may it begin? ─► create, wait, delete, report
//! ImageCaches + ledger: what exists ──────┘
//! ```
//! - [`object`], [`cache`]: the resource, and what is read of it
//! - [`content`], [`digests`]: what the list asks for, and the digests of its tags
//! - [`ledger`]: what must survive a restart of the controller; kept on the list's newest accepted version
//! - [`replacement`]: when new content replaces the current one
//! - [`making`]: what to create for the current content: the first ImageCache, a retry or a renewal
//! - [`pace`]: how long to wait for what
//! - [`reporting`], [`report`]: what is reported as Events, and in the status report
//!
//! At most two layers of ImageCaches exist: the latest for each current content, and the layer before. The layer before is
//! deleted when the whole current layer is ready and `keepPreviousFor` has passed (or the current layer must be renewed), never
//! sooner. Content that changes in the meantime waits, and the newest wins. A failed ImageCache is retried at most three times
//! for the same content, until somebody requests a refresh.

pub mod cache;
pub mod content;
pub mod digests;
pub mod ledger;
mod making;
pub mod object;
pub mod pace;
mod replacement;
pub mod report;
mod reporting;

use std::collections::BTreeMap;

pub use cache::{Cache, Phase};
pub use digests::{Digests, HeldDigests};
use jiff::{SignedDuration, Timestamp};
use ledger::{Entry, Ledger};
pub use object::ImageCacheObject;
pub use report::ImageCacheReport;

use crate::list::config::ImageCache;
use crate::naming::hash::short_hash;
use crate::plan::AcceptedList;
use content::Shard;

/// The input of the plan.
#[derive(Clone, Copy, Debug)]
pub struct CacheContext<'a> {
    /// The list as accepted.
    pub list: AcceptedList<'a>,
    /// The name of the list's ConfigMap.
    pub name: &'a str,
    /// When its newest accepted version was first accepted.
    pub accepted_at: Option<Timestamp>,
    /// The value of the annotation that asks for a refresh.
    pub refresh_request: Option<&'a str>,
    /// The list's ImageCaches.
    pub caches: &'a [Cache],
    /// Their ledger, if there is one ([`crate::plan::history::newest_ledger`]).
    pub ledger: Option<&'a Ledger>,
    /// The ledger on the list's newest accepted version, where it belongs.
    pub on_newest_form: Option<&'a Ledger>,
    /// The digests that nodes hold.
    pub known: &'a HeldDigests,
    /// The bytes that nodes report for each image (as the list spells it); `None` if they were not looked up yet.
    pub sizes: Option<&'a BTreeMap<String, u64>>,
    /// The current time.
    pub now: Timestamp,
}

/// What to do about a list's ImageCaches.
#[derive(Clone, Debug, Default)]
pub struct CachePlan {
    /// What to write, in this order: each needs those before it to be done.
    pub actions: Vec<CacheAction>,
    /// What must wait.
    pub waiting: Vec<CacheWait>,
    /// When to plan again if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// One write to the cluster.
#[derive(Clone, Debug)]
pub enum CacheAction {
    /// Store the ledger, before any action that relies on it.
    Keep {
        /// `None`: remove the ledger.
        ledger: Option<Box<Ledger>>,
        /// What to report once the ledger is stored, so that nothing is reported twice.
        findings: Vec<CacheFinding>,
    },
    /// Create an ImageCache.
    Create {
        /// The ImageCache.
        object: Box<ImageCacheObject>,
        /// Why.
        cause: CacheCause,
    },
    /// Delete an ImageCache.
    Delete {
        /// Its name.
        name: String,
        /// Its uid, so that a new object of the same name is not deleted.
        uid: String,
        /// Why.
        ending: CacheDeletionReason,
    },
}

/// Why an ImageCache is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCause {
    /// There is none for the content that the list asks for.
    Missing,
    /// One for the same content failed.
    Retry {
        /// The number of the attempt, from 2.
        attempt: u32,
    },
    /// The one that was ready is gone.
    Lost,
    /// The one that is ready expires soon.
    Renewal,
}

/// Why an ImageCache is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheDeletionReason {
    /// Another one is ready, and `keepPreviousFor` has passed.
    Replaced,
    /// It failed, and a retry or other content follows.
    Failed,
    /// It did not become ready, and other content is wanted.
    Abandoned,
    /// The list no longer asks for any.
    TurnedOff,
    /// Its list has been missing for [`crate::plan::history::GRACE`].
    ListGone,
}

/// A change of an ImageCache's status that is worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheFinding {
    /// It is being built.
    Progress {
        /// Its name.
        name: String,
        /// In percent.
        percent: u8,
    },
    /// Pods can start from it.
    Ready {
        /// Its name.
        name: String,
        /// What ECI calls it.
        id: Option<String>,
    },
    /// It failed.
    Failed {
        /// Its name.
        name: String,
        /// ECI's message, if it gave one.
        reason: Option<String>,
        /// What follows.
        next: Next,
    },
}

/// What an ImageCache, or new content for one, waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheWait {
    /// Nodes are expected to report which digests these tags stand for.
    Digests {
        /// References, as the list spells them.
        images: Vec<String>,
        /// When the ImageCache is created without them.
        until: Timestamp,
    },
    /// The ImageCache before it must replace its predecessor first.
    Predecessor,
    /// ECI has been building it for longer than [`pace::SLOW`].
    SlowBuild {
        /// The ImageCache.
        name: String,
        /// How far the build is.
        phase: Phase,
        /// When the ImageCache was created.
        since: Timestamp,
    },
}

/// What follows a failed ImageCache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A retry, at that time.
    Retry(Timestamp),
    /// Nothing, until the list changes or somebody requests a refresh.
    GivenUp,
    /// Nothing, because the list no longer asks for its content.
    Nothing,
}

impl CachePlan {
    fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

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
    let findings = reporting::report(context, config, &mut ledger, is_current, &mut plan);
    if context.on_newest_form != Some(&ledger) {
        plan.actions.push(CacheAction::Keep { ledger: Some(Box::new(ledger.clone())), findings });
    }
    replacement::end_previous(context, config, &ledger, &mut plan);
    if is_current {
        making::make(context, config, &ledger, &mut plan);
    }
    plan
}

/// Deletes all ImageCaches of a list that no longer asks for any.
pub fn release(caches: &[Cache], ledger: Option<&Ledger>, ending: CacheDeletionReason) -> CachePlan {
    let live = caches.iter().filter(|cache| !cache.deleting);
    let mut actions: Vec<CacheAction> = live.map(|cache| delete(cache, ending)).collect();
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
            complete &= context.knows_all_of(shard, plan);
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
    let left = context.live().filter(|cache| cache.made.base == base && cache.phase != Phase::Failed);
    let left = left.max_by_key(|cache| cache.made.serial)?;
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

fn delete(cache: &Cache, ending: CacheDeletionReason) -> CacheAction {
    CacheAction::Delete { name: cache.name.clone(), uid: cache.uid.clone(), ending }
}

impl CacheContext<'_> {
    /// The ImageCaches that are not being deleted.
    fn live(&self) -> impl Iterator<Item = &Cache> {
        self.caches.iter().filter(|cache| !cache.deleting)
    }

    /// Whether nodes have reported the digests of all tags, or had enough time to. Without a digest, an ImageCache is created
    /// from whatever the tag is then, and the digest is learnt later.
    fn knows_all_of(&self, shard: &Shard, plan: &mut CachePlan) -> bool {
        let unknown: Vec<&String> = shard.tags().filter(|image| !self.known.has_seen(image)).collect();
        let Some(until) = self.accepted_at.and_then(|at| at.min(self.now).checked_add(pace::DIGESTS_WITHIN).ok())
        else {
            return true;
        };
        if unknown.is_empty() || until <= self.now {
            return true;
        }
        plan.waiting.push(CacheWait::Digests { images: unknown.into_iter().cloned().collect(), until });
        plan.wake_up_at(until);
        false
    }

    /// The time plus a pause. A time in the future counts as now, since clocks differ.
    fn after(&self, time: Timestamp, pause: SignedDuration) -> Timestamp {
        time.min(self.now).checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests;
