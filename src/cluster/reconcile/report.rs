//! Reports what happens to a list, as Events on it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::decide::Decision;
use super::memory::Memory;
use crate::cluster::events::EventRecorder;
use crate::cluster::snapshot::Snapshot;
use crate::error::Error;
use crate::messages::api_errors::failure;
use crate::messages::{image_caches, waiting};

/// Reports on the lists of one namespace.
pub struct Reporter {
    pub recorder: EventRecorder,
    pub namespace: String,
}

impl Reporter {
    /// Reports what waits, once when it begins to wait.
    pub async fn report_waiting(&self, seen: &Snapshot, decision: &Decision<'_>, memory: &mut Memory) {
        let list = self.reference(seen);
        let (waiting, image_caches) = (&decision.plan.waiting, &decision.image_caches);
        for it in waiting.iter().filter(|it| !memory.waiting.contains(it)) {
            self.recorder.record(&list, waiting::waiting(it)).await;
        }
        for it in image_caches.plan.waiting.iter().filter(|it| !memory.image_caches_waiting.contains(it)) {
            self.recorder.record(&list, image_caches::waiting(it)).await;
        }
        if let Some(message) = &image_caches.condition
            && memory.image_caches_condition.as_ref() != Some(message)
        {
            self.recorder.record(&list, message.clone()).await;
        }
        memory.waiting.clone_from(waiting);
        memory.image_caches_waiting.clone_from(&image_caches.plan.waiting);
        memory.image_caches_condition.clone_from(&image_caches.condition);
    }

    /// Reports a failure, if it is one.
    pub async fn report_failure<T>(&self, list: &ObjectReference, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Some(message) = outcome.as_ref().err().and_then(failure) {
            self.recorder.record(list, message).await;
        }
        outcome
    }

    /// The object that Events are about: the list, even if it is gone.
    pub fn reference(&self, seen: &Snapshot) -> ObjectReference {
        let Some(config_map) = &seen.config_map else {
            return ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("ConfigMap".to_owned()),
                namespace: Some(self.namespace.clone()),
                name: Some(seen.name.clone()),
                ..ObjectReference::default()
            };
        };
        config_map.object_ref(&())
    }
}
