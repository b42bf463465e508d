//! What the watch of ControllerRevisions, and this process's own writes, say of accepted versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

use super::AcceptedLists;
use super::table::{AcceptedTable, Ahead};
use super::version::{AcceptedVersion, newest};
use crate::cluster::affected_lists::Changed;
use crate::list::Config;
use crate::naming::labels::{LIST, list_value};
use crate::plan::name_claims::claims;
use crate::plan::versions::Revision;

impl AcceptedLists {
    /// Records what the watch saw. Returns which lists it concerns: the one that it is about, and those that share a name with it,
    /// which may have waited for this name.
    pub fn record(&self, event: &Event<ControllerRevision>) -> Vec<Changed> {
        match event {
            Event::Init => self.lock().begin_listing(),
            Event::InitApply(object) => self.list_one(object),
            Event::InitDone => return self.end_listing(),
            Event::Apply(object) => return self.apply(object),
            Event::Delete(object) => return self.delete(object),
        }
        Vec::new()
    }

    /// Records an accepted version that was written or read, before the watch sees it: from now on, its names are taken.
    /// `config` is what it means, if that is known.
    pub fn record_ahead(&self, object: &ControllerRevision, config: Option<Arc<Config>>) {
        let Some(revision) = Revision::from_object(object) else { return };
        let label = list_value(&revision.list.name);
        if self.lock().is_outdated(&label, &revision) {
            return;
        }
        let version = match config {
            Some(config) => AcceptedVersion::parsed(revision, &self.gate_taints, config),
            None => AcceptedVersion::new(revision, &self.gate_taints),
        };
        let prefixes: Vec<String> =
            version.config().into_iter().flat_map(|config| claims(config).map(|(_, prefix)| prefix)).collect();
        let mut table = self.lock();
        if !table.is_outdated(&label, &version.revision) {
            table.written.set(&label, prefixes);
            table.ahead.insert(label, Ahead { version: Arc::new(version), is_relisted: false });
        }
    }

    fn list_one(&self, object: &ControllerRevision) {
        let Some(version) = self.version_of(object) else { return };
        let label = list_value(&version.revision.list.name);
        self.lock().listing.entry(label).or_default().insert(version.revision.name.clone(), version);
    }

    fn end_listing(&self) -> Vec<Changed> {
        let listed: Vec<_> =
            self.lock().listing.values().filter_map(|versions| newest(versions.values())).cloned().collect();
        // Parsed before the table is locked, which every worker needs.
        for newest in listed {
            newest.config();
        }
        self.lock().end_listing()
    }

    fn apply(&self, object: &ControllerRevision) -> Vec<Changed> {
        let Some(version) = self.version_of(object) else { return self.delete(object) };
        version.config();
        let label = list_value(&version.revision.list.name);
        let mut table = self.lock();
        table.lists.entry(label.clone()).or_default().insert(version.revision.name.clone(), version);
        let mut concerned = table.settle(&label);
        concerned.push(Changed::List(label));
        concerned
    }

    fn delete(&self, object: &ControllerRevision) -> Vec<Changed> {
        let mut table = self.lock();
        table.delete(object.uid().unwrap_or_default());
        let name = object.name_any();
        let labelled = object.labels().get(LIST).filter(|label| table.has(label, &name)).cloned();
        // The label may have been changed; the list is the one that the data names.
        let label = labelled.or_else(|| table.lists.keys().find(|label| table.has(label, &name)).cloned());
        let Some(label) = label.or_else(|| object.labels().get(LIST).cloned()) else { return Vec::new() };
        if let Some(versions) = table.lists.get_mut(&label) {
            versions.remove(&name);
            if versions.is_empty() {
                table.lists.remove(&label);
            }
        }
        let mut concerned = table.settle(&label);
        concerned.push(Changed::List(label));
        concerned
    }

    /// The version that an object is. What it means is taken over if it is known already.
    fn version_of(&self, object: &ControllerRevision) -> Option<Arc<AcceptedVersion>> {
        let revision = Revision::from_object(object)?;
        let label = list_value(&revision.list.name);
        let known = self.lock().known(&label, &revision.name).find_map(|known| known.noted(&revision));
        Some(Arc::new(known.unwrap_or_else(|| AcceptedVersion::new(revision, &self.gate_taints))))
    }
}

impl AcceptedTable {
    /// Whether a version is known already, or was followed by another one, or is deleted.
    fn is_outdated(&self, label: &str, revision: &Revision) -> bool {
        let is_older = self.newest(label).is_some_and(|newest| newest.revision.number >= revision.number);
        is_older || self.deleted.contains(&revision.uid)
    }

    fn has(&self, label: &str, name: &str) -> bool {
        self.lists.get(label).is_some_and(|versions| versions.contains_key(name))
    }

    fn begin_listing(&mut self) {
        self.listing.clear();
        self.ahead.values_mut().for_each(|ahead| ahead.is_relisted = true);
    }

    /// During a listing, what was known before stays in use until the listing is complete.
    fn end_listing(&mut self) -> Vec<Changed> {
        let before = std::mem::replace(&mut self.lists, std::mem::take(&mut self.listing));
        let gone: Vec<String> =
            self.ahead.iter().filter(|(_, ahead)| ahead.is_relisted).map(|(label, _)| label.clone()).collect();
        for label in gone {
            self.ahead.remove(&label);
            self.written.remove(&label);
        }
        let labels: BTreeSet<String> = before.into_keys().chain(self.lists.keys().cloned()).collect();
        labels.iter().for_each(|label| drop(self.settle(label)));
        vec![Changed::Everything]
    }
}
