//! Which of several controllers may write: the one that holds the Lease.
//!
//! The rules are those of Kubernetes' own components (`k8s.io/client-go/tools/leaderelection`): whoever finds the Lease free, or
//! not renewed for as long as it lasts, takes it by a write that the API server refuses if somebody else was faster. How long
//! a Lease has not been renewed is measured by one's own clock from when one saw the last renewal, so the clocks of nodes
//! may differ. The leader stops writing some time before others may take over.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::readiness::Readiness;
use super::surroundings::{self, Installation};
use super::watch::Kind;
use super::{Error, FIELD_MANAGER};

/// The name of the Lease in the controller's namespace: one controller writes in a namespace.
pub const NAME: &str = "kube-prepull";

/// Who hinders the controller where the election cannot be taken part in.
const WHO: &str = "lease";

/// How long the Lease lasts without a renewal, and so the longest that nobody leads after a crash.
const DURATION: Duration = Duration::from_secs(15);
/// How often the leader renews it.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long before the end of the Lease the leader stops writing: longer than a write that is on its way.
const MARGIN: Duration = Duration::from_secs(3);
/// The pause after a failed try.
const RETRY: Duration = Duration::from_secs(2);
/// How long a stopping leader tries to give the Lease back.
const FAREWELL: Duration = Duration::from_millis(500);

/// Until when this process may write.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// As long as it lives: there is no election.
    Ever,
    /// Until either clock says so: one stands still while the machine sleeps, the other can be set.
    Time(Instant, SystemTime),
}

/// Whether this process leads. Shared by everything that writes.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Until>>>,
    leads: watch::Sender<bool>,
}

impl Leadership {
    /// Leads for ever, without an election.
    pub fn without_election() -> Self {
        Self { until: Arc::new(Mutex::new(Some(Until::Ever))), leads: watch::Sender::new(true) }
    }

    fn none() -> Self {
        Self { until: Arc::default(), leads: watch::Sender::new(false) }
    }

    /// Whether it leads at this very moment. A process that slept through the end of its Lease does not.
    pub fn holds(&self) -> bool {
        match *self.until.lock().unwrap_or_else(PoisonError::into_inner) {
            None => false,
            Some(Until::Ever) => true,
            Some(Until::Time(instant, time)) => Instant::now() < instant && SystemTime::now() < time,
        }
    }

    /// To be asked before each write.
    ///
    /// # Errors
    /// [`Error::NotLeading`] where another process may write now.
    pub fn check(&self) -> Result<(), Error> {
        if self.holds() { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// Tells when the lead is taken or lost.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    fn lead_since(&self, began: (Instant, SystemTime)) {
        let lasts = DURATION.saturating_sub(MARGIN);
        self.set(Some(Until::Time(began.0 + lasts, began.1 + lasts)));
    }

    fn set(&self, until: Option<Until>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let leads = until.is_some();
        let changed = self.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
        if changed {
            info!("{}", if leads { "leading from now on" } else { "not leading any more" });
        }
    }
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
                self.leadership.set(None);
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
            Some(name) => Some(surroundings::owner(&self.deployments, name).await?),
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
        self.leadership.set(None);
        let Some(mut lease) = view.lease.filter(|lease| holder(lease) == Some(&self.identity)) else { return };
        lease.spec.get_or_insert_default().holder_identity = None;
        if let Err(error) = self.put(lease).await {
            debug!(%error, "cannot give the Lease back; it runs out by itself");
        }
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

/// What is known of the Lease.
#[derive(Debug, Default)]
struct View {
    /// Whether the Lease has been looked for at all.
    complete: bool,
    lease: Option<Lease>,
    /// When the last change of it was seen.
    seen_at: Option<Instant>,
}

/// What to do about the Lease.
#[derive(Debug, PartialEq)]
enum Step {
    Wait(Duration),
    Write(Box<Lease>),
}

impl View {
    fn see(&mut self, lease: Option<Lease>, now: Instant) {
        let spec = |lease: &Option<Lease>| lease.as_ref().and_then(|lease| lease.spec.clone());
        if spec(&self.lease) != spec(&lease) {
            self.seen_at = Some(now);
        }
        self.lease = lease;
    }

    fn step(&self, identity: &str, now: Instant) -> Step {
        if !self.complete {
            return Step::Wait(RETRY);
        }
        let Some(lease) = &self.lease else { return Step::Write(Box::new(claimed(Lease::default(), identity))) };
        let age = self.seen_at.map_or(Duration::ZERO, |seen_at| now.saturating_duration_since(seen_at));
        let wait_for = match holder(lease) {
            None => Duration::ZERO,
            Some(own) if own == identity => RENEWAL,
            Some(_) => lasts(lease),
        };
        match wait_for.checked_sub(age) {
            Some(rest) if !rest.is_zero() => Step::Wait(rest),
            _ => Step::Write(Box::new(claimed(lease.clone(), identity))),
        }
    }
}

/// How long the holder said that the Lease lasts.
fn lasts(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DURATION, Duration::from_secs)
}

/// The Lease with us as its holder.
fn claimed(mut lease: Lease, identity: &str) -> Lease {
    let now = MicroTime(Timestamp::now());
    let before = lease.spec.take().unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(identity);
    let transitions = before.lease_transitions.unwrap_or(0);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
        lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
        renew_time: Some(now),
        ..LeaseSpec::default()
    });
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(identity: &str) -> Lease {
        let mut lease = claimed(Lease::default(), identity);
        lease.metadata.resource_version = Some("1".to_owned());
        lease
    }

    fn view(lease: Option<Lease>, seen_at: Instant) -> View {
        let mut view = View { complete: true, ..View::default() };
        view.see(lease, seen_at);
        view
    }

    fn claims(step: Step) -> bool {
        matches!(step, Step::Write(lease) if holder(&lease).is_some_and(|holder| holder == "me"))
    }

    #[test]
    fn a_lease_that_is_missing_or_free_is_taken_at_once() {
        let now = Instant::now();
        assert!(claims(view(None, now).step("me", now)));
        let mut free = held_by("other");
        free.spec.get_or_insert_default().holder_identity = Some(String::new());
        assert!(claims(view(Some(free), now).step("me", now)));
    }

    #[test]
    fn before_the_lease_was_looked_for_nothing_is_written() {
        assert_eq!(View::default().step("me", Instant::now()), Step::Wait(RETRY));
    }

    #[test]
    fn the_lease_of_another_is_taken_when_it_was_not_renewed_for_as_long_as_it_lasts() {
        let seen = Instant::now();
        let mut view = view(Some(held_by("other")), seen);
        let almost = seen + DURATION - Duration::from_secs(1);
        assert_eq!(view.step("me", almost), Step::Wait(Duration::from_secs(1)));
        view.see(Some(held_by("other")), almost);
        assert_eq!(view.step("me", seen + DURATION), Step::Wait(DURATION - Duration::from_secs(1)));
        assert!(claims(view.step("me", almost + DURATION)));
    }

    #[test]
    fn ones_own_lease_is_renewed_and_remembers_since_when_it_is_held() {
        let seen = Instant::now();
        let own = held_by("me");
        let view = view(Some(own.clone()), seen);
        assert_eq!(view.step("me", seen), Step::Wait(RENEWAL));
        let Step::Write(renewed) = view.step("me", seen + RENEWAL) else { panic!("it must be renewed") };
        let (before, after) = (own.spec.expect("a spec"), renewed.spec.expect("a spec"));
        assert_eq!((before.acquire_time, before.lease_transitions), (after.acquire_time, after.lease_transitions));
        assert_eq!(renewed.metadata.resource_version.as_deref(), Some("1"), "so that a faster one is not overwritten");
    }

    #[test]
    fn the_leader_stops_writing_before_others_may_take_over() {
        let leadership = Leadership::none();
        assert!(!leadership.holds());
        let long_ago = DURATION - MARGIN;
        leadership.lead_since((Instant::now(), SystemTime::now()));
        assert!(leadership.holds());
        leadership.lead_since((Instant::now() - long_ago, SystemTime::now()));
        assert!(!leadership.holds(), "by the clock that cannot be set");
        leadership.lead_since((Instant::now(), SystemTime::now() - long_ago));
        assert!(!leadership.holds(), "by the clock that goes on while the machine sleeps");
    }
}
