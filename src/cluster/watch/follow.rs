//! Follows the watches, and sends on which lists their events concern.

use std::fmt::Debug;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::daemon_sets;
use super::health::WatchHealth;
use super::listings::Listings;
use crate::cluster::affected_lists::{Change, Changed};
use crate::cluster::leadership::Leadership;
use crate::cluster::list_edits::Edits;
use crate::cluster::observed::SharedCoverage;
use crate::cluster::observed_cluster::{ObservedCluster, WatchedNamespace};
use crate::cluster::readiness::Readiness;
use crate::coverage::{Coverage, NO_LIST, SlimPod};
use crate::list::IMAGE_LIST_LABEL;
use crate::metrics::Metrics;
use crate::naming::labels;
use crate::plan::SlimDaemonSet;
use crate::slim::without_managed_fields;

/// What the watches of lists see.
const LISTS: &str = "image lists";

/// Where to find what belongs to lists: in one namespace, or in all.
pub struct ApisOfLists {
    pub lists: Api<ConfigMap>,
    pub revisions: Api<ControllerRevision>,
    pub daemon_sets: Api<SlimDaemonSet>,
    pub pods: Api<SlimPod>,
}

/// Where the watches report what they see.
#[derive(Clone)]
pub struct Listeners {
    /// Takes every change.
    pub changed: UnboundedSender<Change>,
    /// Takes which watches work.
    pub readiness: Readiness,
    /// Counts failed image pulls, if this process leads: every controller sees the same pods.
    pub metrics: Metrics,
    /// Whether this process leads.
    pub leadership: Leadership,
}

impl Listeners {
    fn count_pull_failures(&self, namespace: &str, reasons: Vec<&'static str>, pod: &SlimPod) {
        let Some(Changed::List(list)) = list_of(&pod.metadata).filter(|_| self.leadership.holds()) else { return };
        reasons.into_iter().for_each(|reason| self.metrics.pull_failed(namespace, &list, reason));
    }
}

/// Starts watches, each as a task of its own.
pub struct Watches<'t> {
    pub listeners: Listeners,
    pub listings: Listings,
    pub tasks: &'t mut JoinSet<()>,
}

impl Watches<'_> {
    /// Watches one of the lists that need no label.
    pub fn named_list(&mut self, api: Api<ConfigMap>, config: watcher::Config, home: &Arc<str>) -> Store<ConfigMap> {
        let (store, writer) = store();
        let stream = reflector(writer, self.image_lists(api, config));
        let (mut edits, home) = (Edits::default(), Arc::clone(home));
        let within = move |changed| Change::within(&home, changed);
        self.follow(LISTS, stream, move |event| edits.of(event).into_iter().map(&within).collect::<Vec<_>>());
        store
    }

    /// Watches the DaemonSets of no list. Whether one comes from kubernetes-image-puller is known from its pods, and the pod
    /// watch may be ahead of this one.
    pub fn other_daemon_sets(
        &mut self,
        api: Api<PartialObjectMeta<DaemonSet>>,
        pods: &SharedCoverage,
        home: &Arc<str>,
    ) -> Store<PartialObjectMeta<DaemonSet>> {
        let (store, writer) = store();
        let stream = reflector(writer, self.whole(api, watcher::Config::default().labels(labels::OF_NO_LIST)));
        let (pods, home) = (pods.clone(), Arc::clone(home));
        self.follow("other DaemonSets", stream, move |event| {
            let concerned = concerned(event, |daemon_set: &PartialObjectMeta<DaemonSet>| {
                let name = daemon_set.name_any();
                let is_adoptable = pods.lock().pods_of(NO_LIST).any(|pod| *pod.generation == *name);
                is_adoptable.then_some(Changed::Adoptable(name))
            });
            concerned.map(|changed| Change::within(&home, changed))
        });
        store
    }

    /// Watches the pods of kubernetes-image-puller.
    pub fn adoptable_pods(&mut self, api: Api<SlimPod>, config: watcher::Config, home: &Arc<str>) -> SharedCoverage {
        let shared = SharedCoverage::default();
        let (coverage, home) = (shared.clone(), Arc::clone(home));
        let mut listing = Coverage::default();
        let stream = self.listings.watch(api, config);
        self.follow("pods of kubernetes-image-puller", stream, move |event| {
            let matters = coverage.record(event, &mut listing).is_none_or(|change| change.matters);
            let concerned = concerned(event, adoptable_of).filter(|_| matters);
            concerned.map(|changed| Change::within(&home, changed))
        });
        shared
    }

    /// Watches what belongs to lists, in all of their namespaces.
    pub fn of_lists(&mut self, cluster: &ObservedCluster, apis: ApisOfLists) {
        let labelled = watcher::Config::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
        let stream = self.image_lists(apis.lists, labelled);
        self.follow_in(cluster, LISTS, stream, WatchedNamespace::record_list);
        let stream = self.listings.watch(apis.revisions, watcher::Config::default().labels(labels::REVISIONS_OF_LISTS));
        self.follow_in(cluster, "ControllerRevisions", stream, |it, event| it.observed.accepted.record(event));
        let ours = || watcher::Config::default().labels(labels::LIST);
        let stream = self.listings.watch(apis.daemon_sets, ours());
        self.follow_in(cluster, "DaemonSets", stream, |it, event| {
            let matters = daemon_sets::matters(event, it.observed.daemon_sets.record(event).as_deref());
            let concerned = concerned(event, |daemon_set: &SlimDaemonSet| list_of(&daemon_set.metadata));
            concerned.filter(|_| matters).into_iter().collect()
        });
        let listeners = self.listeners.clone();
        let stream = self.listings.watch(apis.pods.clone(), ours());
        self.follow_in(cluster, "pods", stream, move |it, event| {
            let change = it.record_pod(event);
            let matters = change.as_ref().is_none_or(|change| change.matters);
            if let (Some(change), Event::Apply(pod)) = (change, event) {
                listeners.count_pull_failures(&it.name, change.failures, pod);
            }
            let concerned = concerned(event, |pod: &SlimPod| list_of(&pod.metadata));
            concerned.filter(|_| matters).into_iter().collect()
        });
        let of_tag_checks = watcher::Config::default().labels(&format!("{},{}", labels::LIST, labels::TAG_CHECK));
        let stream = self.listings.watch(apis.pods, of_tag_checks);
        self.follow_in(cluster, "pods of tag checks", stream, |it, event| {
            it.record_tag_check_pod(event);
            concerned(event, |pod: &SlimPod| list_of(&pod.metadata)).into_iter().collect()
        });
    }

    /// Follows a watch of what belongs to lists.
    fn follow_in<K, S>(
        &mut self,
        cluster: &ObservedCluster,
        what: &'static str,
        stream: S,
        mut record: impl FnMut(&WatchedNamespace, &Event<K>) -> Vec<Changed> + Send + 'static,
    ) where
        K: ResourceExt + Send + 'static,
        S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    {
        let mut recorder = cluster.recorder();
        self.follow(what, stream, move |event| recorder.record(event, &mut record));
    }

    /// Watches ConfigMaps without their binary data, in which no list can be.
    fn image_lists(
        &self,
        api: Api<ConfigMap>,
        config: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<Event<ConfigMap>>> + Send + use<> {
        self.whole(api, config).map_ok(|event| event.modify(|list| list.binary_data = None))
    }

    /// Watches objects that are stored whole, but for their managed fields.
    fn whole<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        self.listings.watch(api, config).map_ok(|event| event.modify(without_managed_fields))
    }

    /// Follows one watch forever. A failure is logged once until the watch works again, and retried with a backoff.
    pub fn follow<K, S, F, C>(&mut self, what: &'static str, stream: S, mut concerns: F)
    where
        K: Send + 'static,
        S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
        F: FnMut(&Event<K>) -> C + Send + 'static,
        C: IntoIterator<Item = Change> + Send,
    {
        let health = WatchHealth::begin(what, self.listeners.readiness.clone());
        let seen = move |event: Event<K>| SeenEvent {
            changes: concerns(&event).into_iter().collect(),
            // `Init` only announces a listing, which may still fail.
            listed: (!matches!(event, Event::Init)).then_some(matches!(event, Event::InitDone)),
        };
        let stream = stream.default_backoff().map_ok(seen).boxed();
        self.tasks.spawn(follow_all(stream, health, self.listeners.changed.clone()));
    }
}

/// What a watch saw, whatever its kind.
struct SeenEvent {
    changes: Vec<Change>,
    /// Whether a listing is complete; `None` if it has only been announced.
    listed: Option<bool>,
}

async fn follow_all(
    mut stream: BoxStream<'static, watcher::Result<SeenEvent>>,
    mut health: WatchHealth,
    changed: UnboundedSender<Change>,
) {
    while let Some(event) = stream.next().await {
        match event {
            Ok(SeenEvent { changes, listed }) => {
                if let Some(listed) = listed {
                    health.good(listed);
                }
                changes.into_iter().for_each(|change| drop(changed.send(change)));
            }
            Err(error) => {
                if health.failed(&error) {
                    drop(changed.send(Change::anywhere(Changed::Everything)));
                }
            }
        }
    }
}

/// What an event concerns: one object's list, or everything once a listing is complete.
pub fn concerned<K>(event: &Event<K>, list: impl Fn(&K) -> Option<Changed>) -> Option<Changed> {
    match event {
        Event::Apply(object) | Event::Delete(object) => list(object),
        Event::InitDone => Some(Changed::Everything),
        Event::Init | Event::InitApply(_) => None,
    }
}

/// The list that an object's label names.
pub fn list_of(metadata: &ObjectMeta) -> Option<Changed> {
    metadata.labels.as_ref()?.get(labels::LIST).cloned().map(Changed::List)
}

/// The DaemonSet of a pod of kubernetes-image-puller.
pub fn adoptable_of(pod: &SlimPod) -> Option<Changed> {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true));
    owner.map(|owner| Changed::Adoptable(owner.name.clone()))
}
