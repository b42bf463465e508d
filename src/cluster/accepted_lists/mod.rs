//! The accepted versions of all lists, for all who need them: each is stored and parsed once per process, whatever the number of lists.
//!
//! - [`version`]: an accepted version, and what it means
//! - [`table`]: what is known of them, and which lists share a name
//! - [`record`]: what the watch and this process's own writes add to it

mod record;
mod table;
#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use version::{AcceptedVersion, newest};

use self::table::AcceptedTable;
use crate::list::config::GateTaints;
use crate::list::{Config, ListData};
use crate::naming::labels::list_value;
use crate::plan::name_claims::claims;
use crate::plan::name_index::connected;
use crate::plan::versions::Revision;

/// The accepted versions of all lists. Clones share them.
#[derive(Clone, Default)]
pub struct AcceptedLists {
    table: Arc<Mutex<AcceptedTable>>,
    gate_taints: Arc<GateTaints>,
}

impl AcceptedLists {
    /// None yet. Of their gates, those with these taints will count.
    pub fn new(gate_taints: &GateTaints) -> Self {
        Self { gate_taints: Arc::new(gate_taints.clone()), ..Self::default() }
    }

    /// The versions of the list with that label, as the watch has seen them.
    pub fn of(&self, label: &str) -> Vec<Revision> {
        let table = self.lock();
        table.lists.get(label).into_iter().flatten().map(|(_, version)| version.revision.clone()).collect()
    }

    /// The versions of all lists. What this process has just written counts.
    pub fn all(&self) -> Vec<Arc<AcceptedVersion>> {
        let table = self.lock();
        let written = table.ahead.values().map(|ahead| &ahead.version);
        let is_written_again =
            |label: &str, name: &str| table.ahead.get(label).is_some_and(|ahead| ahead.version.revision.name == name);
        let seen = table.lists.iter().flat_map(|(label, versions)| {
            versions.iter().filter(|(name, _)| !is_written_again(label, name)).map(|(_, version)| version)
        });
        written.chain(seen).cloned().collect()
    }

    /// The labels of all lists that have a version.
    pub fn labels(&self) -> Vec<String> {
        self.lock().lists.keys().cloned().collect()
    }

    /// The newest version of each list, by label. What this process has just written counts.
    pub fn newest(&self) -> Vec<(String, Arc<AcceptedVersion>)> {
        let table = self.lock();
        let labels: BTreeSet<&String> = table.lists.keys().chain(table.ahead.keys()).collect();
        let newest = labels.into_iter().filter_map(|label| Some((label.clone(), table.newest(label)?)));
        newest.collect()
    }

    /// A version that was just read. It is parsed again only if it is not known.
    pub fn version(&self, revision: &Revision) -> Arc<AcceptedVersion> {
        let table = self.lock();
        let mut known = table.known(&list_value(&revision.list.name), &revision.name);
        let same = known.find(|known| known.revision.uid == revision.uid && known.revision.list == revision.list);
        same.cloned().unwrap_or_else(|| Arc::new(AcceptedVersion::new(revision.clone(), &self.gate_taints)))
    }

    /// The newest version of a list, if it was accepted in this form.
    pub fn accepted_as(&self, list: &Arc<ListData>) -> Option<Arc<AcceptedVersion>> {
        let newest = self.lock().newest(&list_value(&list.name))?;
        (newest.revision.list == *list).then_some(newest)
    }

    /// The lists in effect that decide whether the list with that label may have the names that it asks for. If there are any, a
    /// change of their names is about this list too from now on ([`Self::record`]).
    pub fn rivals(&self, label: &str, config: &Config) -> Vec<Arc<AcceptedVersion>> {
        let mut table = self.lock();
        let prefixes: Vec<String> = claims(config).map(|(_, prefix)| prefix).collect();
        let asked = prefixes.iter().map(|prefix| Arc::from(prefix.as_str()));
        let lists = connected(&[&table.in_force, &table.written], asked);
        let rivals: Vec<_> = lists.iter().filter(|it| ***it != *label).filter_map(|it| table.newest(it)).collect();
        match rivals.is_empty() {
            true => table.waiting.remove(label),
            false => table.waiting.set(label, prefixes),
        };
        rivals
    }

    /// Forgets that the list with that label waits for a name.
    pub fn waits_no_longer(&self, label: &str) {
        self.lock().waiting.remove(label);
    }

    fn lock(&self) -> MutexGuard<'_, AcceptedTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
