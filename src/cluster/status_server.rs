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
use super::readiness::Readiness;
use super::status_input::Objects;
use crate::status::{ListInput, Report, StatusInput};

/// How old a report may be to be returned again, so that many requests at once cost no more than one.
const FRESH: Duration = Duration::from_secs(1);

/// What one controller knows. It knows the same whether or not it leads.
#[derive(Clone)]
pub struct Overview {
    namespace: String,
    pub(super) observed: Observed,
    pub(super) readiness: Readiness,
    leadership: Leadership,
    latest: Arc<Mutex<Option<LatestReport>>>,
}

/// When a report was made, and the report.
pub type Made = (Instant, Arc<Report>);

/// When a report was made, and the report while somebody uses it: it has a line for each image, so it is not kept for the next one.
type LatestReport = (Instant, Weak<Report>);

impl Overview {
    /// Reports on what the watches of `namespace` observe.
    pub fn new(namespace: &str, observed: Observed, readiness: Readiness, leadership: Leadership) -> Self {
        Self { namespace: namespace.to_owned(), observed, readiness, leadership, latest: Arc::default() }
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

    /// The same, and when it was made.
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

    /// The lists as they are now.
    fn lists(&self) -> Vec<ListInput> {
        let config_maps: Vec<Arc<ConfigMap>> = self.observed.lists.iter().flat_map(Store::state).collect();
        let daemon_sets = self.observed.daemon_sets.all();
        let objects = Objects {
            config_maps: config_maps.iter().map(|list| (list.name_any(), &**list)).collect::<BTreeMap<_, _>>(),
            accepted: self.observed.accepted.all(),
            daemon_sets: daemon_sets.iter().map(|daemon_set| &**daemon_set).collect(),
            image_caches: self.observed.image_caches.all(),
        };
        // Only lists are watched.
        objects.lists(|_| true)
    }

    fn sum_up(&self) -> Report {
        let input = StatusInput {
            namespace: self.namespace.clone(),
            lists: self.lists(),
            nodes: self.observed.nodes(),
            sizes: self.observed.sizes(),
            now: Timestamp::now(),
        };
        Report::new(&input, &self.observed.coverage.snapshot())
    }
}
