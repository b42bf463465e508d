//! Everything that a plan depends on.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::cache::Cache;
use super::digests::HeldDigests;
use super::ledger::Ledger;
use crate::plan::AcceptedList;

/// Everything that a plan depends on.
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
    /// Their ledger, if there is one ([`crate::plan::versions::newest_ledger`]).
    pub ledger: Option<&'a Ledger>,
    /// The ledger on the list's newest accepted version, where it belongs.
    pub on_newest_version: Option<&'a Ledger>,
    /// The digests that nodes hold of each tag.
    pub known: &'a HeldDigests,
    /// The bytes that nodes report for each image (as the list spells it); `None` if they were not looked up yet.
    pub sizes: Option<&'a BTreeMap<String, u64>>,
    /// The current time.
    pub now: Timestamp,
}

impl CacheContext<'_> {
    /// The ImageCaches that are not being deleted.
    pub fn live(&self) -> impl Iterator<Item = &Cache> {
        self.caches.iter().filter(|cache| !cache.deleting)
    }

    /// The time plus a pause. A time in the future counts as now, since clocks differ.
    pub fn after(&self, time: Timestamp, pause: SignedDuration) -> Timestamp {
        time.min(self.now).checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}
