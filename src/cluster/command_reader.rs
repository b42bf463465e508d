//! Reads all lists of a namespace, for commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;

use super::accepted_lists::AcceptedVersion;
use super::image_caches::selector;
use super::pages::{all, fold};
use super::resources;
use super::status_input::Objects;
use crate::coverage::{Coverage, LabelPool, Node, NodeSet, Sizes, SlimNode, SlimPod};
use crate::error::Error;
use crate::image_cache::object::resource;
use crate::image_cache::{Cache, ImageCacheObject};
use crate::list::IMAGE_LIST_LABEL;
use crate::naming::labels;
use crate::plan::SlimDaemonSet;
use crate::plan::versions::{self, Revision};
use crate::status::{ListInput, StatusInput};

/// Reads everything that a report on these namespaces needs; `only` is the name of a list, if no other is wanted. Without the
/// right to read nodes, the report has none.
///
/// # Errors
/// Everything that could not be read, so that all missing rights can be granted at once.
pub async fn read(
    client: &Client,
    namespaces: &[String],
    only: Option<&str>,
) -> Result<Vec<(StatusInput, Coverage)>, Vec<Error>> {
    // On another thread if there is one, because decoding thousands of nodes and pods is most of the work.
    let mut reading = JoinSet::new();
    reading.spawn(nodes(client.clone()));
    let answers = join_all(namespaces.iter().map(|namespace| read_namespace(client, namespace, only)));
    let (nodes, answers) = futures::join!(reading.join_all(), answers);
    let nodes = nodes.into_iter().next().unwrap_or_else(|| unreachable!("one task was spawned"));
    let mut errors = Vec::new();
    let (nodes, sizes) = good(nodes, &mut errors);
    let mut found = Vec::new();
    for (namespace, answer) in namespaces.iter().zip(answers) {
        match answer {
            Ok((lists, coverage)) => {
                let namespace = namespace.clone();
                let (nodes, sizes, now) = (nodes.clone(), sizes.clone(), Timestamp::now());
                found.push((StatusInput { namespace, lists, nodes, sizes, now }, coverage));
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// The namespaces that have lists, or the history of one.
///
/// # Errors
/// If lists may not be read in all namespaces, or the cluster does not answer.
pub async fn namespaces_with_lists(client: &Client) -> Result<Vec<String>, Error> {
    let lists = ListParams::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
    let revisions = ListParams::default().labels(labels::REVISIONS_OF_LISTS);
    let (lists, revisions) = futures::try_join!(
        all(Api::<PartialObjectMeta<ConfigMap>>::all(client.clone()), "ConfigMaps", lists),
        all(Api::<PartialObjectMeta<ControllerRevision>>::all(client.clone()), "ControllerRevisions", revisions),
    )?;
    let names = lists.iter().map(ResourceExt::namespace).chain(revisions.iter().map(ResourceExt::namespace));
    Ok(names.flatten().collect::<BTreeSet<_>>().into_iter().collect())
}

/// A list's ConfigMap; `None` if it does not exist.
///
/// # Errors
/// If it may not be read, or the cluster does not answer.
pub async fn list(client: &Client, namespace: &str, name: &str) -> Result<Option<ConfigMap>, Error> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(|error| Error::new(format!("get the ConfigMap {name}"), error))
}

/// The version of a list that was accepted last; `None` if none was.
///
/// # Errors
/// If it may not be read, or the cluster does not answer.
pub async fn newest_version(client: &Client, namespace: &str, name: &str) -> Result<Option<Revision>, Error> {
    Ok(versions::newest(&versions(client, namespace, name).await?).cloned())
}

/// The accepted versions of a list, in any order.
///
/// # Errors
/// If they may not be read, or the cluster does not answer.
pub async fn versions(client: &Client, namespace: &str, name: &str) -> Result<Vec<Revision>, Error> {
    let api = Api::<ControllerRevision>::namespaced(client.clone(), namespace);
    let of_list = ListParams::default().labels(&versions_of(&labels::list_value(name)));
    let revisions = all(api, "ControllerRevisions", of_list).await?;
    let revisions = revisions.iter().filter_map(Revision::from_object);
    // A label may have been changed: the list is the one that the data names.
    Ok(revisions.filter(|revision| revision.list.name == name).collect())
}

/// Selects the accepted versions of the list with that label.
fn versions_of(list: &str) -> String {
    format!("{}={list},{}", labels::LIST, labels::REVISIONS_OF_LISTS)
}

async fn read_namespace(
    client: &Client,
    namespace: &str,
    only: Option<&str>,
) -> Result<(Vec<ListInput>, Coverage), Vec<Error>> {
    // Everything that belongs to a list has a label with its name.
    let (of_lists, of_revisions) = match only.map(labels::list_value) {
        None => (labels::LIST.to_owned(), labels::REVISIONS_OF_LISTS.to_owned()),
        Some(list) => (format!("{}={list}", labels::LIST), versions_of(&list)),
    };
    let (of_lists, of_revisions) =
        (ListParams::default().labels(&of_lists), ListParams::default().labels(&of_revisions));
    let (config_maps, daemon_sets, coverage) = futures::join!(
        config_maps(client, namespace, only, of_revisions),
        all(
            Api::<SlimDaemonSet>::namespaced_with(client.clone(), namespace, &resources::daemon_sets()),
            "DaemonSets",
            of_lists.clone()
        ),
        coverage(client, namespace, of_lists),
    );
    let mut errors = Vec::new();
    let (config_maps, revisions) = config_maps.unwrap_or_else(|more| {
        errors.extend(more);
        Default::default()
    });
    let (daemon_sets, coverage) = (good(daemon_sets, &mut errors), good(coverage, &mut errors));
    if !errors.is_empty() {
        return Err(errors);
    }
    // Most clusters have no ImageCaches, and most users no right to read them. So they are read only if a list has some.
    let image_caches = match revisions.iter().any(|revision| revision.image_caches.is_some()) {
        true => image_caches(client, namespace).await,
        false => Vec::new(),
    };
    // Commands do not know what the controller's arguments allow.
    let gate_taints = Arc::default();
    let objects = Objects {
        config_maps: config_maps.iter().map(|list| (list.name_any(), list)).collect(),
        accepted: revisions
            .into_iter()
            .map(|revision| Arc::new(AcceptedVersion::new(revision, &gate_taints)))
            .collect(),
        daemon_sets: daemon_sets.iter().collect(),
        image_caches,
    };
    let mut lists = objects.lists(is_labelled);
    lists.retain(|list| only.is_none_or(|only| list.name == only));
    Ok((lists, coverage))
}

/// The ImageCaches of a namespace's lists; none if they may not be read.
async fn image_caches(client: &Client, namespace: &str) -> Vec<Cache> {
    let api = Api::<ImageCacheObject>::all_with(client.clone(), &resource());
    let found = all(api, "ImageCaches", ListParams::default().labels(&selector(namespace))).await;
    found.unwrap_or_default().iter().filter_map(Cache::from_object).collect()
}

/// The ConfigMaps that are lists, and the accepted versions of lists. A list that was given to the controller with `--config-map` may
/// have no label, but its accepted versions contain its name. Other ConfigMaps may be large, so they are not read.
async fn config_maps(
    client: &Client,
    namespace: &str,
    only: Option<&str>,
    of_revisions: ListParams,
) -> Result<(Vec<ConfigMap>, Vec<Revision>), Vec<Error>> {
    let labelled = ListParams::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
    let labelled = match only {
        None => labelled,
        Some(name) => labelled.fields(&format!("metadata.name={name}")),
    };
    let (lists, revisions) = futures::join!(
        all(Api::<ConfigMap>::namespaced(client.clone(), namespace), "ConfigMaps", labelled),
        all(Api::<ControllerRevision>::namespaced(client.clone(), namespace), "ControllerRevisions", of_revisions),
    );
    let mut errors = Vec::new();
    let (mut lists, revisions) = (good(lists, &mut errors), good(revisions, &mut errors));
    let revisions: Vec<Revision> = revisions.iter().filter_map(Revision::from_object).collect();
    let known: BTreeSet<String> = lists.iter().map(ResourceExt::name_any).collect();
    let kept: BTreeSet<&str> = revisions.iter().map(|revision| revision.list.name.as_str()).collect();
    let unlabelled = kept.into_iter().filter(|name| !known.contains(*name));
    match try_join_all(unlabelled.map(|name| list(client, namespace, name))).await {
        Ok(found) => lists.extend(found.into_iter().flatten()),
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok((lists, revisions)) } else { Err(errors) }
}

/// What the pods of lists hold.
async fn coverage(client: &Client, namespace: &str, of_lists: ListParams) -> Result<Coverage, Error> {
    let api = Api::<SlimPod>::namespaced_with(client.clone(), namespace, &resources::pods());
    fold(api, "pods", of_lists, |coverage: &mut Coverage, pod| coverage.apply(&pod)).await
}

/// The nodes and the sizes of images on them; neither if nodes may not be read.
async fn nodes(client: Client) -> Result<(Option<NodeSet>, Sizes), Error> {
    let api = Api::<SlimNode>::all_with(client, &resources::nodes());
    let take = |(nodes, sizes, labels): &mut (Vec<Node>, Sizes, LabelPool), node: SlimNode| {
        sizes.apply(&node);
        nodes.push(Node::sharing(&node, labels));
    };
    match fold(api, "nodes", ListParams::default(), take).await {
        Ok((nodes, sizes, _)) => Ok((Some(nodes.into_iter().collect()), sizes)),
        Err(Error::Forbidden { .. }) => Ok(Default::default()),
        Err(error) => Err(error),
    }
}

fn is_labelled(list: &ConfigMap) -> bool {
    list.labels().get(IMAGE_LIST_LABEL).is_some_and(|value| value == "true")
}

fn good<T: Default>(result: Result<T, Error>, errors: &mut Vec<Error>) -> T {
    result.unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}
