//! What was done and found, in words.

use jiff::Timestamp;
use kube::ResourceExt;

use super::restores::{cannot_restore, restored};
use super::{Message, Reason, first_few};
use crate::naming::labels;
use crate::plan::{Action, ActionOutcome, DeletionReason, Finding, NodeScope, ScopeDownReason, history};

/// An action came to something that is worth telling.
pub fn done(action: &Action, outcome: &ActionOutcome) -> Option<Message> {
    Some(match action {
        Action::Create { daemon_set, cause } => {
            let name = daemon_set.name_any();
            let group = daemon_set.labels().get(labels::GROUP).cloned().unwrap_or_default();
            let note = format!("group {group}: the DaemonSet {name} begins a rollout, because {cause}");
            Message::new(Reason::RolloutStarted, note).about(&name)
        }
        Action::Restore { daemon_set, restores, .. } => return restored(&daemon_set.name_any(), restores, outcome),
        Action::Adopt { name, .. } => {
            let note = format!(
                "the DaemonSet {name} of kubernetes-image-puller was taken over: it holds its images until this list's own \
                 DaemonSets do, and goes then"
            );
            Message::new(Reason::DaemonSetAdopted, note).about(name)
        }
        Action::ScopeDown { name, node_scope, leaving, .. } => scoped_down(name, node_scope, leaving).about(name),
        Action::Seal { name, images, .. } => {
            let note = format!(
                "the DaemonSet {name} was sealed: a pod of it was replaced or restarted and cannot pull, so from now on its pods \
                 take {} from the nodes' disks: {}",
                if images.len() == 1 { "1 image".to_owned() } else { format!("{} images", images.len()) },
                first_few(images, ", ", "")
            );
            Message::new(Reason::Sealed, note).about(name)
        }
        Action::Delete { name, ending, .. } => ended(name, *ending).about(name),
        Action::Tell(finding) => found(finding, None),
        Action::ResetStrategy { .. }
        | Action::Recount { .. }
        | Action::ReplacePod { .. }
        | Action::CheckTags { .. }
        | Action::EndTagCheck { .. }
        | Action::Note { .. } => {
            return None;
        }
    })
}

/// Something was found. Of pods that do not come, `refusal` is what the API server says.
pub fn found(finding: &Finding, refusal: Option<&str>) -> Message {
    match finding {
        Finding::Moved(note) => Message::new(Reason::TagsMoved, note.clone()),
        Finding::Outdated(note) => Message::new(Reason::NodesOutdated, note.clone()),
        Finding::Deferred(note) => Message::new(Reason::RefreshDeferred, note.clone()),
        Finding::Recovered(note) => Message::new(Reason::RefreshRecovered, note.clone()),
        Finding::Failing(note) => Message::new(Reason::ImageFailing, note.clone()),
        Finding::Healed(note) => Message::new(Reason::ImageRecovered, note.clone()),
        Finding::Evicted(note) => Message::new(Reason::EvictionLoop, note.clone()),
        Finding::AlwaysPullEnforced(note) => Message::new(Reason::AlwaysPullEnforced, note.clone()),
        Finding::NoNodes(note) => Message::new(Reason::NoNodes, note.clone()),
        Finding::Refused { note, daemon_set, .. } => {
            Message::new(Reason::PodsRefused, format!("{note}; {}", refused(refusal, daemon_set))).about(daemon_set)
        }
        Finding::CannotRestore { daemon_set, changed_by } => cannot_restore(daemon_set, changed_by),
        Finding::Done { note, daemon_set } => Message::new(Reason::RolloutComplete, note.clone()).about(daemon_set),
    }
}

/// What the API server said when it was asked for such a pod without making it.
fn refused(refusal: Option<&str>, daemon_set: &str) -> String {
    let Some(why) = refusal else {
        return format!(
            "the API server takes such a pod from kube-prepull itself, so an admission webhook may refuse it from the DaemonSet \
             controller, or that is behind: `kubectl describe daemonset {daemon_set}` says more"
        );
    };
    if why.contains("cannot create resource \"pods\"") {
        return format!(
            "kube-prepull has no right to create pods, so it cannot ask the API server why: `kubectl describe daemonset \
             {daemon_set}` says it"
        );
    }
    // The words of Kubernetes' quota and LimitRange admission (`k8s.io/apiserver/pkg/quota`, `plugin/pkg/admission/limitranger`).
    let remedies = [
        ("must specify", "; set the resources that it names in the list, or let a LimitRange fill them in"),
        ("exceeded quota", "; raise the ResourceQuota"),
        ("minimum", "; set requests in the list that the LimitRange allows"),
        ("maximum", "; set requests and limits in the list that the LimitRange allows"),
    ];
    let remedy = remedies.iter().find(|(done, _)| why.contains(done)).map_or("", |(_, remedy)| remedy);
    format!("the API server says of such a pod: {why}{remedy}")
}

fn scoped_down(name: &str, node_scope: &NodeScope, leaving: &ScopeDownReason) -> Message {
    match leaving {
        ScopeDownReason::NeededOnFew => {
            let note = format!("the DaemonSet {name} is needed on few nodes only and is from now on {node_scope}");
            Message::new(Reason::ScopedDown, note)
        }
        ScopeDownReason::NoCapacity { nodes } => {
            let causes: Vec<String> = nodes.iter().map(|(node, shortage)| format!("{node} ({shortage})")).collect();
            let note = format!(
                "the DaemonSet {name} leaves before the new one is there, since there is no room for both on {}; other nodes \
                 show that the images can be pulled",
                causes.join(", ")
            );
            Message::new(Reason::NoCapacity, note)
        }
    }
}

fn ended(name: &str, ending: DeletionReason) -> Message {
    let (reason, why) = match ending {
        DeletionReason::NeededNowhere => {
            (Reason::GenerationDeleted, "is needed nowhere any more and was deleted".to_owned())
        }
        DeletionReason::Recreated(cause) => {
            (Reason::Recreating, format!("was deleted and is recreated, because {cause}"))
        }
        DeletionReason::ListGone => (Reason::ListCleanedUp, "was deleted, since its list stayed away".to_owned()),
    };
    Message::new(reason, format!("the DaemonSet {name} {why}"))
}

/// The list has gone.
pub fn missing(since: Timestamp) -> Message {
    let until = since.checked_add(history::GRACE).unwrap_or(since);
    let note = format!(
        "this list is gone: there is no such ConfigMap with the label {}=true; its images stay held until {until:.0}, and \
         longer if it comes back before",
        crate::list::IMAGE_LIST_LABEL
    );
    Message::new(Reason::ListMissing, note)
}

/// The list has come back.
pub fn back() -> Message {
    Message::new(Reason::ListFound, "this list is back; nothing was lost meanwhile")
}

/// Something has to wait.
pub fn waiting(note: &str) -> Message {
    Message::new(Reason::Waiting, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_pods_are_refused_is_reported_in_the_api_servers_words_with_a_remedy_where_one_is_known() {
        let told = |why: Option<&str>| refused(why, "tools-a");
        let full =
            "pods \"tools-a-\" is forbidden: exceeded quota: full, requested: pods=1, used: pods=5, limited: pods=5";
        assert_eq!(told(Some(full)), format!("the API server says of such a pod: {full}; raise the ResourceQuota"));
        let bare = "pods \"tools-a-\" is forbidden: failed quota: q: must specify limits.cpu for: app";
        assert!(
            told(Some(bare)).ends_with("set the resources that it names in the list, or let a LimitRange fill them in")
        );
        let small = "minimum cpu usage per Container is 50m, but request is 1m";
        assert!(told(Some(small)).ends_with("; set requests in the list that the LimitRange allows"));
        assert!(told(Some("no pods on Sundays")).ends_with(": no pods on Sundays"));
        assert!(told(None).contains("`kubectl describe daemonset tools-a` says more"));
        let right =
            "pods is forbidden: User \"x\" cannot create resource \"pods\" in API group \"\" in the namespace \"p\"";
        assert!(told(Some(right)).starts_with("kube-prepull has no right to create pods"));
    }
}
