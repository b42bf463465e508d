//! What was found.

use super::diagnosis::{Diagnosis, explain};
use super::refused_pods::{DryRun, refused};
use super::restores::cannot_restore;
use super::{Message, Reason, excluded_nodes, first_few, init_containers, number, subject_of};
use crate::coverage::{EVICTION_LOOP_LENGTH, EVICTION_LOOP_WINDOW, end_of, end_within};
use crate::plan::decision::{FailingImage, FailingInitContainer, Finding, MovedTag, UncheckedImage};
use crate::plan::generation::check_failure::{CheckFailure, CheckFailureCause};
use crate::plan::generation::pod_creation::GRACE;
use crate::plan::generation::tag_check::DEADLINE;
use crate::summary::node_state::NodeState;

/// Where users find the rest if a note names only a few.
const REST: &str = " (`kubectl prepull status` has all)";

/// Reports a finding. `dry_run` is the API server's answer to a dry run of a pod that is missing.
pub fn found(finding: &Finding, dry_run: Option<&DryRun>) -> Message {
    let subject = subject_of(finding);
    match finding {
        Finding::TagsMoved { group, moved } => {
            let moved = moved
                .iter()
                .map(|MovedTag { reference, before, now }| format!("the tag {reference} moved from {before} to {now}"));
            Message::new(Reason::TagsMoved, subject, format!("group {group}: {}", first_few(moved, "; ", "")))
        }
        Finding::NodesOutdated { group, references } => Message::new(
            Reason::NodesOutdated,
            subject,
            format!(
                "group {group}: some nodes hold an older version of {}; they are updated a few at a time, \
                 without a rollout",
                first_few(references, ", ", "")
            ),
        ),
        Finding::RefreshDeferred { group, images, of, retry_at } => {
            let next =
                retry_at.map(|at| format!(" and will be checked again at {at:.0}, then with increasing backoff"));
            let why = by_cause(images);
            // The first retries follow within a minute, and each names the time of the next. Only other images are reported again.
            let references: Vec<&str> = images.iter().map(|image| image.reference.as_str()).collect();
            Message::new(
                Reason::RefreshDeferred,
                subject_of(&(group, references)),
                format!(
                    "group {group}: the tags of {} of {} could not be checked{}: {}",
                    images.len(),
                    number(*of, "image"),
                    next.unwrap_or_default(),
                    first_few(&why, "; ", "")
                ),
            )
        }
        Finding::RefreshRecovered { group } => Message::new(
            Reason::RefreshRecovered,
            subject,
            format!("group {group}: the tags of all images could be checked again"),
        ),
        Finding::ImagesFailing { group, images, count, of } => Message::new(
            Reason::ImageFailing,
            subject,
            format!(
                "group {group}: {count} of {} cannot be held: {}; kubelets retry at least every 5 minutes",
                number(*of, "image"),
                first_few(images.iter().map(|image| failing(image, images.len())), "; ", REST)
            ),
        ),
        Finding::ImagesRecovered { group, references } => Message::new(
            Reason::ImageRecovered,
            subject,
            format!(
                "group {group}: held again on every node on which the newest DaemonSet has a pod: {}",
                first_few(references, ", ", REST)
            ),
        ),
        Finding::InitContainersFailing { group, daemon_set, containers } => Message::new(
            Reason::InitContainerFailing,
            subject,
            format!(
                "group {group}: pods of the DaemonSet {daemon_set} cannot start, so they pull no image: {}; kubelets retry \
                 at least every 5 minutes",
                first_few(containers.iter().map(failing_init), "; ", REST)
            ),
        )
        .about(daemon_set),
        Finding::HolderImageAbsent { group, failure, instead } => Message::new(
            Reason::HolderImageAbsent,
            subject,
            format!("group {group}: {}", init_containers::served_by_another(failure, instead)),
        ),
        Finding::InitContainersRecovered { group, daemon_set, containers } => Message::new(
            Reason::InitContainerRecovered,
            subject,
            format!(
                "group {group}: no pod of the DaemonSet {daemon_set} fails any more in its init container {}",
                first_few(containers, ", ", "")
            ),
        )
        .about(daemon_set),
        Finding::EvictionLoop { group, nodes } => Message::new(
            Reason::EvictionLoop,
            subject,
            format!(
                "group {group}: the holder was evicted at least {EVICTION_LOOP_LENGTH} times within \
                 {EVICTION_LOOP_WINDOW:#} on {} ({}) for lack of disk, and its images are pulled again each \
                 time; give the nodes more disk, shorten the list, or exclude these nodes with the group's \
                 nodeSelector",
                number(nodes.len(), "node"),
                first_few(nodes, ", ", REST)
            ),
        ),
        Finding::AlwaysPullEnforced { group } => Message::new(
            Reason::AlwaysPullEnforced,
            subject,
            format!(
                "group {group}: admission sets imagePullPolicy: Always on every pod, as the plugin \
                 AlwaysPullImages does, so a pod that is replaced or restarted during a registry outage cannot \
                 use the images on its node's disk; exempt this namespace if a policy does it"
            ),
        ),
        Finding::NoNodes { group } => Message::new(
            Reason::NoNodes,
            subject,
            format!(
                "group {group}: no node matches, so its images are held nowhere; a node has to run Linux, match \
                 the group's nodeSelector, affinity and architectures, and have no taint that the group does not \
                 tolerate"
            ),
        ),
        Finding::UserNamespacesMissing { group, nodes } => Message::new(
            Reason::UserNamespacesMissing,
            subject,
            format!(
                "group {group}: its pods do not start on {} ({}), because the runtime there reports no support for user \
                 namespaces, and the group has hostUsers: false; update the runtime of these nodes, exclude them with the \
                 group's nodeSelector, or remove hostUsers",
                number(nodes.len(), "node"),
                first_few(nodes, ", ", REST)
            ),
        ),
        Finding::PodsRefused { group, daemon_set, nodes, .. } => Message::new(
            Reason::PodsRefused,
            subject,
            format!(
                "group {group}: the DaemonSet {daemon_set} has no pod on {} that it selects ({}), and none has come for \
                 {GRACE:#}; older DaemonSets stay meanwhile; {}",
                number(nodes.len(), "node"),
                first_few(nodes, ", ", REST),
                refused(dry_run, daemon_set)
            ),
        )
        .about(daemon_set),
        Finding::NodesExcluded { namespace, group, daemon_set, nodes } => {
            excluded_nodes::nodes_excluded(namespace, group, daemon_set, nodes)
        }
        Finding::CannotRestore { daemon_set, changed_by } => cannot_restore(daemon_set, changed_by),
        Finding::RolloutStalled { group, daemon_set, took, images, nodes, nodes_with_all } => {
            let note = format!(
                "group {group}: the rollout of the DaemonSet {daemon_set} stalled after {took:#}: no node is pulling any more, and \
                 {nodes_with_all} of {} {} all of its {}; kubelets keep retrying; `kubectl prepull status` shows what the others \
                 lack, and why",
                number(*nodes, "node"),
                if *nodes_with_all == 1 { "holds" } else { "hold" },
                number(*images, "image"),
            );
            Message::new(Reason::RolloutStalled, subject, note).about(daemon_set)
        }
        Finding::RolloutComplete { group, daemon_set, took, images, nodes } => {
            let note = format!(
                "group {group}: the rollout of the DaemonSet {daemon_set} is complete after {took:#}: {} {} held on {}",
                number(*images, "image"),
                if *images == 1 { "is" } else { "are" },
                number(*nodes, "node"),
            );
            Message::new(Reason::RolloutComplete, subject, note).about(daemon_set)
        }
    }
}

/// Why a tag could not be checked.
pub fn unchecked(failure: &CheckFailure) -> String {
    let CheckFailure { cause, message, init } = failure;
    let what = match cause {
        CheckFailureCause::PodEnded if message.is_empty() => "the pod ended".to_owned(),
        CheckFailureCause::PullFailed | CheckFailureCause::PodEnded => message.into(),
        CheckFailureCause::NoCapacity if message.is_empty() => "the pod cannot be scheduled".to_owned(),
        CheckFailureCause::NoCapacity => format!("the pod cannot be scheduled: {message}"),
        CheckFailureCause::NoPod => format!("no pod within {DEADLINE:#}"),
        CheckFailureCause::NoAnswer => format!("no answer within {DEADLINE:#}"),
    };
    match init {
        None => what,
        Some(failure) => format!("{what}: {}", init_containers::in_words(failure)),
    }
}

/// The images that could not be checked, with the cause of each. An init container's failure concerns all images of its pod, so
/// it is said once.
fn by_cause(images: &[UncheckedImage]) -> Vec<String> {
    let mut by_cause: Vec<(Vec<&str>, String)> = Vec::new();
    for UncheckedImage { reference, node, failure } in images {
        let of_init = failure.as_ref().is_some_and(|failure| failure.init.is_some());
        let why = why_unchecked(node.as_deref(), failure.as_ref());
        match by_cause.iter_mut().find(|(_, known)| of_init && *known == why) {
            Some((references, _)) => references.push(reference),
            None => by_cause.push((vec![reference], why)),
        }
    }
    by_cause.into_iter().map(|(references, why)| format!("{} {why}", first_few(references, ", ", ""))).collect()
}

fn why_unchecked(node: Option<&str>, failure: Option<&CheckFailure>) -> String {
    let place = node.map_or_else(|| "as before".to_owned(), |node| format!("on {node}"));
    let Some(failure) = failure else { return place };
    let why = unchecked(failure);
    // The words about an init container are kube-prepull's own and begin with the cause.
    let why = if failure.init.is_some() { why } else { end_of(&why) };
    format!("{place}: {why}")
}

/// The most characters that one note quotes of what kubelets said.
const QUOTED: usize = 200;

/// The diagnosis first: a note of limited length may lose its end. `of` images share what is quoted.
fn failing(image: &FailingImage, of: usize) -> String {
    let FailingImage { reference, pulled, reason, message, nodes } = image;
    let (state, what) = match pulled {
        true => (NodeState::CannotStart, "was pulled, but does not start"),
        false => (NodeState::Failed, "cannot be pulled"),
    };
    let Diagnosis { what: cause, remedy, .. } = explain(state, reason, message, reference);
    let said = [reason, message].into_iter().filter(|said| !said.is_empty()).map(String::as_str).collect::<Vec<_>>();
    let said = end_within(&said.join(": "), QUOTED / of.max(1));
    let explained = remedy.map(|remedy| format!("{}; {remedy} ({said})", cause));
    format!("{reference} {what} on {}: {}", first_few(nodes, ", ", ""), explained.unwrap_or(said))
}

fn failing_init(container: &FailingInitContainer) -> String {
    let FailingInitContainer { failure, nodes } = container;
    format!("on {}: {}", first_few(nodes, ", ", ""), init_containers::in_words(failure))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_NOTE;
    use super::*;
    use crate::coverage::InitFailure;
    use crate::naming::INIT_CONTAINER;

    #[test]
    fn an_init_container_that_keeps_a_tag_check_from_answering_is_named_once_with_the_cause_and_the_remedy() {
        let init = InitFailure {
            container: INIT_CONTAINER.to_owned(),
            image: "registry.example/kp:1".to_owned(),
            reason: "ImagePullBackOff".to_owned(),
            message:
                "unexpected status from HEAD request to https://registry.example/v2/kp/manifests/1: 401 Unauthorized"
                    .to_owned(),
            service_account: "holder".to_owned(),
            ..InitFailure::default()
        };
        let failure = CheckFailure { init: Some(init), ..CheckFailure::new(CheckFailureCause::NoAnswer, "") };
        let image = |reference: &str| UncheckedImage {
            reference: reference.to_owned(),
            node: Some("n1".to_owned()),
            failure: Some(failure.clone()),
        };
        let images = vec![image("a:1"), image("b:1")];
        let said = found(&Finding::RefreshDeferred { group: "g".to_owned(), images, of: 2, retry_at: None }, None).note;
        let cause = "a:1, b:1 on n1: no answer within 10m: kube-prepull's own image registry.example/kp:1 cannot be pulled: \
                     401 from registry.example: ";
        assert!(said.contains(cause) && said.contains("; give the ServiceAccount holder a pull secret"), "{said}");
        assert_eq!(said.matches("own image").count(), 1, "{said}");
        assert_eq!(unchecked(&failure), unchecked(&failure.shortened()), "after a restart, too");
    }

    #[test]
    fn other_images_that_cannot_be_checked_are_reported_at_any_time_and_another_time_of_the_retry_is_not() {
        let subject = |references: &[&str], retry_at: Option<i64>| {
            let image =
                |reference: &&str| UncheckedImage { reference: (*reference).to_owned(), node: None, failure: None };
            let retry_at = retry_at.and_then(|second| jiff::Timestamp::from_second(second).ok());
            let images: Vec<UncheckedImage> = references.iter().map(image).collect();
            found(&Finding::RefreshDeferred { group: "g".to_owned(), images, of: 9, retry_at }, None).subject
        };
        assert_eq!(subject(&["a:1"], None), subject(&["a:1"], Some(60)));
        assert_ne!(subject(&["a:1"], None), subject(&["a:1", "b:1"], None));
    }

    fn note(images: &[(&str, &str)]) -> String {
        let failing = |(reference, message): &(&str, &str)| FailingImage {
            reference: (*reference).to_owned(),
            pulled: false,
            reason: "ErrImagePull".to_owned(),
            message: (*message).to_owned(),
            nodes: ["node1", "node2"].map(str::to_owned).into(),
        };
        let images: Vec<FailingImage> = images.iter().map(failing).collect();
        let (group, count) = ("g".to_owned(), images.len());
        found(&Finding::ImagesFailing { group, images, count, of: 9 }, None).short_note().into()
    }

    const GONE: &str = "failed to pull and unpack image \"a.test/x:1\": failed to resolve reference \"a.test/x:1\": a.test/x:1: not found";

    #[test]
    fn an_image_that_fails_is_reported_with_its_diagnosis_before_the_words_of_the_kubelet() {
        let note = note(&[("a.test/x:1", GONE)]);
        let expected =
            "a.test/x:1 cannot be pulled on node1, node2: no such image or tag from a.test; check the reference (";
        assert!(note.contains(expected) && note.contains("a.test/x:1: not found)"), "{note}");
        assert!(note.ends_with("; kubelets retry at least every 5 minutes"), "{note}");
        assert!(!note.contains("keep"), "nobody has checked what nodes hold: {note}");
    }

    #[test]
    fn what_nothing_explains_is_reported_in_the_words_of_the_kubelet_alone() {
        let note = note(&[("a.test/x:1", "something new")]);
        assert!(note.contains("cannot be pulled on node1, node2: ErrImagePull: something new; kubelets"), "{note}");
    }

    #[test]
    fn the_diagnoses_of_three_images_fit_into_a_note() {
        let references = ["a.test/team/one:1", "a.test/team/two:1", "a.test/team/three:1"];
        let note = note(&references.map(|reference| (reference, GONE)));
        assert!(note.len() <= MAX_NOTE && !note.ends_with('…'), "{note}");
        assert_eq!(note.matches("no such image or tag from a.test; check the reference").count(), 3, "{note}");
    }
}
