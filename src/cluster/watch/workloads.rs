//! The workloads whose images lists discover. No list depends on that these watches work: what was found before stays in effect.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;

use super::follow::Watches;
use super::relisting::{FailureLog, relist};
use crate::cluster::affected_lists::{Change, Changed};
use crate::cluster::observed_workloads::{ObservedWorkloads, WorkloadWatch};
use crate::discovery::{SlimWorkload, Workload};
use crate::list::discover::{DiscoveryScope, WorkloadKind};

impl Watches<'_> {
    /// Watches the workloads that lists may discover images in.
    pub fn workloads(&mut self, client: &Client, scope: &DiscoveryScope) -> ObservedWorkloads {
        let observed = ObservedWorkloads::default();
        let namespaces: Vec<Option<String>> = match scope {
            DiscoveryScope::All => vec![None],
            DiscoveryScope::Namespaces(names) => names.iter().map(|name| Some(name.to_string())).collect(),
            DiscoveryScope::Unknown => Vec::new(),
        };
        for namespace in namespaces {
            for (_, kind) in WorkloadKind::ALL {
                let watch = WorkloadWatch { kind, namespace: namespace.clone() };
                observed.expect(watch.clone());
                let api = api(client, &watch);
                let mut follower = Follower {
                    failures: FailureLog::new(shown(&watch)),
                    watch,
                    observed: observed.clone(),
                    changed: self.listeners.changed.clone(),
                    listing: Vec::new(),
                };
                self.tasks.spawn(relist(self.listings.clone(), api, move |event| follower.see(event)));
            }
        }
        observed
    }
}

fn api(client: &Client, watch: &WorkloadWatch) -> Api<SlimWorkload> {
    let resource = match watch.kind {
        WorkloadKind::CronJob => ApiResource::erase::<CronJob>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::Job => ApiResource::erase::<Job>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
    };
    match &watch.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What a watch sees, for the log.
fn shown(watch: &WorkloadWatch) -> String {
    let place =
        watch.namespace.as_ref().map_or_else(|| "all namespaces".to_owned(), |it| format!("the namespace {it}"));
    format!("{}s in {place}", watch.kind.name())
}

/// Follows one watch.
struct Follower {
    watch: WorkloadWatch,
    observed: ObservedWorkloads,
    changed: UnboundedSender<Change>,
    /// What was listed so far, until all is.
    listing: Vec<Workload>,
    failures: FailureLog,
}

impl Follower {
    fn see(&mut self, event: watcher::Result<Event<SlimWorkload>>) {
        let kind = self.watch.kind;
        match event {
            Ok(Event::Init) => self.listing.clear(),
            Ok(Event::InitApply(object)) => self.listing.extend(Workload::of(kind, &object)),
            Ok(Event::InitDone) => {
                self.failures.listed();
                self.observed.replace(&self.watch, std::mem::take(&mut self.listing));
                // Of a namespace without workloads that is known now, too.
                match self.watch.namespace.clone() {
                    Some(namespace) => self.concerns(namespace),
                    None => drop(self.changed.send(Change::anywhere(Changed::Everything))),
                }
            }
            Ok(Event::Apply(object)) => {
                let namespace = object.namespace().unwrap_or_default();
                let changed = match Workload::of(kind, &object) {
                    Some(workload) => self.observed.apply(workload),
                    None => self.observed.delete(&namespace, kind, &object.name_any()),
                };
                if changed {
                    self.concerns(namespace);
                }
            }
            Ok(Event::Delete(object)) => {
                let namespace = object.namespace().unwrap_or_default();
                if self.observed.delete(&namespace, kind, &object.name_any()) {
                    self.concerns(namespace);
                }
            }
            Err(error) => {
                self.observed.failed(&self.watch);
                if self.failures.failed(&error) {
                    drop(self.changed.send(Change::anywhere(Changed::Everything)));
                }
            }
        }
    }

    fn concerns(&self, namespace: String) {
        drop(self.changed.send(Change::anywhere(Changed::Workloads(namespace))));
    }
}
