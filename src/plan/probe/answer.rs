//! What a probe's pod says, once it has said all that it will.

use jiff::{SignedDuration, Timestamp};
use kube::core::Object;
use serde::Deserialize;

use super::digests::Digest;
use crate::coverage::{self, ImageState, Texts, image_state};
use crate::naming::labels;

/// How long a probe may pull. The kubelet ends it then, also where no controller runs.
pub const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
/// How much longer a controller waits for a kubelet that does not say so.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
/// How long a scheduler may say that there is no room, before another node is asked.
const ROOM: SignedDuration = SignedDuration::from_secs(30);

/// A probe's pod, decoded without everything that does not matter here.
pub type SlimProbe = Object<coverage::PodSpec, ProbeStatus>;

/// The part of a probe's status that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProbeStatus {
    /// `Failed` where the pod was refused, evicted or ended by its deadline.
    pub phase: String,
    /// The kubelet's word for that.
    pub reason: String,
    /// More words.
    pub message: String,
    /// Whether it was given a node.
    pub conditions: Vec<Condition>,
    /// What became of its containers.
    #[serde(flatten)]
    pub containers: coverage::PodStatus,
}

/// The part of a pod's condition that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Which one, such as `PodScheduled`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The word for why it is as it is.
    pub reason: String,
    /// More words.
    pub message: String,
}

/// A probe as the plan sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
    /// The name of its group.
    pub group: String,
    /// Which look it belongs to.
    pub look: String,
    /// The architecture of its node; empty where that is not known.
    pub architecture: String,
    /// Whether it is about to go.
    pub deleting: bool,
    /// The node it is on, once it is.
    pub node: Option<String>,
    created: Option<Timestamp>,
    images: Vec<(String, Said)>,
    /// Why nothing more is to be expected of it.
    ended: Option<String>,
    no_room: Option<String>,
    /// Why the holder is not installed yet.
    hindered: Option<String>,
}

/// What a probe said of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing yet.
    Nothing,
    /// The tag stands for this.
    Is(Digest),
    /// It was pulled, but the node does not say what it is.
    Untold,
    /// It could not be pulled.
    Failed(String),
}

/// How far a probe is.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// It has until then.
    Underway(Timestamp),
    /// It said this of its images, by their names. There is no [`Said::Nothing`] among them.
    Done(Vec<(String, Said)>),
}

impl Probe {
    /// Reads a pod. `None` where it is no probe.
    pub fn from_pod(pod: &SlimProbe) -> Option<Self> {
        let metadata = &pod.metadata;
        let label = |key: &str| metadata.labels.as_ref()?.get(key).cloned();
        let status = pod.status.clone().unwrap_or_default();
        let images = pod.spec.containers.iter().map(|it| (it.name.clone(), said(&status.containers, &it.name)));
        let unscheduled =
            status.conditions.iter().find(|it| it.type_ == "PodScheduled" && it.reason == "Unschedulable");
        let inits = status.containers.init_container_statuses.iter();
        let waiting = inits.filter_map(|init| init.state.waiting.as_ref()).find(|it| !it.reason.is_empty());
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            group: label(labels::GROUP)?,
            look: label(labels::PROBE)?,
            architecture: label(labels::PROBE_ARCHITECTURE).unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            node: pod.spec.node_name.clone(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            images: images.collect(),
            ended: ["Failed", "Succeeded"]
                .contains(&status.phase.as_str())
                .then(|| words(&status.reason, &status.message, "the pod ended")),
            no_room: unscheduled.map(|condition| words("no room", &condition.message, "")),
            hindered: waiting.map(|it| words(&it.reason, &it.message, "")),
        })
    }

    /// How far it is.
    pub fn progress(&self, now: Timestamp) -> Progress {
        let after = |time| self.created.and_then(|created| created.checked_add(time).ok()).unwrap_or(now);
        let unsaid = self.images.iter().any(|(_, said)| *said == Said::Nothing);
        let deadline = after(DEADLINE + PATIENCE);
        let end = match (&self.ended, &self.no_room) {
            _ if !unsaid => String::new(),
            (Some(ended), _) => ended.clone(),
            (None, Some(no_room)) if after(ROOM) <= now => no_room.clone(),
            (None, Some(_)) => return Progress::Underway(after(ROOM)),
            (None, None) if deadline <= now => format!("no answer within {DEADLINE:#}"),
            (None, None) => return Progress::Underway(deadline),
        };
        let end = self.hindered.as_ref().map_or(end.clone(), |hindered| format!("{end} ({hindered})"));
        let images = self.images.iter().map(|(name, said)| match said {
            Said::Nothing => (name.clone(), Said::Failed(end.clone())),
            said => (name.clone(), said.clone()),
        });
        Progress::Done(images.collect())
    }
}

fn said(status: &coverage::PodStatus, container: &str) -> Said {
    let reported = status.container_statuses.iter().find(|it| it.name == container);
    let digest = reported.and_then(|it| Digest::of_image_id(&it.image_id));
    match (image_state(status, container, &mut Texts::default()), digest) {
        (ImageState::Waiting | ImageState::Pulling, _) => Said::Nothing,
        (ImageState::Failed { reason, message }, _) => Said::Failed(words(&reason, &message, "")),
        // The kubelet lost sight of the container before it could look at it.
        (ImageState::CannotStart { reason, .. }, None) if &*reason == "ContainerStatusUnknown" => Said::Nothing,
        (ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. }, Some(digest)) => Said::Is(digest),
        (ImageState::Held | ImageState::Stopped | ImageState::CannotStart { .. }, None) => Said::Untold,
    }
}

/// What a kubelet or a scheduler said, on one line.
fn words(reason: &str, message: &str, otherwise: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match (reason, message.as_str()) {
        ("", "") => otherwise.to_owned(),
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

    fn probe(mut status: Value) -> Probe {
        if status["initContainerStatuses"].is_null() {
            status["initContainerStatuses"] = json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}}]);
        }
        let pod: SlimProbe = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "uid": "u", "creationTimestamp": CREATED, "labels": {
                labels::LIST: "tools", labels::GROUP: "default", labels::PROBE: "look"}},
            "spec": {"containers": [{"name": "one", "image": "one:1"}, {"name": "two", "image": "two:1"}]},
            "status": status,
        }))
        .expect("a pod");
        Probe::from_pod(&pod).expect("a probe")
    }

    fn done(probe: &Probe, seconds: i64) -> Vec<Said> {
        match probe.progress(after(seconds)) {
            Progress::Done(images) => images.into_iter().map(|(_, said)| said).collect(),
            Progress::Underway(until) => panic!("underway until {until}"),
        }
    }

    fn is(image_id: &str) -> Said {
        Said::Is(Digest::of_image_id(image_id).expect("a digest"))
    }

    #[test]
    fn it_is_done_as_soon_as_all_images_came_or_failed() {
        let running = json!({"name": "one", "imageID": "one@sha256:1", "state": {"running": {}}});
        let pulling = json!({"name": "two", "state": {"waiting": {"reason": "ContainerCreating"}}});
        let failed =
            json!({"name": "two", "state": {"waiting": {"reason": "ErrImagePull", "message": "429\n Too Many"}}});
        let underway = probe(json!({"containerStatuses": [running, pulling]}));
        assert_eq!(underway.progress(after(1)), Progress::Underway(after(660)));
        let probe = probe(json!({"containerStatuses": [running, failed]}));
        assert_eq!(done(&probe, 1), [is("sha256:1"), Said::Failed("ErrImagePull: 429 Too Many".to_owned())]);
    }

    #[test]
    fn an_image_whose_container_ended_or_never_started_was_pulled_all_the_same() {
        let ended =
            json!({"name": "one", "imageID": "sha256:1", "state": {"terminated": {"containerID": "c", "exitCode": 1}}});
        let refused = json!({"name": "two", "state": {"waiting": {"reason": "CreateContainerError"}}});
        assert_eq!(done(&probe(json!({"containerStatuses": [ended, refused]})), 1), [is("sha256:1"), Said::Untold]);
    }

    #[test]
    fn a_pod_that_was_ended_keeps_what_it_said_and_fails_for_the_rest() {
        let ended =
            json!({"name": "one", "imageID": "sha256:1", "state": {"terminated": {"containerID": "c", "exitCode": 0}}});
        let lost =
            json!({"name": "two", "state": {"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137}}});
        let status = json!({"phase": "Failed", "reason": "DeadlineExceeded", "containerStatuses": [ended, lost]});
        assert_eq!(done(&probe(status), 600), [is("sha256:1"), Said::Failed("DeadlineExceeded".to_owned())]);
    }

    #[test]
    fn a_node_without_room_is_waited_for_a_moment_and_a_silent_one_until_the_deadline() {
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"});
        let full = probe(json!({"conditions": [condition]}));
        assert_eq!(full.progress(after(1)), Progress::Underway(after(30)));
        assert_eq!(
            done(&full, 30),
            [Said::Failed("no room: full".to_owned()), Said::Failed("no room: full".to_owned())]
        );
        let init = json!([{"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "gone"}}}]);
        let silent = probe(json!({"initContainerStatuses": init}));
        assert_eq!(silent.progress(after(659)), Progress::Underway(after(660)));
        let Said::Failed(why) = &done(&silent, 660)[0] else { panic!("it did not answer") };
        assert_eq!(why, "no answer within 10m (ImagePullBackOff: gone)");
    }
}
