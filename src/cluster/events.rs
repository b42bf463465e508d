//! Reports messages as Events on the list and in the log.
//!
//! kube's own recorder folds all Events of one reason about one object into the first one, so the text of later ones would be lost.
//! Here only Events with the same text are folded ([`crate::messages::deduplication`]).

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client};
use serde_json::json;
use tracing::{debug, info, warn};

use super::FIELD_MANAGER;
use crate::messages::Message;
use crate::messages::deduplication::{Delivery, Recent};
use crate::messages::reason::Type;

/// Reports what happened to a list.
#[derive(Clone)]
pub struct EventRecorder {
    events: Api<Event>,
    instance: String,
    recent: Arc<Mutex<Recent>>,
}

impl EventRecorder {
    /// Prepares to report on the lists of a namespace as this process.
    pub fn new(client: &Client, namespace: &str) -> Self {
        let events = Api::namespaced(client.clone(), namespace);
        Self { events, instance: super::environment::instance(), recent: Arc::default() }
    }

    /// Reports a message, unless it was reported a moment ago. A failure to write the Event is only logged.
    pub async fn record(&self, list: &ObjectReference, message: Message) {
        self.record_at(list, message, Timestamp::now()).await;
    }

    /// The same at this time, for those who count the minutes themselves.
    pub async fn record_at(&self, list: &ObjectReference, message: Message, now: Timestamp) {
        let name = list.name.as_deref().unwrap_or_default();
        let how = self.recent.lock().unwrap_or_else(PoisonError::into_inner).record(name, &message, now);
        if how == Delivery::Suppressed {
            return debug!(list = name, reason = %message.reason, "{}", message.note);
        }
        match message.reason.type_() {
            Type::Warning => warn!(list = name, reason = %message.reason, "{}", message.note),
            Type::Normal => info!(list = name, reason = %message.reason, "{}", message.note),
        }
        if let Err(error) = self.write(list, &message, how, now).await {
            debug!(list = name, %error, "cannot write an Event");
        }
    }

    async fn write(
        &self,
        list: &ObjectReference,
        message: &Message,
        how: Delivery,
        now: Timestamp,
    ) -> kube::Result<()> {
        match how {
            Delivery::Suppressed => Ok(()),
            Delivery::New(event) => self.create(list, message, event, now).await,
            Delivery::Repeated { event, count } => {
                let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
                match self.events.patch(&event, &PatchParams::default(), &Patch::Merge(series)).await {
                    // The API server usually keeps Events for an hour, and anybody may delete them.
                    Err(kube::Error::Api(status)) if status.is_not_found() => {
                        self.create(list, message, event, now).await
                    }
                    patched => patched.map(drop),
                }
            }
        }
    }

    async fn create(
        &self,
        list: &ObjectReference,
        message: &Message,
        name: String,
        now: Timestamp,
    ) -> kube::Result<()> {
        let event = Event {
            metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
            event_time: Some(MicroTime(now)),
            type_: Some(message.reason.type_().to_string()),
            reason: Some(message.reason.to_string()),
            action: Some(message.reason.action().to_owned()),
            note: Some(message.short_note().into()),
            regarding: Some(list.clone()),
            related: message.related.clone(),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        };
        self.events.create(&PostParams::default(), &event).await.map(drop)
    }
}
