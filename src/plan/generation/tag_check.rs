//! Reads the result of a tag check from its pod.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;

use super::check_failure::{CheckFailure, CheckFailureCause};
use super::digests::Digest;
use crate::coverage::{
    ImageState, InitFailure, Initialization, PodStatus, SlimPod, Texts, image_state, initialization,
};
use crate::list::config::Image;
use crate::naming::labels;

/// How long a tag check may take. DaemonSets have no deadline of their own.
pub const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
/// How long a pod may be unschedulable for lack of capacity before the tag check fails.
const UNSCHEDULABLE_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// A tag check in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct TagCheck {
    /// Name of its DaemonSet, which encodes the generation, the check and the node.
    pub name: String,
    /// UID of its DaemonSet.
    pub uid: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    created: Option<Timestamp>,
    /// The state of its pod, or `None` if it has no pod that stays.
    pod: Option<TagCheckPod>,
}

/// The state of a tag check's pod.
#[derive(Clone, Debug, Default, PartialEq)]
struct TagCheckPod {
    /// The answers by container name.
    images: BTreeMap<String, ImageAnswer>,
    /// Names of the running containers.
    held: BTreeSet<String>,
    /// What the kubelet says about the end of the pod, if it has ended.
    ended: Option<String>,
    /// What the scheduler says, if the node has no capacity.
    no_capacity: Option<String>,
    /// Why an init container fails, if one does.
    init_failure: Option<InitFailure>,
}

/// What a tag check has found out about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageAnswer {
    /// The pull is still in progress.
    Pending,
    /// The tag points to this digest.
    Resolved(Digest),
    /// The image was pulled, but the node does not report its ID.
    Unreported,
    /// The tag could not be checked.
    Failed(CheckFailure),
}

/// The progress of a tag check.
#[derive(Clone, Debug, PartialEq)]
pub enum TagCheckProgress {
    /// It may take until this time.
    Underway(Timestamp),
    /// It has finished with these answers, by container name. None of them is [`ImageAnswer::Pending`].
    Done(Vec<(String, ImageAnswer)>),
}

impl TagCheck {
    /// Reads a DaemonSet's metadata, and finds its pod among `pods`. Returns `None` if the DaemonSet is not a tag
    /// check.
    ///
    /// A pod that is being deleted is ignored: the DaemonSet controller replaces it, and on a lost node it may stay in
    /// that state forever.
    pub fn from_metadata<'p>(metadata: &ObjectMeta, pods: impl IntoIterator<Item = &'p SlimPod>) -> Option<Self> {
        let labels = metadata.labels.as_ref()?;
        if !labels::are_ours(labels) || !labels.contains_key(labels::LIST) || !labels.contains_key(labels::TAG_CHECK) {
            return None;
        }
        let uid = metadata.uid.clone()?;
        let own = pods.into_iter().filter(|pod| is_owned_by(pod, &uid) && pod.metadata.deletion_timestamp.is_none());
        let newest = own.max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        Some(Self {
            name: metadata.name.clone()?,
            deleting: metadata.deletion_timestamp.is_some(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            pod: newest.map(TagCheckPod::of),
            uid,
        })
    }

    /// Whether its pod holds the image.
    pub fn holds(&self, image: &Image) -> bool {
        self.pod.as_ref().is_some_and(|pod| pod.held.contains(image.name.as_str()))
    }

    /// Its progress with these images.
    pub fn progress(&self, asked: &[Image], now: Timestamp) -> TagCheckProgress {
        let pod = self.pod.clone().unwrap_or_default();
        let answers = asked.iter().map(|image| {
            let name = image.name.as_str();
            (name.to_owned(), pod.images.get(name).cloned().unwrap_or(ImageAnswer::Pending))
        });
        let answers: Vec<(String, ImageAnswer)> = answers.collect();
        if answers.iter().all(|(_, answer)| *answer != ImageAnswer::Pending) {
            return TagCheckProgress::Done(answers);
        }
        let failure = match self.failure(&pod, now) {
            Ok(failure) => failure,
            Err(until) => return TagCheckProgress::Underway(until),
        };
        let last = |answer| match answer {
            ImageAnswer::Pending => ImageAnswer::Failed(failure.clone()),
            answer => answer,
        };
        TagCheckProgress::Done(answers.into_iter().map(|(name, answer)| (name, last(answer))).collect())
    }

    /// Why it will report nothing more, or the time until which it may.
    fn failure(&self, pod: &TagCheckPod, now: Timestamp) -> Result<CheckFailure, Timestamp> {
        let after = |time| self.created.and_then(|created| created.checked_add(time).ok()).unwrap_or(now);
        let (limit, cause, message) = match (&self.pod, &pod.ended, &pod.no_capacity) {
            (None, ..) => (after(DEADLINE), CheckFailureCause::NoPod, ""),
            (Some(_), Some(ended), _) => (now, CheckFailureCause::PodEnded, ended.as_str()),
            (Some(_), None, Some(scheduler)) => {
                (after(UNSCHEDULABLE_GRACE), CheckFailureCause::NoCapacity, scheduler.as_str())
            }
            (Some(_), None, None) => (after(DEADLINE), CheckFailureCause::NoAnswer, ""),
        };
        if now < limit {
            return Err(limit);
        }
        Ok(CheckFailure { init: pod.init_failure.clone(), ..CheckFailure::new(cause, message) })
    }
}

impl TagCheckPod {
    fn of(pod: &SlimPod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let initialized = initialization(&pod.spec, &status, &mut Texts::default());
        let is_initialized = initialized == Initialization::Done;
        let images = pod.spec.containers.iter().map(|it| (it.name.clone(), answer(&status, &it.name, is_initialized)));
        let held = status.container_statuses.iter().filter(|it| it.state.running.is_some());
        Self {
            images: images.collect(),
            held: held.map(|it| it.name.clone()).collect(),
            ended: status.has_ended().then(|| one_line(&status.reason, &status.message)),
            no_capacity: status.unschedulable().map(|message| one_line("", message)),
            init_failure: initialized.last_failure().map(|failure| (**failure).clone()),
        }
    }
}

fn is_owned_by(pod: &SlimPod, daemon_set: &str) -> bool {
    pod.metadata.owner_references.iter().flatten().any(|it| it.controller == Some(true) && it.uid == daemon_set)
}

fn answer(status: &PodStatus, container: &str, is_initialized: bool) -> ImageAnswer {
    let reported = status.container_statuses.iter().find(|it| it.name == container);
    let digest = reported.and_then(|it| Digest::of_image_id(&it.image_id));
    match (image_state(status, container, is_initialized, &mut Texts::default()), digest) {
        (ImageState::Waiting | ImageState::Pulling | ImageState::Interrupted { .. }, _) => ImageAnswer::Pending,
        (ImageState::Failed { reason, message }, _) => {
            ImageAnswer::Failed(CheckFailure::new(CheckFailureCause::PullFailed, one_line(&reason, &message)))
        }
        // The kubelet lost the container before it could read its status.
        (ImageState::CannotStart { reason, .. }, None) if &*reason == "ContainerStatusUnknown" => ImageAnswer::Pending,
        (ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. }, Some(digest)) => {
            ImageAnswer::Resolved(digest)
        }
        (ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. }, None) => ImageAnswer::Unreported,
    }
}

/// Joins a reason and a message on one line.
fn one_line(reason: &str, message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match (reason, message.as_str()) {
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CREATED: &str = "2026-03-01T12:00:00Z";

    fn after(seconds: i64) -> Timestamp {
        CREATED.parse::<Timestamp>().expect("a time") + SignedDuration::from_secs(seconds)
    }

    fn asked() -> Vec<Image> {
        let list = "images: [{name: one, image: one:1}, {name: two, image: two:1}]";
        crate::plan::tests::accepted(list).groups.remove(0).images
    }

    fn pod(uid: &str, created: i64, mut status: Value) -> SlimPod {
        if status["initContainerStatuses"].is_null() {
            status["initContainerStatuses"] = json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}}]);
        }
        let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "c", "uid": "u", "controller": true});
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": uid, "uid": uid, "creationTimestamp": after(created), "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "one", "image": "one:1"}, {"name": "two", "image": "two:1"}]},
            "status": status,
        }))
        .expect("a pod")
    }

    fn check_of(pods: &[SlimPod]) -> TagCheck {
        let metadata = serde_json::from_value(json!({
            "name": "c", "uid": "u", "creationTimestamp": CREATED,
            "labels": {labels::MANAGED_BY: labels::PROGRAM, labels::LIST: "tools", labels::TAG_CHECK: "check"},
        }));
        TagCheck::from_metadata(&metadata.expect("metadata"), pods).expect("a tag check")
    }

    fn check(status: Value) -> TagCheck {
        check_of(&[pod("p", 1, status)])
    }

    fn progress(check: &TagCheck, seconds: i64) -> TagCheckProgress {
        check.progress(&asked(), after(seconds))
    }

    fn done(check: &TagCheck, seconds: i64) -> Vec<ImageAnswer> {
        match progress(check, seconds) {
            TagCheckProgress::Done(images) => images.into_iter().map(|(_, answer)| answer).collect(),
            TagCheckProgress::Underway(until) => panic!("underway until {until}"),
        }
    }

    fn is(image_id: &str) -> ImageAnswer {
        ImageAnswer::Resolved(Digest::of_image_id(image_id).expect("a digest"))
    }

    fn failed(cause: CheckFailureCause, message: &str) -> ImageAnswer {
        ImageAnswer::Failed(CheckFailure::new(cause, message))
    }

    fn running(name: &str, image_id: &str) -> Value {
        json!({"name": name, "imageID": image_id, "state": {"running": {}}})
    }

    #[test]
    fn a_check_is_done_once_every_image_is_pulled_or_has_failed() {
        let one = running("one", "one@sha256:1");
        let pulling = json!({"name": "two", "state": {"waiting": {"reason": "ContainerCreating"}}});
        let refused =
            json!({"name": "two", "state": {"waiting": {"reason": "ErrImagePull", "message": "429\n Too Many"}}});
        let underway = check(json!({"containerStatuses": [one, pulling]}));
        assert_eq!(progress(&underway, 1), TagCheckProgress::Underway(after(600)));
        let check = check(json!({"containerStatuses": [one, refused]}));
        assert_eq!(
            done(&check, 1),
            [is("sha256:1"), failed(CheckFailureCause::PullFailed, "ErrImagePull: 429 Too Many")]
        );
    }

    #[test]
    fn an_image_counts_as_pulled_even_if_its_container_ended_or_did_not_start() {
        let ended =
            json!({"name": "one", "imageID": "sha256:1", "state": {"terminated": {"containerID": "c", "exitCode": 1}}});
        let refused = json!({"name": "two", "state": {"waiting": {"reason": "CreateContainerError"}}});
        assert_eq!(
            done(&check(json!({"containerStatuses": [ended, refused]})), 1),
            [is("sha256:1"), ImageAnswer::Unreported]
        );
    }

    #[test]
    fn an_ended_pod_keeps_its_answers_and_fails_for_the_other_images() {
        let ended =
            json!({"name": "one", "imageID": "sha256:1", "state": {"terminated": {"containerID": "c", "exitCode": 0}}});
        let lost =
            json!({"name": "two", "state": {"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137}}});
        let status = json!({"phase": "Failed", "reason": "Evicted", "containerStatuses": [ended, lost]});
        assert_eq!(done(&check(status), 60), [is("sha256:1"), failed(CheckFailureCause::PodEnded, "Evicted")]);
    }

    #[test]
    fn a_node_without_capacity_has_thirty_seconds_and_an_unresponsive_one_until_the_deadline() {
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"});
        let full = check(json!({"conditions": [condition]}));
        assert_eq!(progress(&full, 1), TagCheckProgress::Underway(after(30)));
        let no_capacity = failed(CheckFailureCause::NoCapacity, "full");
        assert_eq!(done(&full, 30), [no_capacity.clone(), no_capacity]);
        let init = json!([{"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "gone"}}}]);
        let silent = check(json!({"initContainerStatuses": init}));
        assert_eq!(progress(&silent, 599), TagCheckProgress::Underway(after(600)));
        let init = InitFailure {
            container: "i".to_owned(),
            reason: "ImagePullBackOff".to_owned(),
            message: "gone".to_owned(),
            ..InitFailure::default()
        };
        let failure = CheckFailure { init: Some(init), ..CheckFailure::new(CheckFailureCause::NoAnswer, "") };
        assert_eq!(done(&silent, 600)[0], ImageAnswer::Failed(failure));
    }

    #[test]
    fn a_check_without_a_pod_has_until_the_deadline() {
        let none = check_of(&[]);
        assert_eq!(progress(&none, 599), TagCheckProgress::Underway(after(600)));
        assert_eq!(done(&none, 600)[0], failed(CheckFailureCause::NoPod, ""));
    }

    #[test]
    fn the_newest_pod_of_the_check_that_is_not_being_deleted_answers() {
        let all = |id: &str| json!({"containerStatuses": [running("one", id), running("two", id)]});
        let mut others = pod("others", 9, all("sha256:9"));
        others.metadata.owner_references = None;
        let mut deleting = pod("deleting", 8, all("sha256:8"));
        deleting.metadata.deletion_timestamp = deleting.metadata.creation_timestamp.clone();
        let pods = [others, pod("newest", 2, all("sha256:2")), deleting, pod("old", 1, all("sha256:1"))];
        assert_eq!(done(&check_of(&pods), 10), [is("sha256:2"), is("sha256:2")]);
    }
}
