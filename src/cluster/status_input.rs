//! The objects of a namespace's lists → the status input for each list. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use crate::image_cache::Cache;
use crate::image_cache::ledger::Ledger;
use crate::list::parse_accepted;
use crate::naming::labels;
use crate::plan::validation_result::data_hash;
use crate::plan::versions::{self, Revision};
use crate::plan::{Generation, SlimDaemonSet};
use crate::status::{ListInput, ListState};

/// The objects of all lists, from the watches or from the API server.
#[derive(Debug)]
pub struct Objects<'a> {
    /// ConfigMaps, by name.
    pub config_maps: BTreeMap<String, &'a ConfigMap>,
    /// The accepted versions of lists.
    pub revisions: Vec<Revision>,
    /// The DaemonSets of lists.
    pub daemon_sets: Vec<&'a SlimDaemonSet>,
    /// The ImageCaches of lists; none if they may not be read.
    pub image_caches: Vec<Cache>,
}

impl Objects<'_> {
    /// Every list that exists or has a history, by name. `is_list` decides which ConfigMaps are lists even without a history.
    pub fn lists(&self, is_list: impl Fn(&ConfigMap) -> bool) -> Vec<ListInput> {
        let existing = self.config_maps.iter().filter(|(_, config_map)| is_list(config_map)).map(|(name, _)| name);
        let kept = self.revisions.iter().map(|revision| &revision.list.name);
        let names: BTreeSet<&String> = existing.chain(kept).collect();
        names.into_iter().map(|name| self.list(name)).collect()
    }

    fn list(&self, name: &str) -> ListInput {
        let label = labels::list_value(name);
        let own: Vec<Revision> = self.revisions.iter().filter(|revision| revision.list.name == name).cloned().collect();
        let is_of_list = |daemon_set: &&&SlimDaemonSet| daemon_set.labels().get(labels::LIST) == Some(&label);
        let config_map = self.config_maps.get(name).copied();
        let newest = versions::newest(&own);
        let config = newest.and_then(|newest| parse_accepted(&newest.list).config);
        ListInput {
            state: config_map.map_or(ListState::Missing, state),
            problems: config_map.map_or_else(Vec::new, problems),
            resource_version: config_map.and_then(ResourceExt::resource_version),
            refresh_request: config_map.and_then(|it| labels::refresh_request(it.annotations())).map(str::to_owned),
            accepted_at: newest.filter(|_| config.is_some()).and_then(|newest| newest.created),
            config,
            data_hash: newest.map(|newest| data_hash(&newest.list.data)),
            generations: self
                .daemon_sets
                .iter()
                .filter(is_of_list)
                .filter_map(|it| Generation::from_daemon_set(it))
                .collect(),
            image_caches: self.image_caches.iter().filter(|cache| cache.list == label).cloned().collect(),
            ledger: versions::newest_ledger(&own).and_then(Ledger::from_text),
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
