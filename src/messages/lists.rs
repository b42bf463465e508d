//! Whether a list was accepted, and that it is missing or back.

use jiff::Timestamp;

use super::format::number;
use super::list_changes::list_changes;
use super::{Message, Reason};
use crate::list::{Config, Parsed};
use crate::naming::labels;
use crate::plan::versions;

/// A list was accepted, with what has changed since `before`; or it was rejected. The note has the first three problems, and an
/// annotation of the list has all.
pub fn validation_result(parsed: &Parsed, before: Option<&Config>, data_hash: &str) -> Message {
    let first: Vec<String> = parsed.problems.iter().take(3).map(ToString::to_string).collect();
    let rest = match parsed.problems.len() {
        0..=3 => String::new(),
        count => format!(" | … and {} more in the annotation {}", count - 3, labels::PROBLEMS),
    };
    // On one line, because `kubectl get events` shows only the first line of a note.
    let problems = format!("{}{rest}", first.join(" | "));
    let Some(config) = &parsed.config else {
        return Message::new(
            Reason::ListRejected,
            data_hash,
            format!("this edit is rejected, and nothing was changed: {problems}"),
        );
    };
    let problems = Some(problems).filter(|problems| !problems.is_empty());
    let sentences: Vec<String> = [summary(config)].into_iter().chain(changed(before, config)).chain(problems).collect();
    Message::new(Reason::ListAccepted, data_hash, sentences.join("; "))
}

fn summary(config: &Config) -> String {
    let images: usize = config.groups.iter().map(|group| group.images.len()).sum();
    format!("accepted: {} in {}", number(images, "image"), number(config.groups.len(), "group"))
}

fn changed(before: Option<&Config>, config: &Config) -> Option<String> {
    let changes = list_changes(before?, config);
    Some(if changes.is_empty() { "no effective change".to_owned() } else { changes.join("; ") })
}

/// The list is gone.
pub fn missing(since: Timestamp) -> Message {
    let until = since.checked_add(versions::GRACE).unwrap_or(since);
    let note = format!(
        "the ConfigMap was deleted or lost the label {}=true; its images will be released at {until:.0} unless it is restored",
        crate::list::IMAGE_LIST_LABEL
    );
    Message::new(Reason::ListMissing, since.to_string(), note)
}

/// The list is back.
pub fn back() -> Message {
    Message::new(Reason::ListFound, "", "the list is back; its images stay held")
}
