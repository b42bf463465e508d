//! Which ImageCaches there should be: what virtual nodes start pods from.
//!
//! ```text
//! Config ─► content: what to ask for ──┐
//! coverage ─► digests: for what ───────┼─► wanted ─► turn: may it begin? ─► create, wait, delete, tell
//! ImageCaches + ledger: what was made ─┘
//! ```
//! - [`object`], [`cache`]: the resource, and what is read of it
//! - [`content`], [`digests`]: what the list asks for, and which digests it stands for
//! - [`ledger`]: what is kept of what was made, on the list's newest accepted form
//! - [`replacement`]: when new content takes the place of what is there
//! - [`making`]: what is made for the current content: the first, another try, a renewal
//! - [`pace`]: how long to wait for what
//! - [`reporting`]: what is told of them
//!
//! At most two layers of ImageCaches exist: the last that was made for each current content, and what was there before it.
//! The layer before goes when all of the current one is ready and `keepPreviousFor` has passed (or the current one is to be
//! renewed), never sooner. Content that changes meanwhile waits for its turn, and the newest wins. What failed is tried again
//! three times at most for the same content, until a refresh is asked for.

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
pub use digests::{Digests, Known};
use jiff::{SignedDuration, Timestamp};
use ledger::{Entry, Ledger};
pub use object::ImageCacheObject;
pub use report::ImageCacheReport;

use crate::list::config::ImageCache;
use crate::naming::hash::short_hash;
use crate::plan::AcceptedList;
use content::Shard;

/// All that the plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct CacheContext<'a> {
    /// The list as accepted.
    pub list: AcceptedList<'a>,
    /// The list's name.
    pub name: &'a str,
    /// When its newest accepted form was first accepted.
    pub accepted_at: Option<Timestamp>,
    /// The value of the annotation that asks for a refresh.
    pub refresh_request: Option<&'a str>,
    /// The list's ImageCaches.
    pub caches: &'a [Cache],
    /// What is kept of them, if anything is ([`crate::plan::history::newest_ledger`]).
    pub ledger: Option<&'a Ledger>,
    /// What the list's newest accepted form has of that: the ledger belongs there.
    pub on_newest_form: Option<&'a Ledger>,
    /// What nodes hold.
    pub known: &'a Known,
    /// How many bytes nodes report of each image (as the list spells it); `None` where that is not known yet.
    pub sizes: Option<&'a BTreeMap<String, u64>>,
    /// Now.
    pub now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct CachePlan {
    /// What to write, in this order: each needs those before it to be done.
    pub actions: Vec<CacheAction>,
    /// What must wait.
    pub waiting: Vec<CacheWait>,
    /// When to look again, if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// One write to the cluster.
#[derive(Clone, Debug)]
pub enum CacheAction {
    /// Keep what is known, before anything follows from it.
    Keep {
        /// It; `None` where there is nothing to keep any more.
        ledger: Option<Box<Ledger>>,
        /// What to tell once it is kept, so that nothing is told twice.
        findings: Vec<CacheFinding>,
    },
    /// Make one.
    Create {
        /// It.
        object: Box<ImageCacheObject>,
        /// Why.
        cause: CacheCause,
    },
    /// Delete one.
    Delete {
        /// Its name.
        name: String,
        /// Its uid: another of that name is not meant.
        uid: String,
        /// Why.
        ending: CacheDeletionReason,
    },
}

/// Why an ImageCache is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCause {
    /// There is none for what the list asks for.
    Missing,
    /// One for the same content failed.
    Retry {
        /// Which try it is, from 2.
        attempt: u32,
    },
    /// The one that was ready is gone.
    Lost,
    /// The one that is ready expires.
    Renewal,
}

/// Why an ImageCache goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheDeletionReason {
    /// Another one is ready, and it was kept for as long as the list says.
    Replaced,
    /// It failed, and there is another try or other content.
    Failed,
    /// It did not become ready, and other content is wanted.
    Abandoned,
    /// The list asks for none any more.
    TurnedOff,
    /// Its list has been away for [`crate::plan::history::GRACE`].
    ListGone,
}

/// Something that became of an ImageCache.
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

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another try, at that time.
    Retry(Timestamp),
    /// Nothing, until the list changes or a refresh is asked for.
    GivenUp,
    /// It is not wanted any more.
    Nothing,
}

impl CachePlan {
    fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

/// Decides what to do.
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

/// Everything of a list that asks for no ImageCache any more.
pub fn release(caches: &[Cache], ledger: Option<&Ledger>, ending: CacheDeletionReason) -> CachePlan {
    let live = caches.iter().filter(|cache| !cache.deleting);
    let mut actions: Vec<CacheAction> = live.map(|cache| delete(cache, ending)).collect();
    // What is kept says that there may be some, so it goes when there are none.
    if ledger.is_some() && caches.is_empty() {
        actions.push(CacheAction::Keep { ledger: None, findings: Vec::new() });
    }
    CachePlan { actions, ..CachePlan::default() }
}

/// A request for a refresh brings new tries.
fn answer_request(context: &CacheContext, ledger: &mut Ledger) {
    let request = context.refresh_request.map(|request| short_hash(request.as_bytes()));
    if request.is_some() && request != ledger.request {
        let unready = ledger.entries.iter_mut().filter(|entry| entry.ready_at.is_none());
        unready.for_each(|entry| entry.attempts = 0);
        ledger.request = request;
    }
}

/// What the list asks for, and whether all that should be known for it is.
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

/// What was made before for the same images and settings: what is asked for now, or else what is still there.
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

/// Two lists never share one, even where they ask for the same: so the list is a part of it.
fn content_hash(context: &CacheContext, base: &str, digests: &Digests) -> String {
    let digests = serde_json::to_string(digests).unwrap_or_else(|error| unreachable!("{error}"));
    short_hash(format!("{}\n{}\n{base}\n{digests}", context.list.namespace, context.name).as_bytes())
}

fn delete(cache: &Cache, ending: CacheDeletionReason) -> CacheAction {
    CacheAction::Delete { name: cache.name.clone(), uid: cache.uid.clone(), ending }
}

impl CacheContext<'_> {
    /// The ImageCaches that are not about to go.
    fn live(&self) -> impl Iterator<Item = &Cache> {
        self.caches.iter().filter(|cache| !cache.deleting)
    }

    /// Whether nodes tell what the tags stand for, or had time to. An ImageCache is made from whatever the tag stands for
    /// then, and learns the digest later.
    fn knows_all_of(&self, shard: &Shard, plan: &mut CachePlan) -> bool {
        let unknown: Vec<&String> = shard.tags().filter(|image| !self.known.tells_of(image)).collect();
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

    /// That long after a time, which is not later than now: clocks differ.
    fn after(&self, time: Timestamp, pause: SignedDuration) -> Timestamp {
        time.min(self.now).checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests;
