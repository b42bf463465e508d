//! Follows the watches, and sends on which lists their events concern.

use std::fmt::Debug;
use std::pin::pin;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::health::WatchHealth;
use super::listings::Listings;
use crate::cluster::accepted_lists::AcceptedLists;
use crate::cluster::affected_lists::Changed;
use crate::cluster::leadership::Leadership;
use crate::cluster::list_edits::Edits;
use crate::cluster::observed::SharedCoverage;
use crate::cluster::readiness::Readiness;
use crate::cluster::resources;
use crate::coverage::{Coverage, NO_LIST, SlimPod};
use crate::list::config::GateTaints;
use crate::metrics::Metrics;
use crate::naming::labels;
use crate::slim::without_managed_fields;

/// Where the watches report what they see.
#[derive(Clone)]
pub struct Listeners {
    /// Takes every change.
    pub changed: UnboundedSender<Changed>,
    /// Takes which watches work.
    pub readiness: Readiness,
    /// Counts failed image pulls, if this process leads: every controller sees the same pods.
    pub metrics: Metrics,
    /// Whether this process leads.
    pub leadership: Leadership,
}

impl Listeners {
    fn count_pull_failures(&self, reasons: Vec<&'static str>, pod: &SlimPod) {
        let Some(Changed::List(list)) = list_of(&pod.metadata).filter(|_| self.leadership.holds()) else { return };
        reasons.into_iter().for_each(|reason| self.metrics.pull_failed(&list, reason));
    }
}

/// Starts watches, each as a task of its own.
pub struct Watches<'t> {
    pub listeners: Listeners,
    pub listings: Listings,
    pub tasks: &'t mut JoinSet<()>,
}

impl Watches<'_> {
    pub fn lists(&mut self, api: Api<ConfigMap>, config: watcher::Config) -> Store<ConfigMap> {
        let (store, writer) = store();
        let stream = reflector(writer, self.whole(api, config));
        let mut edits = Edits::default();
        self.follow("image lists", stream, move |event| edits.of(event));
        store
    }

    pub fn revisions(
        &mut self,
        api: Api<ControllerRevision>,
        config: watcher::Config,
        gate_taints: &GateTaints,
    ) -> AcceptedLists {
        let accepted = AcceptedLists::new(gate_taints);
        let shared = accepted.clone();
        let stream = self.listings.watch(api, config);
        self.follow("ControllerRevisions", stream, move |event| shared.record(event));
        accepted
    }

    /// Watches the DaemonSets of no list. Whether one comes from kubernetes-image-puller is known from its pods, and the pod
    /// watch may be ahead of this one.
    pub fn other_daemon_sets(
        &mut self,
        api: Api<PartialObjectMeta<DaemonSet>>,
        pods: &SharedCoverage,
    ) -> Store<PartialObjectMeta<DaemonSet>> {
        let (store, writer) = store();
        let stream = reflector(writer, self.whole(api, watcher::Config::default().labels(labels::OF_NO_LIST)));
        let pods = pods.clone();
        self.follow("other DaemonSets", stream, move |event| {
            concerned(event, |daemon_set: &PartialObjectMeta<DaemonSet>| {
                let name = daemon_set.name_any();
                let is_adoptable = pods.lock().pods_of(NO_LIST).any(|pod| *pod.generation == *name);
                is_adoptable.then_some(Changed::Adoptable(name))
            })
        });
        store
    }

    pub fn pods(
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
        let stream = self.listings.watch(api, config);
        self.follow(what, stream, move |event| {
            let mut matters = true;
            match event {
                // During a new listing, the coverage from before it stays in use until the listing is complete.
                Event::Init => listing = Coverage::default(),
                Event::InitApply(pod) => listing.apply(pod),
                Event::InitDone => coverage.lock().replace(std::mem::take(&mut listing)),
                Event::Apply(pod) => {
                    let change = coverage.lock().apply_and_compare(pod);
                    listeners.count_pull_failures(change.failures, pod);
                    matters = change.matters;
                }
                Event::Delete(pod) => coverage.lock().delete(pod),
            }
            concerned(event, concerns).filter(|_| matters)
        });
        shared
    }

    pub fn tag_check_pods(&mut self, api: Api<SlimPod>, config: watcher::Config) -> Store<SlimPod> {
        let writer = Writer::new(resources::pods());
        let store = writer.as_reader();
        let stream = reflector(writer, self.listings.watch(api, config));
        self.follow("pods of tag checks", stream, |event| concerned(event, |pod: &SlimPod| list_of(&pod.metadata)));
        store
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
                        // `Init` only announces a listing, which may still fail.
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
