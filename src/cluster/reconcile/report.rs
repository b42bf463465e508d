//! Reports what happens to a list, as Events on it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::decide::Decision;
use super::memory::Memory;
use crate::cluster::events::EventRecorder;
use crate::cluster::snapshot::Snapshot;
use crate::error::Error;
use crate::messages::api_errors::{failure, failure_of};
use crate::messages::{image_caches as of_image_caches, waiting};
use crate::plan::Action;

/// Reports on the lists of one namespace.
pub struct Reporter {
    pub recorder: EventRecorder,
    pub namespace: String,
}

impl Reporter {
    /// Reports what waits. Returns when there will be more to report if nothing changes before.
    pub async fn report_waiting(
        &self,
        seen: &Snapshot,
        decision: &Decision<'_>,
        memory: &mut Memory,
    ) -> Option<Timestamp> {
        let (list, now) = (self.reference(seen), Timestamp::now());
        let image_caches = &decision.image_caches;
        let waiting = decision.plan.waiting.iter().map(waiting::waiting);
        let waiting = waiting.chain(image_caches.plan.waiting.iter().map(of_image_caches::waiting));
        let waiting = waiting.chain(decision.discovery.notes.iter().cloned());
        let due = memory.lasting.report(waiting.chain(image_caches.condition.clone()), now);
        for message in due.messages {
            self.recorder.record_at(&list, message, now).await;
        }
        due.wake_at
    }

    /// Reports a failure, if it is one.
    pub async fn report_failure<T>(&self, list: &ObjectReference, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Some(message) = outcome.as_ref().err().and_then(failure) {
            self.recorder.record(list, message).await;
        }
        outcome
    }

    /// Reports the failure of an action of the plan, if it failed.
    pub async fn report_action<T>(
        &self,
        list: &ObjectReference,
        action: &Action,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(message) = outcome.as_ref().err().and_then(|error| failure_of(action, error)) {
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
