//! What a worker remembers between two reconciles.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::snapshot::Snapshot;
use crate::list::{self, ListData, Parsed, Policy, policy};
use crate::messages::lasting::Lasting;
use crate::plan::ValidationResult;
use crate::plan::refusals::CHECK_AGAIN;
use crate::plan::versions::Revision;

/// What a worker remembers between two reconciles, only to save work and reports: the cluster holds everything that decisions depend on. The
/// exception is the time of the last edit, from which the wait for a second edit is counted.
#[derive(Debug, Default)]
pub struct Memory {
    /// The list as it was written last.
    written: Option<Arc<ParsedList>>,
    /// Accepted versions of lists, by the names of their ControllerRevisions.
    accepted: HashMap<String, Arc<ParsedList>>,
    /// When the list was edited last.
    pub edited_at: Option<Timestamp>,
    /// When a dry run last succeeded of the pods that a DaemonSet lacks, by its name.
    pub accepted_pods: HashMap<String, Timestamp>,
    /// How long deciding has kept a processor busy since that was asked.
    pub cost: Duration,
    /// What was reported as waiting, also of ImageCaches, and why ImageCaches cannot be managed.
    pub lasting: Lasting,
}

/// A form of a list, and what it means.
#[derive(Debug)]
pub struct ParsedList {
    pub list: ListData,
    pub parsed: Parsed,
    pub validation_result: ValidationResult,
    /// What the policy of this process says of it, once it was asked.
    allowed: OnceLock<bool>,
}

impl Memory {
    /// How long deciding has kept a processor busy since the last call.
    pub fn take_cost(&mut self) -> Duration {
        std::mem::take(&mut self.cost)
    }

    /// When to ask the API server again whether it refuses pods.
    pub fn refusals_again_at(&self, now: Timestamp) -> Option<Timestamp> {
        let again = self.accepted_pods.values().filter_map(|at| at.checked_add(CHECK_AGAIN).ok());
        again.filter(|again| now < *again).min()
    }

    /// Parses the list as it is written now.
    pub fn parse_written(&mut self, list: ListData, policy: &Policy) -> Arc<ParsedList> {
        match &self.written {
            Some(known) if known.list == list => return Arc::clone(known),
            Some(_) => self.edited_at = Some(Timestamp::now()),
            None => {}
        }
        let parsed = list::parse_with_policy(&list, policy);
        Arc::clone(self.written.insert(Arc::new(ParsedList::new(list, parsed))))
    }

    /// Parses an accepted version of a list, whatever the policy says of it now: what is held stays held.
    pub fn parse_accepted(&mut self, revision: &Revision) -> Arc<ParsedList> {
        // The data of a ControllerRevision is immutable, and its name contains a hash of it.
        let parse = || Arc::new(ParsedList::new(revision.list.clone(), list::parse_accepted(&revision.list)));
        Arc::clone(self.accepted.entry(revision.name.clone()).or_insert_with(parse))
    }

    /// Parses all accepted versions of the list, if a generation may have to be rebuilt from one of them.
    pub fn parse_all_accepted(&mut self, seen: &Snapshot) -> Vec<Arc<ParsedList>> {
        let any_altered = seen.generations.iter().any(|generation| generation.altered.is_some());
        let accepted = seen.revisions.iter().filter(|_| any_altered);
        accepted.map(|revision| self.parse_accepted(revision)).collect()
    }

    /// Forgets the accepted versions that are no longer in the cluster.
    pub fn forget_all_but(&mut self, seen: &Snapshot) {
        self.accepted_pods.retain(|name, _| seen.generations.iter().any(|generation| generation.name == *name));
        self.accepted
            .retain(|name, _| seen.revisions.iter().chain(&seen.others).any(|revision| revision.name == *name));
    }
}

impl ParsedList {
    pub fn new(list: ListData, parsed: Parsed) -> Self {
        let validation_result = ValidationResult::new(&list, &parsed);
        Self { validation_result, list, parsed, allowed: OnceLock::new() }
    }

    /// The same list, as one that has no image and never had one.
    pub fn of_empty(of: &Self) -> Self {
        let validation_result = ValidationResult::of_empty(&of.list, &of.parsed);
        Self { validation_result, list: of.list.clone(), parsed: of.parsed.clone(), allowed: OnceLock::new() }
    }

    /// Whether the policy, which never changes while a process runs, allows all that it asks for.
    pub fn is_allowed_by(&self, policy: &Policy) -> bool {
        let is_allowed = |config| policy::violations(policy, &self.list, config).is_empty();
        *self.allowed.get_or_init(|| self.parsed.config.as_ref().is_none_or(is_allowed))
    }
}
