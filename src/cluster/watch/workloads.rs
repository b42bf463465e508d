//! The workloads whose images lists discover. No list depends on that these watches work: what was found before stays in effect.

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use tracing::{info, warn};

use super::follow::Watches;
use super::listings::Listings;
use crate::cluster::affected_lists::Changed;
use crate::cluster::backoff::{LONGEST_PAUSE, pauses};
use crate::cluster::observed_workloads::{ObservedWorkloads, WorkloadWatch};
use crate::cluster::watch_error;
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
                let follower = Follower {
                    api: api(client, &watch),
                    listings: self.listings.clone(),
                    observed: observed.clone(),
                    changed: self.listeners.changed.clone(),
                    fails: false,
                    watch,
                };
                self.tasks.spawn(follower.follow());
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

/// Follows one watch.
struct Follower {
    watch: WorkloadWatch,
    api: Api<SlimWorkload>,
    listings: Listings,
    observed: ObservedWorkloads,
    changed: UnboundedSender<Changed>,
    /// Whether it failed last, which was logged.
    fails: bool,
}

impl Follower {
    /// Watches forever. After a failure it lists everything again: a watch that resumes does not say that it works.
    async fn follow(mut self) {
        let mut retries = pauses();
        loop {
            let stream = self.listings.watch(self.api.clone(), watcher::Config::default());
            let mut stream = Box::pin(stream);
            let mut listing = Vec::new();
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => {
                        if matches!(event, Event::InitDone) {
                            retries = pauses();
                        }
                        self.see(event, &mut listing);
                    }
                    Err(error) => {
                        self.failed(&error);
                        break;
                    }
                }
            }
            drop(stream);
            sleep(retries.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }

    fn see(&mut self, event: Event<SlimWorkload>, listing: &mut Vec<Workload>) {
        let kind = self.watch.kind;
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => listing.extend(Workload::of(kind, &object)),
            Event::InitDone => {
                if std::mem::take(&mut self.fails) {
                    info!(kind = kind.name(), namespace = self.namespace(), "workloads can be read again");
                }
                let concerned = self.observed.replace(&self.watch, std::mem::take(listing));
                concerned.into_iter().for_each(|namespace| self.concerns(namespace));
            }
            Event::Apply(object) => {
                let namespace = object.namespace().unwrap_or_default();
                let changed = match Workload::of(kind, &object) {
                    Some(workload) => self.observed.apply(workload),
                    None => self.observed.delete(&namespace, kind, &object.name_any()),
                };
                if changed {
                    self.concerns(namespace);
                }
            }
            Event::Delete(object) => {
                let namespace = object.namespace().unwrap_or_default();
                if self.observed.delete(&namespace, kind, &object.name_any()) {
                    self.concerns(namespace);
                }
            }
        }
    }

    fn concerns(&self, namespace: String) {
        drop(self.changed.send(Changed::Workloads(namespace)));
    }

    /// A failure is logged once, until the watch works again.
    fn failed(&mut self, error: &watcher::Error) {
        self.observed.failed(&self.watch);
        if std::mem::replace(&mut self.fails, true) {
            return;
        }
        let why = watch_error::status(error).map_or_else(|| error.to_string(), |status| status.message.clone());
        let (kind, namespace) = (self.watch.kind.name(), self.namespace());
        warn!(kind, namespace, error = why, "cannot read workloads, so what was discovered stays; retrying");
        drop(self.changed.send(Changed::Everything));
    }

    fn namespace(&self) -> &str {
        self.watch.namespace.as_deref().unwrap_or("all namespaces")
    }
}
