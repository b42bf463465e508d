//! What is known of the accepted versions, and which lists share a name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::version::{AcceptedVersion, newest};
use crate::cluster::affected_lists::Changed;
use crate::plan::name_claims::claims;
use crate::plan::name_index::{NameIndex, connected};

/// How many deleted versions are remembered: more than are deleted while a request is answered.
const DELETED: usize = 1000;

/// The versions of one list, by the names of their ControllerRevisions.
pub type Versions = BTreeMap<String, Arc<AcceptedVersion>>;

/// What is known of the accepted versions of all lists.
#[derive(Default)]
pub struct AcceptedTable {
    /// As the watch has seen them, by the labels of the lists.
    pub lists: BTreeMap<String, Versions>,
    /// The same for a listing that is not complete yet.
    pub listing: BTreeMap<String, Versions>,
    /// What was written or read and the watch has not seen yet, by label.
    pub ahead: BTreeMap<String, Ahead>,
    /// The UIDs of versions that were deleted last.
    pub deleted: VecDeque<String>,
    /// The names of the lists in effect, as the watch has seen them.
    pub in_force: NameIndex,
    /// The names of those in `ahead`.
    pub written: NameIndex,
    /// The names of lists that may have to wait for others to release them.
    pub waiting: NameIndex,
}

/// A version that the watch has not seen yet.
pub struct Ahead {
    pub version: Arc<AcceptedVersion>,
    /// Whether a listing began after it was written. If it is not in there, it is gone.
    pub is_relisted: bool,
}

impl AcceptedTable {
    /// The newest version of a list.
    pub fn newest(&self, label: &str) -> Option<Arc<AcceptedVersion>> {
        self.ahead.get(label).map(|ahead| &ahead.version).or_else(|| self.newest_seen(label)).cloned()
    }

    /// The newest version of a list that the watch has seen.
    fn newest_seen(&self, label: &str) -> Option<&Arc<AcceptedVersion>> {
        newest(self.lists.get(label)?.values())
    }

    /// All that is known under the name of a ControllerRevision.
    pub fn known<'t>(&'t self, label: &str, name: &'t str) -> impl Iterator<Item = &'t Arc<AcceptedVersion>> + use<'t> {
        let ahead = self.ahead.get(label).map(|ahead| &ahead.version);
        let seen = self.lists.get(label).and_then(|versions| versions.get(name));
        ahead.into_iter().chain(seen).filter(move |version| version.revision.name == name)
    }

    /// Puts the names of a list right after the watch has seen another version of it, or none any more. Returns which lists that
    /// concerns: those that share a name with it.
    pub fn settle(&mut self, label: &str) -> Vec<Changed> {
        let mut changed = self.settle_ahead(label);
        let config = self.newest_seen(label).and_then(|newest| newest.config().cloned());
        let prefixes = config.iter().flat_map(|config| claims(config).map(|(_, prefix)| prefix));
        changed.extend(self.in_force.set(label, prefixes));
        self.forget_older(label);
        let concerned = connected(&[&self.in_force, &self.written, &self.waiting], changed);
        concerned.into_iter().filter(|it| **it != *label).map(|it| Changed::List(it.as_ref().to_owned())).collect()
    }

    /// Forgets what was written before the watch, once the watch has seen it or something newer.
    fn settle_ahead(&mut self, label: &str) -> BTreeSet<Arc<str>> {
        let Some(ahead) = self.ahead.get(label).map(|ahead| &ahead.version.revision) else { return BTreeSet::new() };
        let seen = self.newest_seen(label).is_some_and(|newest| newest.revision.number >= ahead.number);
        if seen || self.deleted.contains(&ahead.uid) {
            self.ahead.remove(label);
            return self.written.remove(label);
        }
        BTreeSet::new()
    }

    /// Forgets what older versions mean. It is needed only to restore a DaemonSet of theirs.
    fn forget_older(&mut self, label: &str) {
        let Some(versions) = self.lists.get_mut(label) else { return };
        let Some(newest) = newest(versions.values()).map(|newest| newest.revision.name.clone()) else { return };
        for (_, older) in versions.iter_mut().filter(|(name, version)| **name != newest && version.is_parsed()) {
            *older = Arc::new(older.unparsed());
        }
    }

    /// Remembers that a version was deleted.
    pub fn delete(&mut self, uid: String) {
        self.deleted.push_back(uid);
        if self.deleted.len() > DELETED {
            self.deleted.pop_front();
        }
    }
}
