//! What the user is told, as Events on the list.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::{debug, info, warn};

/// The most bytes of an Event's note (the validation of `events.k8s.io/v1`).
const MAX_NOTE: usize = 1024;

/// Tells the user what happened to a list.
#[derive(Clone)]
pub struct Teller {
    recorder: Recorder,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Whether somebody should look.
    pub warning: bool,
    /// A word for it, such as `ListRejected`.
    pub reason: &'static str,
    /// What was done.
    pub action: &'static str,
    /// The whole of it.
    pub note: String,
    /// The other object that it is about.
    pub related: Option<ObjectReference>,
}

impl News {
    /// Something went as it should.
    pub fn normal(reason: &'static str, action: &'static str, note: String) -> Self {
        Self { warning: false, reason, action, note, related: None }
    }

    /// Somebody should look.
    pub fn warning(reason: &'static str, action: &'static str, note: String) -> Self {
        Self { warning: true, reason, action, note, related: None }
    }

    /// The same about a DaemonSet.
    pub fn about(mut self, daemon_set: &str) -> Self {
        self.related = Some(ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("DaemonSet".to_owned()),
            name: Some(daemon_set.to_owned()),
            ..ObjectReference::default()
        });
        self
    }
}

impl Teller {
    /// Tells in the name of this process.
    pub fn new(client: Client) -> Self {
        let instance = Some(super::surroundings::instance());
        let reporter = Reporter { controller: super::FIELD_MANAGER.to_owned(), instance };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Tells it as an Event on the list and in the log. That an Event cannot be written stops nothing.
    ///
    /// The recorder folds news of one reason about the same version of the list and the same other object into one Event.
    pub async fn tell(&self, list: &ObjectReference, news: News) {
        let name = list.name.as_deref().unwrap_or_default();
        match news.warning {
            true => warn!(list = name, reason = news.reason, "{}", news.note),
            false => info!(list = name, reason = news.reason, "{}", news.note),
        }
        let event = Event {
            type_: if news.warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.to_owned(),
            note: Some(shortened(&news.note)),
            action: news.action.to_owned(),
            secondary: news.related,
        };
        if let Err(error) = self.recorder.publish(&event, list).await {
            debug!(list = name, %error, "cannot write an Event");
        }
    }
}

fn shortened(note: &str) -> String {
    if note.len() <= MAX_NOTE {
        return note.to_owned();
    }
    let end = (0..=MAX_NOTE - "…".len()).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = shortened(&"ä".repeat(1000));
        assert!(note.len() <= MAX_NOTE);
        assert!(note.ends_with('…'));
        assert_eq!(shortened("short"), "short");
    }
}
