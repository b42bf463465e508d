//! Reads and writes: the only code that talks to the cluster.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinHandle;

use crate::behaviour::Behaviour;
use crate::clock::Clock;
use crate::decide::{Act, Circumstances, decide};
use crate::fault::Faults;
use crate::image_cache::{ImageCache, Phase, resource};

/// The pause after a request that failed: mostly another client has changed the ImageCache.
const PAUSE: Duration = Duration::from_millis(100);

/// What a simulator acts upon, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// What goes wrong.
    pub faults: Faults,
    /// The service's times and sizes.
    pub behaviour: Behaviour,
    /// What the names begin with of those that it acts upon: several simulators can share a cluster.
    pub prefix: String,
}

impl Default for Options {
    /// Acts upon all ImageCaches of the cluster, without faults.
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            faults: Faults::default(),
            behaviour: Behaviour::default(),
            prefix: String::new(),
        }
    }
}

/// A running simulator. It ends when this is dropped, and that changes nothing in the cluster.
#[derive(Debug)]
pub struct Simulator(JoinHandle<()>);

impl Simulator {
    /// Starts it. Where the API server has no ImageCaches, it waits for them to be defined.
    #[must_use]
    pub fn start(client: &Client, options: Options) -> Self {
        let image_caches = Api::all_with(client.clone(), &resource());
        let secrets = client.clone();
        let ticks = options.clock.advances();
        let controller = Controller::new_with(image_caches.clone(), watcher::Config::default(), resource());
        let actor = Arc::new(Actor { image_caches, secrets, options });
        let running = controller.reconcile_all_on(ticks).run(
            |cache, actor| async move { actor.look_after(&cache).await },
            |_, _, _| Action::requeue(PAUSE),
            actor,
        );
        Self(tokio::spawn(running.for_each(|_| std::future::ready(()))))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Actor {
    image_caches: Api<ImageCache>,
    secrets: Client,
    options: Options,
}

impl Actor {
    async fn look_after(&self, cache: &ImageCache) -> kube::Result<Action> {
        let name = cache.name_any();
        let Options { clock, faults, behaviour, prefix } = &self.options;
        if !name.starts_with(prefix) {
            return Ok(Action::await_change());
        }
        let missing_secrets = self.missing_secrets(cache).await?;
        let circumstances = Circumstances {
            now: clock.now(),
            fault: faults.of(&name),
            missing_secrets: &missing_secrets,
            behaviour: *behaviour,
        };
        let decision = decide(cache, &circumstances);
        match decision.act {
            Some(Act::Report(status)) => {
                // The version goes along, so that nothing is written on old messages.
                let reported = ImageCache { status: Some(*status), ..cache.clone() };
                self.image_caches.replace_status(&name, &PostParams::default(), &reported).await.map(drop)?;
            }
            Some(Act::Delete) => self.delete(cache).await?,
            None => {}
        }
        let wait = decision.check_again.and_then(|time| clock.wait_for(time));
        Ok(wait.map_or_else(Action::await_change, Action::requeue))
    }

    /// Which of its Secrets are not there. Only one that waits to be begun is asked for them.
    async fn missing_secrets(&self, cache: &ImageCache) -> kube::Result<Vec<String>> {
        let phase = cache.status.as_ref().and_then(|status| status.phase);
        let mut missing = Vec::new();
        if phase != Some(Phase::Pending) {
            return Ok(missing);
        }
        for secret in &cache.spec.image_pull_secrets {
            let found = match secret.split_once(':') {
                Some((namespace, name)) => {
                    let secrets = Api::<Secret>::namespaced(self.secrets.clone(), namespace);
                    secrets.get_metadata_opt(name).await?.is_some()
                }
                None => false,
            };
            if !found {
                missing.push(secret.clone());
            }
        }
        Ok(missing)
    }

    /// Exactly this one. That it is gone already is as good.
    async fn delete(&self, cache: &ImageCache) -> kube::Result<()> {
        let exactly = Preconditions { uid: cache.metadata.uid.clone(), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
        match self.image_caches.delete(&cache.name_any(), &parameters).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.map(drop),
        }
    }
}
