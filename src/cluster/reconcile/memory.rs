//! What a worker remembers between two reconciles.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::parsed_list::ParsedList;
use super::unsettled::Unsettled;
use crate::cluster::accepted_lists::AcceptedLists;
use crate::cluster::snapshot::Snapshot;
use crate::list::{self, ListData, Policy};
use crate::messages::lasting::Lasting;
use crate::plan::refusals::CHECK_AGAIN;

/// What a worker remembers between two reconciles, only to save work and reports: the cluster holds everything that decisions depend on. The
/// exceptions are the times of the last edits, of the list and of workloads, from which the wait for further edits is counted.
#[derive(Debug, Default)]
pub struct Memory {
    /// The list as it was written last.
    written: Option<Arc<ParsedList>>,
    /// When the list was edited last.
    pub edited_at: Option<Timestamp>,
    /// What was found in workloads that have just changed.
    pub unsettled: Unsettled,
    /// When a dry run last succeeded of the pods that a DaemonSet lacks, by its name.
    pub accepted_pods: HashMap<String, Timestamp>,
    /// How long deciding has kept a processor busy since that was asked.
    pub cost: Duration,
    /// What was reported as waiting, also of ImageCaches, and why ImageCaches cannot be managed.
    pub lasting: Lasting,
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
    pub fn parse_written(&mut self, list: ListData, policy: &Policy, accepted: &AcceptedLists) -> Arc<ParsedList> {
        let mut written = match self.written.take() {
            Some(known) if *known.list == list => known,
            before => {
                self.edited_at = before.map(|_| Timestamp::now()).or(self.edited_at);
                let parsed = list::parse_with_policy(&list, policy);
                Arc::new(ParsedList::new(Arc::new(list), parsed))
            }
        };
        // It may have been accepted since it was parsed.
        let version = accepted.accepted_as(&written.list);
        if let (Some(own), Some(version)) = (Arc::get_mut(&mut written), version) {
            own.share(&version);
        }
        Arc::clone(self.written.insert(written))
    }

    /// Forgets what was found of DaemonSets that are no longer in the cluster.
    pub fn forget_all_but(&mut self, seen: &Snapshot) {
        self.accepted_pods.retain(|name, _| seen.generations.iter().any(|generation| generation.name == *name));
    }
}
