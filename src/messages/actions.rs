//! What was done.

use kube::ResourceExt;

use super::restores::restored;
use super::{Message, Reason, findings, first_few, number, subject_of};
use crate::naming::labels;
use crate::plan::decision::{Action, ActionOutcome, DeletionReason, RolloutCause, ScopeDownReason};
use crate::plan::generation::node_scope::NodeScope;

/// What to report of an action that was carried out, if anything.
pub fn done(action: &Action, outcome: &ActionOutcome) -> Option<Message> {
    Some(match action {
        Action::Create { daemon_set, cause } => {
            let name = daemon_set.name_any();
            let group = daemon_set.labels().get(labels::GROUP).cloned().unwrap_or_default();
            let note = format!("group {group}: the DaemonSet {name} starts a rollout because {}", because(*cause));
            Message::new(Reason::RolloutStarted, &name, note).about(&name)
        }
        Action::Restore { daemon_set, restores, .. } => return restored(&daemon_set.name_any(), restores, outcome),
        Action::Adopt { name, .. } => {
            let note = format!(
                "the DaemonSet {name} of kubernetes-image-puller was adopted: it keeps its images until this list's own \
                 DaemonSets hold them, and will then be deleted"
            );
            Message::new(Reason::DaemonSetAdopted, name, note).about(name)
        }
        Action::ScopeDown { name, node_scope, reason, .. } => scoped_down(name, node_scope, reason).about(name),
        Action::Seal { name, images, .. } => {
            let note = format!(
                "sealed the DaemonSet {name}: a replaced or restarted pod cannot pull, so its pods now use {} from the nodes' \
                 disks ({})",
                number(images.len(), "image"),
                first_few(images, ", ", "")
            );
            Message::new(Reason::Sealed, subject_of(&(name, images)), note).about(name)
        }
        Action::Delete { name, reason, .. } => deleted(name, *reason).about(name),
        Action::Report(finding) => findings::found(finding, None),
        Action::ResetStrategy { .. }
        | Action::Recount { .. }
        | Action::ReplacePod { .. }
        | Action::Tolerate { .. }
        | Action::CheckTags { .. }
        | Action::EndTagCheck { .. }
        | Action::Note { .. }
        | Action::NoteParallelPulls { .. } => return None,
    })
}

fn because(cause: RolloutCause) -> String {
    match cause {
        RolloutCause::Missing => "the group has no DaemonSet".to_owned(),
        RolloutCause::Unknown => "the annotations of the group's current DaemonSet were changed or removed".to_owned(),
        RolloutCause::ScopedDown => "the group's current DaemonSet covers only some of the nodes".to_owned(),
        RolloutCause::OwnImage => {
            "no pod of the group's current DaemonSet could start with kube-prepull's own image, and another one is used now"
                .to_owned()
        }
        RolloutCause::Edited => "the group's images or nodes were edited".to_owned(),
        RolloutCause::Requested => "a refresh was requested".to_owned(),
        RolloutCause::Due => "a refresh is due".to_owned(),
        RolloutCause::Moved { images: 1 } => "1 tag has moved".to_owned(),
        RolloutCause::Moved { images } => format!("{images} tags have moved"),
    }
}

fn scoped_down(name: &str, node_scope: &NodeScope, reason: &ScopeDownReason) -> Message {
    let subject = subject_of(&(name, node_scope));
    match reason {
        ScopeDownReason::NeededOnFew => {
            let note = match node_scope {
                NodeScope::Only(nodes) => {
                    format!(
                        "the DaemonSet {name} was scoped down to the nodes that still need it: {}",
                        first_few(nodes, ", ", "")
                    )
                }
                NodeScope::Everywhere | NodeScope::Without(_) => format!("the DaemonSet {name} was scoped down"),
            };
            Message::new(Reason::ScopedDown, subject, note)
        }
        ScopeDownReason::NoCapacity { nodes } => {
            let nodes = nodes.iter().map(|(node, shortage)| format!("{node} ({})", super::shortage(*shortage)));
            let note = format!(
                "the pods of the DaemonSet {name} are removed first on nodes that have no capacity for two pods: {}; until the new \
                 pods have pulled, its images may not be held on these nodes; other nodes show that the images can be pulled",
                first_few(nodes, ", ", "")
            );
            Message::new(Reason::NoCapacity, subject, note)
        }
    }
}

fn deleted(name: &str, reason: DeletionReason) -> Message {
    let (event, why) = match reason {
        DeletionReason::NeededNowhere => {
            (Reason::GenerationDeleted, "was deleted: no node needs it any more".to_owned())
        }
        DeletionReason::Recreated(cause) => {
            (Reason::Recreating, format!("was deleted and will be recreated because {}", because(cause)))
        }
        DeletionReason::ListGone => {
            (Reason::ListCleanedUp, "was deleted: its list was not restored in time".to_owned())
        }
    };
    Message::new(event, name, format!("the DaemonSet {name} {why}"))
}
