//! One look at everything of a namespace, for commands that look once.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{ConfigMap, Node as FullNode, Pod};
use kube::api::{ApiResource, ListParams, ObjectList};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

use super::Error;
use super::objects::Objects;
use crate::coverage::{Coverage, Node, Sizes, SlimNode, SlimPod};
use crate::list::IMAGE_LIST_LABEL;
use crate::plan::history::Revision;
use crate::plan::labels;
use crate::status::Facts;

/// Objects per answer: so the API server never has to put thousands of pods into one.
const PAGE: u32 = 500;

/// Reads everything that a report is made from; `only` is the name of the one list that is wanted. Nodes that may not be read
/// are left out.
///
/// # Errors
/// All that could not be read, so that rights can be granted at once.
pub async fn look(client: &Client, namespace: &str, only: Option<&str>) -> Result<(Facts, Coverage), Vec<Error>> {
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
    let (mut coverage, mut sizes) = (Coverage::default(), Sizes::default());
    pods.iter().for_each(|pod| coverage.apply(pod));
    nodes.iter().flatten().for_each(|node| sizes.apply(node));
    let revisions: Vec<Revision> = revisions.iter().filter_map(Revision::from_object).collect();
    let objects = Objects {
        config_maps: config_maps.iter().map(|list| (list.name_any(), list)).collect(),
        revisions,
        daemon_sets: daemon_sets.iter().map(|daemon_set| &daemon_set.metadata).collect(),
    };
    let mut lists = objects.lists(is_labelled);
    lists.retain(|list| only.is_none_or(|only| list.name == only));
    let facts = Facts {
        namespace: namespace.to_owned(),
        lists,
        nodes: nodes.map(|nodes| nodes.iter().map(Node::from).collect()),
        sizes,
        now: Timestamp::now(),
    };
    Ok((facts, coverage))
}

fn is_labelled(list: &ConfigMap) -> bool {
    list.labels().get(IMAGE_LIST_LABEL).is_some_and(|value| value == "true")
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
