//! The watches: what the cluster says, and which list it concerns.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ApiResource;
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::observed::{Observed, SharedCoverage};
use super::surroundings::Installation;
use crate::coverage::{Coverage, Node, SlimNode, SlimPod};
use crate::list::IMAGE_LIST_LABEL;
use crate::plan::labels;

/// What a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// One list, by the value of its label.
    List(String),
    /// All lists.
    Everything,
}

/// How many watches have not seen the cluster as a whole yet.
#[derive(Clone, Debug, Default)]
pub struct Outstanding(Arc<AtomicUsize>);

impl Outstanding {
    /// Whether every watch has seen the cluster as a whole.
    pub fn none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    fn one_more(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn one_less(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Starts all watches on `tasks`; every change is told on `changed`.
pub fn start(
    client: &Client,
    installation: &Installation,
    may_read_nodes: bool,
    changed: &UnboundedSender<Changed>,
    tasks: &mut JoinSet<()>,
) -> (Observed, Outstanding) {
    let mut watches = Watches { changed: changed.clone(), outstanding: Outstanding::default(), tasks };
    let namespace = installation.namespace.as_str();
    let config_maps = || Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let labelled = watcher::Config::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
    let named =
        installation.config_maps.iter().map(|name| watcher::Config::default().fields(&format!("metadata.name={name}")));
    let lists = std::iter::once(labelled).chain(named).map(|config| watches.lists(config_maps(), config)).collect();
    let ours = watcher::Config::default().labels(labels::LIST);
    let observed = Observed {
        lists,
        daemon_sets: watches.daemon_sets(Api::namespaced(client.clone(), namespace), ours.clone()),
        nodes: may_read_nodes.then(|| watches.nodes(Api::all_with(client.clone(), &node_resource()), node_resource())),
        coverage: watches.pods(Api::namespaced_with(client.clone(), namespace, &pod_resource()), ours),
    };
    (observed, watches.outstanding)
}

fn pod_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

fn node_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Node>(&())
}

struct Watches<'t> {
    changed: UnboundedSender<Changed>,
    outstanding: Outstanding,
    tasks: &'t mut JoinSet<()>,
}

impl Watches<'_> {
    fn lists(&mut self, api: Api<ConfigMap>, config: watcher::Config) -> Store<ConfigMap> {
        let (store, writer) = store();
        let stream = reflector(writer, watcher(api, config));
        self.follow("image lists", stream, |event| {
            of(event, |list: &ConfigMap| Some(Changed::List(labels::list_value(&list.name_any()))))
        });
        store
    }

    fn daemon_sets(
        &mut self,
        api: Api<PartialObjectMeta<DaemonSet>>,
        config: watcher::Config,
    ) -> Store<PartialObjectMeta<DaemonSet>> {
        let (store, writer) = store();
        let stream = reflector(writer, watcher(api, config));
        self.follow("DaemonSets", stream, |event| {
            of(event, |daemon_set: &PartialObjectMeta<DaemonSet>| list_of(&daemon_set.metadata))
        });
        store
    }

    fn nodes(&mut self, api: Api<SlimNode>, resource: ApiResource) -> Store<SlimNode> {
        let writer = Writer::new(resource);
        let store = writer.as_reader();
        // Nodes report themselves every few seconds; only what decides where pods belong is kept.
        let slim = watcher(api, watcher::Config::default())
            .map_ok(|event| event.modify(|node| node.metadata.managed_fields = None));
        let stream = reflector(writer, slim);
        let mut known: HashMap<String, Node> = HashMap::new();
        self.follow("nodes", stream, move |event| match event {
            Event::Apply(node) | Event::InitApply(node) => {
                let new = Node::from(node);
                let old = known.insert(new.name.clone(), new.clone());
                (old.as_ref() != Some(&new)).then_some(Changed::Everything)
            }
            Event::Delete(node) => known.remove(&node.name_any()).map(|_| Changed::Everything),
            Event::Init | Event::InitDone => Some(Changed::Everything),
        });
        store
    }

    fn pods(&mut self, api: Api<SlimPod>, config: watcher::Config) -> SharedCoverage {
        let shared = SharedCoverage::default();
        let coverage = shared.clone();
        let mut listing = Coverage::default();
        self.follow("pods", watcher(api, config), move |event| {
            match event {
                // While everything is listed anew, the old picture stands until the new one is whole.
                Event::Init => listing = Coverage::default(),
                Event::InitApply(pod) => listing.apply(pod),
                Event::InitDone => *coverage.lock() = std::mem::take(&mut listing),
                Event::Apply(pod) => coverage.lock().apply(pod),
                Event::Delete(pod) => coverage.lock().delete(pod),
            }
            of(event, |pod: &SlimPod| list_of(&pod.metadata))
        });
        shared
    }

    /// Follows one watch for ever. Errors are told once until the watch works again, and tried again with a backoff.
    fn follow<K, S, F>(&mut self, what: &'static str, stream: S, mut concerns: F)
    where
        K: Send + 'static,
        S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        F: FnMut(&Event<K>) -> Option<Changed> + Send + 'static,
    {
        let (changed, outstanding) = (self.changed.clone(), self.outstanding.clone());
        outstanding.one_more();
        self.tasks.spawn(async move {
            let mut stream = pin!(stream.default_backoff());
            let (mut complete, mut failing) = (false, false);
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => {
                        failing = false;
                        let concerned = concerns(&event);
                        if matches!(event, Event::InitDone) && !complete {
                            complete = true;
                            outstanding.one_less();
                        }
                        concerned.into_iter().for_each(|concerned| drop(changed.send(concerned)));
                    }
                    Err(error) if failing => debug!(watch = what, %error, "still failing"),
                    Err(error) => {
                        failing = true;
                        warn!(watch = what, %error, "cannot watch {what}; what is warm stays warm, and this is tried again");
                    }
                }
            }
        });
    }
}

/// What an event concerns: one object's list, or everything once a listing is complete.
fn of<K>(event: &Event<K>, list: impl Fn(&K) -> Option<Changed>) -> Option<Changed> {
    match event {
        Event::Apply(object) | Event::Delete(object) => list(object),
        Event::InitDone => Some(Changed::Everything),
        Event::Init | Event::InitApply(_) => None,
    }
}

fn list_of(metadata: &ObjectMeta) -> Option<Changed> {
    metadata.labels.as_ref()?.get(labels::LIST).cloned().map(Changed::List)
}
