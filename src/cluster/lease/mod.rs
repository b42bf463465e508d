//! Elects the controller that may write: the one that holds the Lease.
//!
//! The rules are those of Kubernetes' own components (`k8s.io/client-go/tools/leaderelection`): a controller that finds the Lease
//! free, or not renewed for its whole duration, takes it by a write that the API server refuses if another one was faster. Each
//! controller measures the age of a renewal by its own clock from when it saw the renewal, so the clocks of nodes may differ. The
//! leader stops writing some time before others may take over.
//!
//! - [`view`]: what is known of the Lease, and what to do about it

mod view;

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

pub use view::DURATION;
use view::{LeaseView, RENEWAL, RETRY, Step, holder};

use super::FIELD_MANAGER;
use super::environment::{self, Installation};
use super::leadership::Leadership;
use super::readiness::Readiness;
use super::watch_error::WatchErrorKind;
use crate::error::Error;
use crate::messages::api_errors::of_controller;
use crate::naming::labels;

/// The name of the Lease. It is in the controller's namespace, so that one controller leads in each.
pub const NAME: &str = "kube-prepull";

/// What the readiness probe calls the election.
const PART: &str = "lease";

/// How long nobody leads after [`suspend`], unless the Deployment is deleted first.
const SUSPENSION: Duration = Duration::from_secs(300);
/// How long before the end of the Lease the leader stops writing. A write that it has just sent takes less to arrive.
const MARGIN: Duration = Duration::from_secs(3);
/// How long a stopping leader tries to release the Lease.
const RELEASE_TIME_LIMIT: Duration = Duration::from_millis(500);

/// Takes the Lease from its holder, so that nobody leads for some minutes. Returns whether there was a Lease. The former leader
/// may still write for [`DURATION`].
///
/// # Errors
/// What the API server answered, or why it could not be reached.
pub async fn suspend(client: &Client, namespace: &str) -> Result<bool, Error> {
    const TRIES: usize = 5;
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let failed = |error| Error::new(format!("take the Lease {NAME}"), error);
    for tried in 1.. {
        let of_name = ListParams::default().fields(&format!("metadata.name={NAME}"));
        let Some(lease) = leases.list(&of_name).await.map_err(failed)?.items.pop() else { return Ok(false) };
        match leases.replace(NAME, &parameters, &view::suspended(lease, SUSPENSION)).await {
            Err(kube::Error::Api(status)) if status.is_conflict() && tried < TRIES => {}
            replaced => return replaced.map(|_| true).map_err(failed),
        }
    }
    Ok(false)
}

/// Ends this process's part in the election.
pub struct Resignation {
    asked: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Resignation {
    /// Releases the Lease, so that another controller takes over at once. Gives up soon, so that a cluster that does not answer
    /// does not keep the process from stopping.
    pub async fn resign(self) {
        let _ = self.asked.send(());
        let _ = timeout(RELEASE_TIME_LIMIT, self.done).await;
    }
}

/// Takes part in electing the leader of a namespace.
pub struct Election {
    leases: Api<Lease>,
    deployments: Api<Deployment>,
    namespace: String,
    /// The controller's own Deployment, which owns the Lease.
    deployment: Option<String>,
    /// The port of this process's status.
    status_port: u16,
    identity: String,
    leadership: Leadership,
    readiness: Readiness,
    asked: oneshot::Receiver<()>,
    done: oneshot::Sender<()>,
}

impl Election {
    /// Prepares to take part under an identity that no other process has. The election decides over `leadership`.
    pub fn new(
        client: &Client,
        installation: &Installation,
        identity: String,
        leadership: Leadership,
        readiness: Readiness,
    ) -> (Self, Resignation) {
        let ((asked, on_asked), (done, on_done)) = (oneshot::channel(), oneshot::channel());
        let election = Self {
            leases: Api::namespaced(client.clone(), &installation.namespace),
            deployments: Api::namespaced(client.clone(), &installation.namespace),
            namespace: installation.namespace.clone(),
            deployment: installation.deployment.clone(),
            status_port: installation.status_port,
            identity,
            leadership,
            readiness,
            asked: on_asked,
            done,
        };
        (election, Resignation { asked, done: on_done })
    }

    /// Takes part until this process resigns.
    pub async fn run(mut self) {
        let of_name = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = pin!(watcher(self.leases.clone(), of_name).default_backoff());
        let mut view = LeaseView::default();
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                event = events.next() => self.record(event, &mut view),
                () = sleep(pause) => {}
                _ = &mut self.asked => break,
            }
            pause = match view.step(&self.identity, Instant::now()) {
                Step::Wait(pause) => pause,
                Step::Write(lease) => self.write(*lease, &mut view).await,
            };
            if !self.leadership.holds() {
                self.leadership.leave();
            }
        }
        self.release(view).await;
        let _ = self.done.send(());
    }

    fn record(&self, event: Option<watcher::Result<Event<Lease>>>, view: &mut LeaseView) {
        let now = Instant::now();
        match event {
            Some(Ok(Event::Apply(lease) | Event::InitApply(lease))) => view.see(Some(lease), now),
            Some(Ok(Event::Delete(_))) => view.see(None, now),
            Some(Ok(Event::InitDone)) => {
                view.complete = true;
                self.readiness.ready(PART);
            }
            Some(Err(error)) => self.cannot_watch(&error),
            Some(Ok(Event::Init)) | None => {}
        }
    }

    fn cannot_watch(&self, error: &watcher::Error) {
        debug!(%error, "cannot watch the Lease");
        if WatchErrorKind::of(error) == WatchErrorKind::Forbidden {
            let why = format!("not allowed to watch the Lease {NAME}, so this controller never leads: {error}");
            self.readiness.not_ready(PART, why);
        }
    }

    /// Writes the Lease. Returns how long to wait before the next step.
    async fn write(&self, lease: Lease, view: &mut LeaseView) -> Duration {
        let began = (Instant::now(), SystemTime::now());
        match timeout(RENEWAL, self.put(lease)).await {
            Ok(Ok(lease)) => {
                view.see(Some(lease), began.0);
                self.readiness.ready(PART);
                self.leadership.lead_until(end_of_lead(began));
                RENEWAL
            }
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
                debug!("another controller was faster with the Lease");
                RETRY
            }
            Ok(Err(error)) => {
                let error = Error::new(format!("write the Lease {NAME}"), error);
                warn!(%error, "cannot take the lead; retrying");
                // Without a Lease nobody leads, so a policy that refuses it concerns all lists.
                if matches!(error, Error::Forbidden { .. } | Error::Denied { .. }) {
                    self.readiness.not_ready(PART, of_controller(&error));
                }
                RETRY
            }
            Err(_) => RETRY,
        }
    }

    async fn put(&self, mut lease: Lease) -> kube::Result<Lease> {
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let status_port = (labels::STATUS_PORT.to_owned(), self.status_port.to_string());
        lease.annotations_mut().extend([status_port.clone()]);
        if lease.metadata.resource_version.is_some() {
            return self.leases.replace(NAME, &parameters, &lease).await;
        }
        // A controller whose Deployment was just deleted must not leave a new Lease behind.
        let owner = match &self.deployment {
            Some(name) => Some(environment::owner(&self.deployments, name).await?),
            None => None,
        };
        lease.metadata = ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(self.namespace.clone()),
            owner_references: owner.map(|owner| vec![owner]),
            annotations: Some([status_port].into()),
            ..ObjectMeta::default()
        };
        self.leases.create(&parameters, &lease).await
    }

    async fn release(&self, view: LeaseView) {
        self.leadership.leave();
        let Some(mut lease) = view.lease.filter(|lease| holder(lease) == Some(&self.identity)) else { return };
        lease.spec.get_or_insert_default().holder_identity = None;
        if let Err(error) = self.put(lease).await {
            debug!(%error, "cannot release the Lease; it expires by itself");
        }
    }
}

/// When the leader stops writing, by either clock. It is counted from before its write of the Lease, since others may have seen
/// that before the answer came.
fn end_of_lead((instant, time): (Instant, SystemTime)) -> (Instant, SystemTime) {
    let lasts = DURATION.saturating_sub(MARGIN);
    (instant + lasts, time + lasts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_stops_writing_before_others_may_take_over() {
        let began = (Instant::now(), SystemTime::now());
        let leadership = Leadership::to_be_elected();
        leadership.lead_until(end_of_lead(began));
        assert!(leadership.holds());
        let long_ago = DURATION - MARGIN;
        leadership.lead_until(end_of_lead((began.0 - long_ago, began.1 - long_ago)));
        assert!(!leadership.holds());
    }
}
