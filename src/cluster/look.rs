//! One look at everything of a namespace, for commands that look once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{ConfigMap, Node as FullNode, Pod};
use kube::api::{ApiResource, ListParams, ObjectList};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

use super::Error;
use crate::coverage::{Coverage, Node, SlimNode, SlimPod};
use crate::list::{IMAGE_LIST_LABEL, parse};
use crate::plan::history::{self, Revision};
use crate::plan::verdict::data_hash;
use crate::plan::{Generation, labels};
use crate::status::{Facts, ListFacts, ListState};

/// Objects per answer: so the API server never has to put thousands of pods into one.
const PAGE: u32 = 500;

/// Reads everything that a report is made from; `only` is the name of the one list that is wanted. Nodes that may not be read
/// are left out.
///
/// # Errors
/// All that could not be read, so that rights can be granted at once.
pub async fn look(client: &Client, namespace: &str, only: Option<&str>) -> Result<Facts, Vec<Error>> {
    let of_lists = ListParams::default().labels(labels::LIST);
    let revisions = ListParams::default().labels(labels::REVISIONS_OF_LISTS);
    let pods = ApiResource::erase::<Pod>(&());
    let nodes = ApiResource::erase::<FullNode>(&());
    let (config_maps, revisions, daemon_sets, pods, nodes) = futures::join!(
        all(Api::<ConfigMap>::namespaced(client.clone(), namespace), "ConfigMaps", ListParams::default()),
        all(Api::<ControllerRevision>::namespaced(client.clone(), namespace), "ControllerRevisions", revisions),
        all(Api::<PartialObjectMeta<DaemonSet>>::namespaced(client.clone(), namespace), "DaemonSets", of_lists.clone()),
        all(Api::<SlimPod>::namespaced_with(client.clone(), namespace, &pods), "pods", of_lists),
        all(Api::<SlimNode>::all_with(client.clone(), &nodes), "nodes", ListParams::default()),
    );
    let mut errors = Vec::new();
    let (config_maps, revisions) = (good(config_maps, &mut errors), good(revisions, &mut errors));
    let (daemon_sets, pods) = (good(daemon_sets, &mut errors), good(pods, &mut errors));
    let nodes = match nodes {
        Err(Error::Forbidden { .. }) => None,
        nodes => Some(good(nodes, &mut errors)),
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut coverage = Coverage::default();
    pods.iter().for_each(|pod| coverage.apply(pod));
    let revisions: Vec<Revision> = revisions.iter().filter_map(Revision::from_object).collect();
    let mut lists = lists(&config_maps, &revisions, &daemon_sets);
    lists.retain(|list| only.is_none_or(|only| list.name == only));
    Ok(Facts {
        namespace: namespace.to_owned(),
        lists,
        coverage,
        nodes: nodes.map(|nodes| nodes.iter().map(Node::from).collect()),
        now: Timestamp::now(),
    })
}

async fn all<K>(api: Api<K>, what: &str, parameters: ListParams) -> Result<Vec<K>, Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut found = Vec::new();
    let mut parameters = parameters.limit(PAGE);
    loop {
        let page: ObjectList<K> =
            api.list(&parameters).await.map_err(|error| Error::new(format!("list {what}"), error))?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn good<T: Default>(result: Result<T, Error>, errors: &mut Vec<Error>) -> T {
    result.unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}

/// Every list that there is or was, by name.
fn lists(
    config_maps: &[ConfigMap],
    revisions: &[Revision],
    daemon_sets: &[PartialObjectMeta<DaemonSet>],
) -> Vec<ListFacts> {
    let by_name: BTreeMap<String, &ConfigMap> = config_maps.iter().map(|list| (list.name_any(), list)).collect();
    let labelled = |list: &ConfigMap| list.labels().get(IMAGE_LIST_LABEL).is_some_and(|value| value == "true");
    let mut names: BTreeSet<String> =
        by_name.iter().filter(|(_, list)| labelled(list)).map(|(name, _)| name.clone()).collect();
    names.extend(revisions.iter().map(|revision| revision.list.name.clone()));
    let list = |name: &String| {
        let label = labels::list_value(name);
        let own: Vec<Revision> = revisions.iter().filter(|revision| revision.list.name == *name).cloned().collect();
        let generations = daemon_sets.iter().filter(|it| it.labels().get(labels::LIST) == Some(&label));
        let config_map = by_name.get(name).copied();
        ListFacts {
            state: config_map.map_or(ListState::Missing, state),
            problems: config_map.map_or_else(Vec::new, problems),
            config: history::newest(&own).and_then(|newest| parse(&newest.list).config),
            generations: generations.filter_map(|it| Generation::from_metadata(&it.metadata)).collect(),
            name: name.clone(),
        }
    };
    names.iter().map(list).collect()
}

fn state(list: &ConfigMap) -> ListState {
    let hash = data_hash(&list.data.clone().unwrap_or_default());
    if list.annotations().get(labels::DATA_HASH) != Some(&hash) {
        return ListState::NotJudged;
    }
    match list.labels().get(labels::STATE).map(String::as_str) {
        Some("accepted") => ListState::Accepted,
        Some("rejected") => ListState::Rejected,
        _ => ListState::NotJudged,
    }
}

fn problems(list: &ConfigMap) -> Vec<String> {
    let problems = list.annotations().get(labels::PROBLEMS);
    problems.into_iter().flat_map(|lines| lines.lines()).map(str::to_owned).collect()
}
