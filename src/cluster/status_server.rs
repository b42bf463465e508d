//! What the controller knows, for its HTTP endpoints. Nothing is read from the cluster for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use super::leadership::Leadership;
use super::observed::Observed;
use super::observed_cluster::{ObservedCluster, WatchedNamespace};
use super::readiness::Readiness;
use super::status_input::Objects;
use crate::coverage::Coverage;
use crate::status::map::MapReport;
use crate::status::{Filter, ListInput, Report, StatusInput};
use crate::text::CleanText;

/// How old a report may be to be returned again, so that many requests at once cost no more than one.
const FRESH: Duration = Duration::from_secs(1);

/// What one controller knows. It knows the same whether or not it leads.
#[derive(Clone)]
pub struct Overview {
    pub(super) cluster: ObservedCluster,
    all_namespaces: bool,
    pub(super) readiness: Readiness,
    leadership: Leadership,
    latest: Arc<Mutex<Option<LatestReport>>>,
}

/// When a report was made, and the report.
pub type Made = (Instant, Arc<Report>);

/// When a report was made, and the report while somebody uses it: it has a line for each image, so it is not kept for the next one.
type LatestReport = (Instant, Weak<Report>);

impl Overview {
    /// Reports on what the watches observe, in the controller's namespace or in all.
    pub fn new(cluster: ObservedCluster, all_namespaces: bool, readiness: Readiness, leadership: Leadership) -> Self {
        Self { cluster, all_namespaces, readiness, leadership, latest: Arc::default() }
    }

    /// Whether this process leads.
    pub fn leads(&self) -> bool {
        self.leadership.holds()
    }

    /// What is warm where, at most a second old. `None` before all watches have listed their objects. It takes some milliseconds
    /// per thousand nodes, so call it on a thread that may block.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.dated_report().map(|(_, report)| report)
    }

    /// The same of one namespace only, if lists may be anywhere; otherwise there is only one.
    pub fn report_on(&self, namespace: &str) -> Option<Arc<Report>> {
        if !self.all_namespaces {
            return self.report();
        }
        if !self.readiness.all_listed() {
            return None;
        }
        let now = Timestamp::now();
        let Some(watched) = self.cluster.get(namespace) else {
            let seen_by_all = self.cluster.home();
            let nothing = StatusInput { namespace: namespace.to_owned(), lists: Vec::new(), ..input(seen_by_all, now) };
            return Some(Arc::new(Report::new(&nothing, &Coverage::default())));
        };
        Some(Arc::new(Report::new(&input(&watched, now), &watched.observed.coverage.snapshot())))
    }

    /// Whether lists may be in all namespaces.
    pub fn is_of_all_namespaces(&self) -> bool {
        self.all_namespaces
    }

    /// The same of all, and when it was made.
    pub fn dated_report(&self) -> Option<Made> {
        if !self.readiness.all_listed() {
            return None;
        }
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = latest.as_ref().filter(|(made, _)| made.elapsed() < FRESH);
        if let Some((made, report)) = known.and_then(|(made, report)| Some((*made, report.upgrade()?))) {
            return Some((made, report));
        }
        let (made, report) = (Instant::now(), Arc::new(self.sum_up()));
        *latest = Some((made, Arc::downgrade(&report)));
        Some((made, report))
    }

    /// The report of all as a map. None is kept, because only a page that is open asks for it.
    pub fn map(&self) -> Option<MapReport> {
        if !self.readiness.all_listed() {
            return None;
        }
        let inputs = self.inputs();
        let inputs: Vec<_> = inputs.iter().map(|(input, coverage)| (input, coverage)).collect();
        Some(MapReport::new(self.report_of(&inputs), &inputs))
    }

    fn sum_up(&self) -> Report {
        let inputs = self.inputs();
        self.report_of(&inputs.iter().map(|(input, coverage)| (input, coverage)).collect::<Vec<_>>())
    }

    fn inputs(&self) -> Vec<(StatusInput, Coverage)> {
        let now = Timestamp::now();
        self.cluster.all().iter().map(|it| (input(it, now), it.observed.coverage.snapshot())).collect()
    }

    fn report_of(&self, inputs: &[(&StatusInput, &Coverage)]) -> Report {
        let mut report = Report::of(inputs, &Filter::default());
        if self.all_namespaces {
            // However many have lists at the moment.
            report.namespace = CleanText::default();
        }
        report
    }
}

fn input(namespace: &WatchedNamespace, now: Timestamp) -> StatusInput {
    let observed = &namespace.observed;
    StatusInput {
        namespace: namespace.name.to_string(),
        lists: lists(observed),
        nodes: observed.nodes(),
        sizes: observed.sizes(),
        now,
    }
}

/// The lists of a namespace as they are now.
fn lists(observed: &Observed) -> Vec<ListInput> {
    let config_maps: Vec<Arc<ConfigMap>> = observed.lists.iter().flat_map(Store::state).collect();
    let daemon_sets = observed.daemon_sets.all();
    let objects = Objects {
        config_maps: config_maps.iter().map(|list| (list.name_any(), &**list)).collect::<BTreeMap<_, _>>(),
        accepted: observed.accepted.all(),
        daemon_sets: daemon_sets.iter().map(|daemon_set| &**daemon_set).collect(),
        image_caches: observed.image_caches.all(),
    };
    // Only lists are watched.
    objects.lists(|_| true)
}
