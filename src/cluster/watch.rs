//! The watches: what the cluster says, and which list it concerns.
//!
//! - [`nodes`]: the one watch that the controller can do without
//! - [`daemon_sets`]: those of lists
//! - [`health`]: how a watch is

mod daemon_sets;
mod health;
mod nodes;

use std::pin::pin;

use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
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

pub use health::Kind;
use health::WatchHealth;

use super::edits::Edits;
use super::environment::Installation;
use super::image_caches::ObservedImageCaches;
use super::lease::Leadership;
use super::observed::{Observed, SharedCoverage};
use super::readiness::Readiness;
use crate::coverage::{Coverage, NO_LIST, SlimPod};
use crate::list::IMAGE_LIST_LABEL;
use crate::metrics::Metrics;
use crate::naming::labels;

/// How many pods or DaemonSets to ask for at a time. A pod of 20 images is some 40 kB on its way and several times that while it is
/// decoded, which at the usual 500 is most of the memory that the controller ever needs.
const AT_A_TIME: u32 = 100;

/// What a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// One list, by the value of its label.
    List(String),
    /// The same, and somebody edited the list itself.
    Edited(String),
    /// All lists.
    Everything,
}

/// Who is told of what is seen.
#[derive(Clone)]
pub struct Listeners {
    /// Of every change.
    pub changed: UnboundedSender<Changed>,
    /// Of how the watches are.
    pub readiness: Readiness,
    /// Of images that cannot be pulled.
    pub metrics: Metrics,
    /// Whether this process is the one that counts them.
    pub leadership: Leadership,
}

/// Starts all watches on `tasks`.
pub fn start(
    client: &Client,
    installation: &Installation,
    may_read_nodes: bool,
    listeners: Listeners,
    tasks: &mut JoinSet<()>,
) -> Observed {
    let mut watches = Watches { listeners, tasks };
    let namespace = installation.namespace.as_str();
    let config_maps = || Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let labelled = watcher::Config::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
    let named =
        installation.config_maps.iter().map(|name| watcher::Config::default().fields(&format!("metadata.name={name}")));
    let lists = std::iter::once(labelled).chain(named).map(|config| watches.lists(config_maps(), config)).collect();
    let ours = watcher::Config::default().labels(labels::LIST);
    let revisions = watcher::Config::default().labels(labels::REVISIONS_OF_LISTS);
    let pods = || Api::namespaced_with(client.clone(), namespace, &pod_resource());
    let adoptable = labels::ADOPTABLE_PODS.map(|(key, value)| format!("{key}={value}")).join(",");
    let adoptable = watcher::Config::default().labels(&adoptable).page_size(AT_A_TIME);
    let adoptable_pods =
        watches.pods("pods of kubernetes-image-puller", pods(), adoptable, |_| Some(Changed::Everything));
    let image_caches = ObservedImageCaches::default();
    let changed = watches.listeners.changed.clone();
    watches.tasks.spawn(image_caches.clone().follow(client.clone(), namespace.to_owned(), changed));
    Observed {
        image_caches,
        lists,
        revisions: watches.revisions(Api::namespaced(client.clone(), namespace), revisions),
        daemon_sets: watches.daemon_sets(
            Api::namespaced_with(client.clone(), namespace, &daemon_set_resource()),
            ours.clone().page_size(AT_A_TIME),
        ),
        nodes: may_read_nodes.then(|| watches.nodes(Api::all_with(client.clone(), &node_resource()))),
        tag_check_pods: watches.tag_check_pods(
            pods(),
            watcher::Config::default().labels(&format!("{},{}", labels::LIST, labels::TAG_CHECK)),
        ),
        coverage: watches.pods("pods", pods(), ours.page_size(AT_A_TIME), |pod| list_of(&pod.metadata)),
        other_daemon_sets: watches.other_daemon_sets(Api::namespaced(client.clone(), namespace), &adoptable_pods),
        adoptable_pods,
    }
}

/// Pods, for types that decode only a part of them.
pub fn pod_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

/// DaemonSets, likewise.
pub fn daemon_set_resource() -> ApiResource {
    ApiResource::erase::<DaemonSet>(&())
}

fn node_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Node>(&())
}

impl Listeners {
    fn count_pull_failures(&self, known: &Coverage, pod: &SlimPod) {
        let Some(Changed::List(list)) = list_of(&pod.metadata).filter(|_| self.leadership.holds()) else { return };
        known.new_pull_failures(pod).into_iter().for_each(|reason| self.metrics.pull_failed(&list, reason));
    }
}

struct Watches<'t> {
    listeners: Listeners,
    tasks: &'t mut JoinSet<()>,
}

impl Watches<'_> {
    fn lists(&mut self, api: Api<ConfigMap>, config: watcher::Config) -> Store<ConfigMap> {
        let (store, writer) = store();
        let stream = reflector(writer, watcher(api, config));
        let mut edits = Edits::default();
        self.follow("image lists", stream, move |event| edits.of(event));
        store
    }

    fn revisions(&mut self, api: Api<ControllerRevision>, config: watcher::Config) -> Store<ControllerRevision> {
        let (store, writer) = store();
        let stream = reflector(writer, watcher(api, config));
        self.follow("ControllerRevisions", stream, |event| match event {
            // A name that a list has let go of may be what another one waits for.
            Event::Delete(_) => Some(Changed::Everything),
            _ => of(event, |revision: &ControllerRevision| list_of(&revision.metadata)),
        });
        store
    }

    /// A leftover may be a DaemonSet that is seen after its pods.
    fn other_daemon_sets(
        &mut self,
        api: Api<PartialObjectMeta<DaemonSet>>,
        pods: &SharedCoverage,
    ) -> Store<PartialObjectMeta<DaemonSet>> {
        let (store, writer) = store();
        let stream = reflector(writer, watcher(api, watcher::Config::default().labels(labels::OF_NO_LIST)));
        let pods = pods.clone();
        self.follow("other DaemonSets", stream, move |event| {
            of(event, |daemon_set: &PartialObjectMeta<DaemonSet>| {
                let name = daemon_set.name_any();
                let is_adoptable = pods.lock().pods_of(NO_LIST).any(|pod| *pod.generation == *name);
                is_adoptable.then_some(Changed::Everything)
            })
        });
        store
    }

    fn pods(
        &mut self,
        what: &'static str,
        api: Api<SlimPod>,
        config: watcher::Config,
        concerns: fn(&SlimPod) -> Option<Changed>,
    ) -> SharedCoverage {
        let shared = SharedCoverage::default();
        let coverage = shared.clone();
        let mut listing = Coverage::default();
        let listeners = self.listeners.clone();
        self.follow(what, watcher(api, config), move |event| {
            match event {
                // While everything is listed anew, the old picture stands until the new one is whole.
                Event::Init => listing = Coverage::default(),
                Event::InitApply(pod) => listing.apply(pod),
                Event::InitDone => coverage.lock().replace(std::mem::take(&mut listing)),
                Event::Apply(pod) => {
                    let mut coverage = coverage.lock();
                    listeners.count_pull_failures(&coverage, pod);
                    coverage.apply(pod);
                }
                Event::Delete(pod) => coverage.lock().delete(pod),
            }
            of(event, concerns)
        });
        shared
    }

    fn tag_check_pods(&mut self, api: Api<SlimPod>, config: watcher::Config) -> Store<SlimPod> {
        let writer = Writer::new(pod_resource());
        let store = writer.as_reader();
        let stream = reflector(writer, watcher(api, config));
        self.follow("pods of tag checks", stream, |event| of(event, |pod: &SlimPod| list_of(&pod.metadata)));
        store
    }

    /// Follows one watch for ever. Errors are told once until the watch works again, and tried again with a backoff.
    fn follow<K, S, F, C>(&mut self, what: &'static str, stream: S, mut concerns: F)
    where
        K: Send + 'static,
        S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        F: FnMut(&Event<K>) -> C + Send + 'static,
        C: IntoIterator<Item = Changed> + Send,
    {
        let changed = self.listeners.changed.clone();
        let mut health = WatchHealth::begin(what, self.listeners.readiness.clone());
        self.tasks.spawn(async move {
            let mut stream = pin!(stream.default_backoff());
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => {
                        let concerned = concerns(&event);
                        // A listing that is about to be tried says nothing yet.
                        if !matches!(event, Event::Init) {
                            health.good(matches!(event, Event::InitDone));
                        }
                        concerned.into_iter().for_each(|concerned| drop(changed.send(concerned)));
                    }
                    Err(error) => {
                        if health.failed(&error) {
                            drop(changed.send(Changed::Everything));
                        }
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
