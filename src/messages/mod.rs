//! All words for users: what happened, to what, why, and what to do. Pure.
//!
//! - [`reason`]: the reason of each Event
//! - [`lists`], [`list_changes`]: whether a list was accepted, what an edit changes, and that a list is missing
//! - [`actions`], [`restores`]: what was done
//! - [`findings`], [`waiting`]: what was found, and what waits
//! - [`discovery`]: what was found in workloads, and what is not known of them
//! - [`node_gates`]: what nodes wait for, and that they were freed
//! - [`pull_credentials`]: what workloads need if kubelets verify their credentials
//! - [`image_caches`]: what was done and found about ImageCaches
//! - [`diagnosis`]: what kubelets and registries say → the cause and the remedy
//! - [`init_containers`]: the same about the init containers of a pod
//! - [`api_errors`]: what could not be read or written
//! - [`excluded_nodes`], [`refused_pods`]: nodes that admission excludes, and pods that it refuses
//! - [`warm_results`]: what a list's ConfigMap says of its images
//! - [`terms`], [`format`]: the words for states; times, sizes, numbers and names
//! - [`lasting`]: what is reported once while it lasts, and in new words once a minute
//! - [`deduplication`]: what was reported a moment ago, and is not repeated

pub mod actions;
pub mod api_errors;
pub mod deduplication;
pub mod diagnosis;
pub mod discovery;
pub mod excluded_nodes;
pub mod findings;
pub mod format;
pub mod image_caches;
pub mod init_containers;
pub mod lasting;
pub mod list_changes;
pub mod lists;
pub mod node_gates;
pub mod pull_credentials;
pub mod reason;
pub mod refused_pods;
mod restores;
mod terms;
pub mod waiting;
pub mod warm_results;

use std::fmt::Debug;

pub use format::{first_few, number};
use k8s_openapi::api::core::v1::ObjectReference;
pub use reason::Reason;
pub use terms::shortage;

use crate::naming::hash::short_hash;
use crate::text::CleanText;

/// The most bytes of an Event's note (the validation of `events.k8s.io/v1`).
pub const MAX_NOTE: usize = 1024;

/// Something to report to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Why.
    pub reason: Reason,
    /// The whole of it.
    pub note: CleanText,
    /// The other object that it is about.
    pub related: Option<ObjectReference>,
    /// What it is about: the same reason for the same subject is reported at most once a minute, however it is worded.
    pub subject: String,
}

impl Message {
    /// A message about the list.
    pub fn new(reason: Reason, subject: impl Into<String>, note: impl Into<CleanText>) -> Self {
        Self { reason, note: note.into(), related: None, subject: subject.into() }
    }

    /// The same, related to a DaemonSet.
    pub fn about(mut self, daemon_set: &str) -> Self {
        self.related = Some(ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("DaemonSet".to_owned()),
            name: Some(daemon_set.to_owned()),
            ..ObjectReference::default()
        });
        self
    }

    /// The note as an Event can hold it.
    pub fn short_note(&self) -> CleanText {
        self.note.shortened(MAX_NOTE)
    }
}

/// The subject of a message whose data is all that it is about.
fn subject_of(data: &impl Debug) -> String {
    short_hash(format!("{data:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = Message::new(Reason::Waiting, "", "ä".repeat(1000)).short_note();
        assert!(note.len() <= MAX_NOTE);
        assert!(note.ends_with('…'));
        assert_eq!(Message::new(Reason::Waiting, "", "short").short_note(), "short");
    }

    #[test]
    fn whatever_a_note_quotes_it_is_clean() {
        for said in crate::text::hostile::TEXTS {
            let message = Message::new(Reason::Refused, "", format!("cannot create the DaemonSet a: {said}"));
            crate::text::hostile::assert_clean(&message.short_note());
            assert!(!message.note.contains('\n'));
        }
    }
}
