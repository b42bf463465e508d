//! What happened to DaemonSets that another client changed.

use super::{Message, Reason, first_few};
use crate::plan::ActionOutcome;
use crate::plan::generation::restores::Restores;

/// A DaemonSet was to be restored.
pub fn restored(name: &str, restores: &Restores, outcome: &ActionOutcome) -> Option<Message> {
    let pause = restores.pause();
    let (reason, note) = match outcome {
        ActionOutcome::Done | ActionOutcome::Unchanged => return None,
        ActionOutcome::Restored { changed_by } if restores.is_contested() => (
            Reason::DaemonSetContested,
            format!(
                "{} changed the DaemonSet {name} again. It was restored (attempt {} in a row); the next restore waits \
                 {pause:#}. Stop the changes at their source, and edit the image list instead",
                who(changed_by),
                restores.count
            ),
        ),
        ActionOutcome::Restored { changed_by } => (
            Reason::DaemonSetRestored,
            format!(
                "the DaemonSet {name} was changed by {} and has been restored. To change it, edit the image list",
                who(changed_by)
            ),
        ),
        ActionOutcome::Overtaken { changed_by } => (
            Reason::DaemonSetContested,
            format!(
                "{} changed the DaemonSet {name} again. It has not been restored, because it changed before each write. The next \
                 attempt waits {pause:#}. Stop the changes at their source, and edit the image list instead",
                who(changed_by)
            ),
        ),
        ActionOutcome::Overruled { changed_by } => (
            Reason::DaemonSetNotRestored,
            format!(
                "the DaemonSet {name} was changed by {}. Its spec was replaced, but admission changed the written spec in another \
                 way than in the dry run. Check the mutating admission webhooks and policies of the cluster",
                who(changed_by)
            ),
        ),
    };
    Some(Message::new(reason, name, note).about(name))
}

/// A DaemonSet cannot be restored.
pub fn cannot_restore(name: &str, changed_by: &[String]) -> Message {
    let note = format!(
        "the DaemonSet {name} was changed by {} and cannot be restored, because no stored version of the list matches it. It \
         stays as it is until newer DaemonSets hold its images. To recover its pods sooner, undo the change by hand",
        who(changed_by)
    );
    Message::new(Reason::DaemonSetNotRestored, name, note).about(name)
}

fn who(changed_by: &[String]) -> String {
    if changed_by.is_empty() { "another client".to_owned() } else { first_few(changed_by, ", ", "") }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn reported(count: u32, outcome: &ActionOutcome) -> Option<String> {
        let restores = Restores { count, at: Timestamp::UNIX_EPOCH, left: None };
        restored("tools-a", &restores, outcome).map(|message| format!("{}: {}", message.reason, message.note))
    }

    #[test]
    fn it_is_reported_as_restored_only_if_it_is() {
        let changed_by = || vec!["kubectl-patch".to_owned()];
        assert_eq!(reported(1, &ActionOutcome::Unchanged), None);
        assert_eq!(
            reported(1, &ActionOutcome::Restored { changed_by: changed_by() }).as_deref(),
            Some(
                "DaemonSetRestored: the DaemonSet tools-a was changed by kubectl-patch and has been restored. To change it, edit \
                 the image list"
            )
        );
        let overtaken = reported(1, &ActionOutcome::Overtaken { changed_by: changed_by() });
        assert!(
            overtaken.is_some_and(|it| it.starts_with("DaemonSetContested") && it.contains("has not been restored"))
        );
        let overruled = reported(1, &ActionOutcome::Overruled { changed_by: changed_by() });
        assert!(overruled.is_some_and(|it| it.starts_with("DaemonSetNotRestored") && !it.contains("been restored")));
    }

    #[test]
    fn whoever_keeps_changing_it_is_named_with_the_pause_before_the_next_attempt() {
        let outcome =
            ActionOutcome::Restored { changed_by: vec!["argocd-controller".to_owned(), "kubectl-edit".to_owned()] };
        let reported = reported(5, &outcome).expect("an Event");
        assert!(reported.starts_with("DaemonSetContested: argocd-controller, kubectl-edit changed"), "{reported}");
        assert!(reported.contains("attempt 5 in a row); the next restore waits 16s"), "{reported}");
    }

    #[test]
    fn an_unknown_client_is_another_client() {
        assert!(
            cannot_restore("tools-a", &[]).note.starts_with("the DaemonSet tools-a was changed by another client and")
        );
    }
}
