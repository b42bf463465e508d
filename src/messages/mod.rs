//! What was done or found → words for the user. Pure.
//!
//! - [`reason`]: every reason for which the user is told something
//! - [`validation`], [`changes`]: whether a list was accepted, and what an edit changes
//! - [`done`], [`restores`], [`image_caches`]: what was done and found
//! - [`recent`]: what was told a moment ago, and is not told again

mod changes;
pub mod done;
pub mod image_caches;
pub mod reason;
pub mod recent;
mod restores;
mod validation;

use std::fmt::Display;

use k8s_openapi::api::core::v1::ObjectReference;
pub use reason::Reason;
pub use validation::validation_result;

/// The most bytes of an Event's note (the validation of `events.k8s.io/v1`).
pub const MAX_NOTE: usize = 1024;

/// The most characters of what a runtime or a registry said: a note has room for some such.
const MOST_OF_WHY: usize = 160;
/// So many of a kind are named in one note.
const NAMED: usize = 3;

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Why.
    pub reason: Reason,
    /// The whole of it.
    pub note: String,
    /// The other object that it is about.
    pub related: Option<ObjectReference>,
    /// What it is about: the same messages of the same subject comes at most once a minute, however it is worded.
    pub subject: Option<String>,
}

impl Message {
    /// Something to tell.
    pub fn new(reason: Reason, note: impl Into<String>) -> Self {
        Self { reason, note: note.into(), related: None, subject: None }
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

    /// The same, at most once a minute for that subject.
    pub fn on(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The note as an Event can hold it.
    pub fn short_note(&self) -> String {
        if self.note.len() <= MAX_NOTE {
            return self.note.clone();
        }
        let end = (0..=MAX_NOTE - "…".len()).rev().find(|end| self.note.is_char_boundary(*end)).unwrap_or(0);
        format!("{}…", &self.note[..end])
    }
}

/// The first few of them, and how many more there are; `rest` says where.
pub fn first_few<T: Display>(things: impl IntoIterator<Item = T>, separator: &str, rest: &str) -> String {
    let mut things = things.into_iter();
    let mut text = things.by_ref().take(NAMED).map(|thing| thing.to_string()).collect::<Vec<_>>().join(separator);
    match things.count() {
        0 => {}
        more => text.push_str(&format!("{separator}and {more} more{rest}")),
    }
    text
}

/// Registries' and runtimes' messages wrap each other, and the cause stands last. On one line.
pub fn end_of(why: &str) -> String {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let more = why.chars().count().saturating_sub(MOST_OF_WHY);
    let end: String = why.chars().skip(more).collect();
    match end.split_once(' ') {
        Some((_, done)) if more > 0 => format!("… {done}"),
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = Message::new(Reason::Waiting, "ä".repeat(1000)).short_note();
        assert!(note.len() <= MAX_NOTE);
        assert!(note.ends_with('…'));
        assert_eq!(Message::new(Reason::Waiting, "short").short_note(), "short");
    }

    #[test]
    fn many_are_counted_and_few_are_named() {
        assert_eq!(first_few(["a", "b"], ", ", ""), "a, b");
        assert_eq!(first_few(["a", "b", "c", "d", "e"], ", ", " elsewhere"), "a, b, c, and 2 more elsewhere");
        assert_eq!(first_few([""; 0], ", ", ""), "");
    }
}
