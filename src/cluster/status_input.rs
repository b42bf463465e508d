//! The objects of a namespace's lists → the status input for each list. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::accepted_lists::{AcceptedVersion, newest};
use crate::image_cache::Cache;
use crate::image_cache::ledger::Ledger;
use crate::naming::labels;
use crate::plan::validation_result::data_hash;
use crate::plan::{Generation, SlimDaemonSet, versions};
use crate::status::{ListInput, ListState};

/// The objects of all lists, from the watches or from the API server.
#[derive(Debug)]
pub struct Objects<'a> {
    /// ConfigMaps, by name.
    pub config_maps: BTreeMap<String, &'a ConfigMap>,
    /// The accepted versions of lists.
    pub accepted: Vec<Arc<AcceptedVersion>>,
    /// The DaemonSets of lists.
    pub daemon_sets: Vec<&'a SlimDaemonSet>,
    /// The ImageCaches of lists; none if they may not be read.
    pub image_caches: Vec<Cache>,
}

/// What belongs to one list.
#[derive(Default)]
struct OfList<'a> {
    config_map: Option<&'a ConfigMap>,
    accepted: Vec<Arc<AcceptedVersion>>,
    daemon_sets: Vec<&'a SlimDaemonSet>,
    image_caches: Vec<Cache>,
}

impl Objects<'_> {
    /// Every list that exists or has a history, by name. `is_list` decides which ConfigMaps are lists even without a history.
    pub fn lists(&self, is_list: impl Fn(&ConfigMap) -> bool) -> Vec<ListInput> {
        let existing = self.config_maps.iter().filter(|(_, config_map)| is_list(config_map)).map(|(name, _)| name);
        let kept = self.accepted.iter().map(|version| &version.revision.list.name);
        let names: BTreeSet<&String> = existing.chain(kept).collect();
        let accepted = by(&self.accepted, |version| Some(&version.revision.list.name));
        let daemon_sets = by(&self.daemon_sets, |daemon_set| daemon_set.labels().get(labels::LIST));
        let image_caches = by(&self.image_caches, |cache| Some(&cache.list));
        let of = |name: &String| {
            let label = labels::list_value(name);
            let of_list = OfList {
                config_map: self.config_maps.get(name).copied(),
                accepted: accepted.get(name).into_iter().flatten().map(|version| Arc::clone(version)).collect(),
                daemon_sets: daemon_sets.get(&label).into_iter().flatten().map(|it| **it).collect(),
                image_caches: image_caches.get(&label).into_iter().flatten().map(|cache| (*cache).clone()).collect(),
            };
            of_list.input(name)
        };
        names.into_iter().map(of).collect()
    }
}

/// Objects by the list that they belong to, so that they are gone through once and not for each list.
fn by<'o, T>(objects: &'o [T], list: impl Fn(&'o T) -> Option<&'o String>) -> BTreeMap<&'o String, Vec<&'o T>> {
    let mut by: BTreeMap<&String, Vec<&T>> = BTreeMap::new();
    for object in objects {
        if let Some(list) = list(object) {
            by.entry(list).or_default().push(object);
        }
    }
    by
}

impl OfList<'_> {
    fn input(self, name: &str) -> ListInput {
        let newest = newest(&self.accepted);
        let config = newest.and_then(|newest| newest.config().cloned());
        let revisions = self.accepted.iter().map(|version| &version.revision);
        ListInput {
            state: self.config_map.map_or(ListState::Missing, state),
            problems: self.config_map.map_or_else(Vec::new, problems),
            resource_version: self.config_map.and_then(ResourceExt::resource_version),
            refresh_request: self
                .config_map
                .and_then(|it| labels::refresh_request(it.annotations()))
                .map(str::to_owned),
            accepted_at: newest.filter(|_| config.is_some()).and_then(|newest| newest.revision.created),
            config,
            data_hash: newest.map(|newest| data_hash(&newest.revision.list.data)),
            generations: self.daemon_sets.iter().filter_map(|it| Generation::from_daemon_set(it)).collect(),
            ledger: versions::newest_ledger(revisions).and_then(Ledger::from_text),
            image_caches: self.image_caches,
            name: name.to_owned(),
        }
    }
}

/// The state that the controller has written on a list.
pub fn state(list: &ConfigMap) -> ListState {
    let hash = data_hash(&list.data.clone().unwrap_or_default());
    if list.annotations().get(labels::DATA_HASH) != Some(&hash) {
        return ListState::NotValidated;
    }
    match list.labels().get(labels::STATE).map(String::as_str) {
        Some("accepted") => ListState::Accepted,
        Some("rejected") => ListState::Rejected,
        Some("empty") => ListState::Empty,
        _ => ListState::NotValidated,
    }
}

fn problems(list: &ConfigMap) -> Vec<String> {
    let problems = list.annotations().get(labels::PROBLEMS);
    problems.into_iter().flat_map(|lines| lines.lines()).map(str::to_owned).collect()
}
