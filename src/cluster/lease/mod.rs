//! Which of several controllers may write: the one that holds the Lease.
//!
//! The rules are those of Kubernetes' own components (`k8s.io/client-go/tools/leaderelection`): whoever finds the Lease free, or
//! not renewed for as long as it lasts, takes it by a write that the API server refuses if somebody else was faster. How long
//! a Lease has not been renewed is measured by one's own clock from when one saw the last renewal, so the clocks of nodes
//! may differ. The leader stops writing some time before others may take over.
//!
//! - [`leadership`]: whether this process leads
//! - [`view`]: what is known of the Lease, and what follows

mod leadership;
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
use kube::{Api, Client};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

pub use leadership::Leadership;
use view::{Step, View, holder};

use super::environment::{self, Installation};
use super::readiness::Readiness;
use super::watch::Kind;
use super::{Error, FIELD_MANAGER};

/// The name of the Lease in the controller's namespace: one controller writes in a namespace.
pub const NAME: &str = "kube-prepull";

/// Who hinders the controller where the election cannot be taken part in.
const WHO: &str = "lease";

/// How long the Lease lasts without a renewal, and so the longest that nobody leads after a crash.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long nobody leads after [`suspend`], where the Deployment is not deleted meanwhile.
const SUSPENSION: Duration = Duration::from_secs(300);
/// How often the leader renews it.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long before the end of the Lease the leader stops writing: longer than a write that is on its way.
const MARGIN: Duration = Duration::from_secs(3);
/// The pause after a failed try.
const RETRY: Duration = Duration::from_secs(2);
/// How long a stopping leader tries to give the Lease back.
const FAREWELL: Duration = Duration::from_millis(500);

/// Takes the Lease from whoever has it, for some minutes in which nobody leads, and says whether there was one. After
/// [`DURATION`] the former leader does not write any more.
///
/// # Errors
/// What the API server or the way to it said.
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

/// Asks an election to give the Lease back.
pub struct Resignation {
    asked: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Resignation {
    /// Gives the Lease back, so that another controller takes over at once. It is bounded: whoever stops must not wait for a
    /// cluster that does not answer.
    pub async fn resign(self) {
        let _ = self.asked.send(());
        let _ = timeout(FAREWELL, self.done).await;
    }
}

/// Takes part in the election of the leader in a namespace.
pub struct Election {
    leases: Api<Lease>,
    deployments: Api<Deployment>,
    namespace: String,
    /// The controller's own Deployment, which the Lease goes with.
    deployment: Option<String>,
    identity: String,
    leadership: Leadership,
    readiness: Readiness,
    asked: oneshot::Receiver<()>,
    done: oneshot::Sender<()>,
}

impl Election {
    /// Prepares to take part under that identity, which no other process may have.
    pub fn new(
        client: &Client,
        installation: &Installation,
        identity: String,
        readiness: Readiness,
    ) -> (Self, Leadership, Resignation) {
        let leadership = Leadership::none();
        let ((asked, on_asked), (done, on_done)) = (oneshot::channel(), oneshot::channel());
        let election = Self {
            leases: Api::namespaced(client.clone(), &installation.namespace),
            deployments: Api::namespaced(client.clone(), &installation.namespace),
            namespace: installation.namespace.clone(),
            deployment: installation.deployment.clone(),
            identity,
            leadership: leadership.clone(),
            readiness,
            asked: on_asked,
            done,
        };
        (election, leadership, Resignation { asked, done: on_done })
    }

    /// Takes part until it is asked to resign.
    pub async fn run(mut self) {
        let of_name = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = pin!(watcher(self.leases.clone(), of_name).default_backoff());
        let mut view = View::default();
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                event = events.next() => self.take(event, &mut view),
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

    fn take(&self, event: Option<watcher::Result<Event<Lease>>>, view: &mut View) {
        let now = Instant::now();
        match event {
            Some(Ok(Event::Apply(lease) | Event::InitApply(lease))) => view.see(Some(lease), now),
            Some(Ok(Event::Delete(_))) => view.see(None, now),
            Some(Ok(Event::InitDone)) => {
                view.complete = true;
                self.readiness.free(WHO);
            }
            Some(Err(error)) => self.hindered(&error),
            Some(Ok(Event::Init)) | None => {}
        }
    }

    fn hindered(&self, error: &watcher::Error) {
        debug!(%error, "cannot watch the Lease");
        if Kind::of(error) == Kind::Forbidden {
            let why = format!("not allowed to watch the Lease {NAME}, so this controller never leads: {error}");
            self.readiness.hindered(WHO, why);
        }
    }

    /// Writes the Lease, and says how long to wait for the next look.
    async fn write(&self, lease: Lease, view: &mut View) -> Duration {
        let began = (Instant::now(), SystemTime::now());
        match timeout(RENEWAL, self.put(lease)).await {
            Ok(Ok(lease)) => {
                view.see(Some(lease), began.0);
                self.readiness.free(WHO);
                self.leadership.lead_since(began);
                RENEWAL
            }
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
                debug!("somebody else was faster with the Lease");
                RETRY
            }
            Ok(Err(error)) => {
                let error = Error::new(format!("write the Lease {NAME}"), error);
                warn!(%error, "cannot take the lead; trying again");
                if matches!(error, Error::Forbidden { .. }) {
                    self.readiness.hindered(WHO, error.to_string());
                }
                RETRY
            }
            Err(_) => RETRY,
        }
    }

    async fn put(&self, mut lease: Lease) -> kube::Result<Lease> {
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        if lease.metadata.resource_version.is_some() {
            return self.leases.replace(NAME, &parameters, &lease).await;
        }
        // Without its Deployment, a controller that is about to end would leave a Lease behind.
        let owner = match &self.deployment {
            Some(name) => Some(environment::owner(&self.deployments, name).await?),
            None => None,
        };
        lease.metadata = ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(self.namespace.clone()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        self.leases.create(&parameters, &lease).await
    }

    async fn release(&self, view: View) {
        self.leadership.leave();
        let Some(mut lease) = view.lease.filter(|lease| holder(lease) == Some(&self.identity)) else { return };
        lease.spec.get_or_insert_default().holder_identity = None;
        if let Err(error) = self.put(lease).await {
            debug!(%error, "cannot give the Lease back; it runs out by itself");
        }
    }
}
