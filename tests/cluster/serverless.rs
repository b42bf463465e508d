//! A trial on the simulated cluster with ImageCaches. The test says what becomes of them, or ECI is simulated and time passes
//! when the test says so.

use eci_simulator::image_cache::resource;
use eci_simulator::{Behaviour, Faults, ImageCache, Options, Phase, Simulator};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use nix::sys::signal::Signal;
use serde_json::Value;
use test_bed::Simulated;

use crate::controller::Controller;
use crate::trial::{Trial, clean_up, eventually};

/// Ten minutes for each, as in Alibaba Cloud's own example, of which nobody has to wait for any.
const BEHAVIOUR: Behaviour =
    Behaviour { pending: SignedDuration::from_secs(1), building: SignedDuration::from_mins(10), image_mib: 500 };

/// A trial whose ImageCaches go with it.
pub struct Serverless {
    pub trial: Trial,
    /// What goes wrong in ECI, where that is simulated.
    pub faults: Faults,
    pub image_caches: Api<ImageCache>,
    cluster: Simulated,
    simulator: Option<Simulator>,
}

impl Serverless {
    /// Nobody acts on ImageCaches but the controller and the test.
    pub async fn begin(name: &str) -> Self {
        let cluster = Simulated::running().unwrap();
        let trial = Trial::begin(cluster.kubeconfig(), name).await;
        eci_simulator::define(&trial.client).await.unwrap();
        let image_caches = Api::all_with(trial.client.clone(), &resource());
        Self { trial, faults: Faults::default(), image_caches, cluster, simulator: None }
    }

    pub async fn begin_with_eci(name: &str) -> Self {
        let mut serverless = Self::begin(name).await;
        let options = Options {
            faults: serverless.faults.clone(),
            behaviour: BEHAVIOUR,
            prefix: format!("{}-", serverless.trial.namespace),
            ..Options::default()
        };
        serverless.simulator = Some(Simulator::start(&serverless.trial.client, options));
        serverless
    }

    /// Those of this trial, the oldest first.
    pub async fn all(&self) -> Vec<ImageCache> {
        let mut found = self.image_caches.list(&of_namespace(&self.trial.namespace)).await.unwrap().items;
        found.sort_by_key(|cache| (cache.metadata.creation_timestamp.clone(), cache.name_any()));
        found
    }

    /// Waits until there is exactly one, and it is in that phase.
    pub async fn only(&self, phase: Phase) -> ImageCache {
        eventually(&format!("one ImageCache that is {phase:?}"), async || {
            let mut found = self.all().await;
            (found.len() == 1 && phase_of(&found[0]) == Some(phase)).then(|| found.remove(0))
        })
        .await
    }

    /// The notes of the list's Events with that reason.
    pub async fn reported(&self, reason: &str) -> Vec<String> {
        self.trial.events(reason).await.into_iter().filter_map(|event| event.note).collect()
    }

    /// Makes time pass for the ImageCaches: nobody waits, but all that the cluster holds of them becomes so much older, so that
    /// controller and simulator find the same as if they had waited. The controller is paused meanwhile.
    pub async fn pass(&self, time: SignedDuration, controller: &Controller) {
        controller.signal(Signal::SIGSTOP);
        let prefix = format!("/registry/eci.alibabacloud.com/imagecaches/{}-", self.trial.namespace);
        self.cluster.etcd().unwrap().change(&prefix, |object| grow_older(object, time)).unwrap();
        for revision in self.trial.revisions().await {
            self.revision_grows_older(revision, time).await;
        }
        controller.signal(Signal::SIGCONT);
    }

    async fn revision_grows_older(&self, revision: ControllerRevision, time: SignedDuration) {
        let name = revision.name_any();
        let revisions = self.trial.api::<ControllerRevision>();
        let mut next = Some(revision);
        while let Some(mut revision) = next.take() {
            for text in revision.annotations_mut().values_mut() {
                let Ok(mut kept) = serde_json::from_str::<Value>(text) else { continue };
                grow_older(&mut kept, time);
                *text = kept.to_string();
            }
            match revisions.replace(&name, &PostParams::default(), &revision).await {
                // A write of the controller's was on its way.
                Err(kube::Error::Api(status)) if status.is_conflict() => next = revisions.get_opt(&name).await.unwrap(),
                replaced => drop(replaced.unwrap()),
            }
        }
    }
}

impl Drop for Serverless {
    fn drop(&mut self) {
        let own = of_namespace(&self.trial.namespace);
        clean_up(&self.trial.kubeconfig, async move |client| {
            let caches = Api::<ImageCache>::all_with(client, &resource());
            caches.delete_collection(&DeleteParams::default(), &own).await
        });
    }
}

/// Selects the ImageCaches of lists of that namespace.
pub fn of_namespace(namespace: &str) -> ListParams {
    ListParams::default().labels(&format!("{}={namespace}", kube_prepull::naming::labels::NAMESPACE))
}

pub fn phase_of(cache: &ImageCache) -> Option<Phase> {
    cache.status.as_ref()?.phase
}

/// Every time in an object lies further back.
fn grow_older(value: &mut Value, by: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time - by).to_string();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| grow_older(item, by)),
        Value::Object(entries) => entries.values_mut().for_each(|item| grow_older(item, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
