//! What a list discovers in workloads, and since when that counts.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::core::Selector;

use super::memory::Memory;
use super::parsed_list::ParsedList;
use super::unsettled::SettledFound;
use crate::cluster::observed::Observed;
use crate::cluster::snapshot::Snapshot;
use crate::discovery::{self, Workloads};
use crate::list::discover::Discovery;
use crate::list::discover::found::Found;
use crate::list::{Limits, ListData, Policy, limits, policy};
use crate::messages::{Message, discovery as messages};
use crate::plan::versions;

/// What a list discovers.
#[derive(Debug, Default)]
pub struct DiscoveryDecision {
    /// What is not known, and what does not fit.
    pub notes: Vec<Message>,
    /// When to decide again, if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// Reads lists with what they discover.
pub struct Discoverer<'d> {
    pub observed: &'d Observed,
    pub policy: &'d Policy,
}

impl Discoverer<'_> {
    /// A list as it is written, with what is discovered by now. As long as it discovers nothing, there is nothing to find.
    pub fn written(
        &self,
        data: ListData,
        seen: &Snapshot,
        memory: &mut Memory,
    ) -> (Arc<ParsedList>, DiscoveryDecision) {
        let newest = versions::newest(&seen.revisions);
        let before = newest.and_then(|newest| newest.list.found.clone());
        // What is found counts together with an edit: an image may move from the list to workloads.
        let is_edited = newest.is_none_or(|newest| newest.list.data != data.data);
        let parse = |memory: &mut Memory, found: Option<Arc<Found>>| {
            let list = ListData { found, ..data.clone() };
            memory.parse_written(list, self.policy, &self.observed.accepted)
        };
        let written = parse(memory, before.clone());
        let none = DiscoveryDecision::default();
        // What a rejected list would discover counts as little as the rest of it.
        let Some(config) = written.config.clone() else { return (written, none) };
        let Some(settle) = config.discoveries.iter().map(|it| it.discover.settle).max() else {
            let written = if before.is_some() { parse(memory, None) } else { written };
            return (written, none);
        };
        let workloads = self.workloads(&config.discoveries);
        let now = Timestamp::now();
        let is_allowed = |reference: &_| self.policy.allows_image(reference);
        let next = discovery::next(before.as_deref(), &config.discoveries, &workloads, &is_allowed, now);
        let mut decision = DiscoveryDecision {
            notes: next.unknown.iter().map(|(namespace, why)| messages::unknown(namespace, *why)).collect(),
            wake_at: next.wake_at,
        };
        let is_listed = !next.unknown.values().any(|why| why.is_listing());
        let settle = if is_edited && is_listed { SignedDuration::ZERO } else { settle };
        let written = match memory.unsettled.settle(before.as_deref(), next.found, settle, now) {
            SettledFound::Before => written,
            SettledFound::Until(at) => {
                decision.wake_at = decision.wake_at.into_iter().chain([at]).min();
                written
            }
            SettledFound::Now(found) => {
                let with_it = parse(memory, Some(Arc::new(found)));
                match self.fits(&with_it) {
                    Ok(()) => with_it,
                    Err(why) => {
                        decision.notes.push(messages::does_not_fit(&why));
                        decision.wake_at = now.checked_add(SignedDuration::from_mins(1)).ok();
                        parse(memory, before)
                    }
                }
            }
        };
        (written, decision)
    }

    /// What is known of the workloads in the namespaces that groups name or select. Of namespaces that the list may not take images from,
    /// nothing is: who may write it may not know what runs there.
    fn workloads(&self, discoveries: &[Discovery]) -> Workloads {
        let scope = self.policy.discovery();
        let selectors: Vec<&Selector> = match scope.allows_selectors() {
            true => discoveries.iter().filter_map(|it| it.discover.namespace_selector.as_ref()).collect(),
            false => Vec::new(),
        };
        let namespaces = self.observed.namespaces.selected_by(&selectors).filter(|_| scope.allows_selectors());
        let selected = namespaces.iter().flat_map(|known| known.labels.keys()).map(String::as_str);
        let named = discoveries.iter().flat_map(|it| it.discover.namespaces.iter()).filter(|name| scope.allows(name));
        let by_namespace = self.observed.workloads.of(named.map(|name| name.as_str()).chain(selected));
        Workloads { by_namespace, namespaces }
    }

    /// Whether a list is within all limits together with what was found.
    fn fits(&self, written: &ParsedList) -> Result<(), String> {
        let Some(config) = &written.config else {
            return Err(written.problems.first().map(|problem| problem.message.to_string()).unwrap_or_default());
        };
        if !limits::can_be_stored(&written.list) {
            return Err("the list would be too large to be stored".to_owned());
        }
        let forbidden = policy::violations(self.policy, &written.list, config);
        if let Some(problem) = forbidden.first() {
            return Err(problem.message.to_string());
        }
        limits::fits(config, &Limits::CEILING)
    }
}
