//! How far a pod's init containers are, and why one of them fails. As long as one does, the kubelet pulls none of the pod's images.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cause::FailureCause;
use super::pod::{ContainerStatus, NOT_YET, PULL_FAILURES, PodSpec, PodStatus, Terminated, is_interrupted};
use super::texts::Texts;
use crate::naming::INIT_CONTAINER;

/// How far a pod's init containers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Initialization {
    /// They have not started, or one of others runs.
    #[default]
    Underway,
    /// kube-prepull's own one runs, such as during a start delay.
    Started,
    /// All are done, so the kubelet pulls the images.
    Done,
    /// The node itself held back or cancelled the pull of the image of one of them, and tries again.
    Interrupted {
        /// What the kubelet says of it.
        failure: Arc<InitFailure>,
        /// Since when, as far as the pod shows it.
        since: Option<Timestamp>,
    },
    /// One of them fails. The kubelet tries again, and keeps all after it waiting.
    Failed(Arc<InitFailure>),
}

/// Why an init container fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitFailure {
    /// The name of the container.
    pub container: String,
    /// Its image, as in the pod's spec.
    pub image: String,
    /// Whether the node has the image, so that the container itself fails.
    pub pulled: bool,
    /// The kubelet's reason.
    pub reason: String,
    /// The message of the registry, of the runtime or of the container; may be empty.
    pub message: String,
    /// The pod's ServiceAccount.
    pub service_account: String,
    /// The pull secrets that the pod was created with. The kubelet uses no others.
    pub pull_secrets: Vec<String>,
}

impl InitFailure {
    /// Whether it is kube-prepull's own container, and not one that admission has added.
    pub fn is_own(&self) -> bool {
        self.container == INIT_CONTAINER
    }

    /// Why, in the kubelet's words, or as another source knows it if these say nothing.
    pub fn cause_or<'a>(&'a self, known: Option<FailureCause<'a>>) -> FailureCause<'a> {
        FailureCause { reason: &self.reason, message: &self.message }.or(known)
    }

    /// The same failure for this cause.
    pub fn with_cause(&self, cause: FailureCause) -> Self {
        let (reason, message) = (cause.reason.to_owned(), cause.message.to_owned());
        Self { pulled: !cause.is_of_pull(), reason, message, ..self.clone() }
    }
}

impl Initialization {
    /// The failure, if there is one.
    pub fn failure(&self) -> Option<&InitFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Underway | Self::Started | Self::Interrupted { .. } | Self::Done => None,
        }
    }

    /// What the kubelet says of a container that it could not start yet, whether that counts as a failure or not.
    pub fn last_failure(&self) -> Option<&Arc<InitFailure>> {
        match self {
            Self::Failed(failure) | Self::Interrupted { failure, .. } => Some(failure),
            Self::Underway | Self::Started | Self::Done => None,
        }
    }
}

/// How far the pod's init containers are. They run one after the other, so the first that is not done decides.
pub fn initialization(spec: &PodSpec, status: &PodStatus, texts: &mut Texts) -> Initialization {
    let inits = &status.init_container_statuses;
    let Some(init) = inits.iter().find(|init| !is_done(init, spec, status)) else {
        // Before the kubelet has seen the pod, it reports none.
        return if inits.is_empty() { Initialization::Underway } else { Initialization::Done };
    };
    let Some((pulled, reason, message)) = failure(init) else {
        let is_own = init.name == INIT_CONTAINER;
        return if is_own && init.state.running.is_some() { Initialization::Started } else { Initialization::Underway };
    };
    let container = spec.init_containers.iter().find(|container| container.name == init.name);
    let interrupted = !pulled && is_interrupted(&reason, &message);
    let failure = Arc::new(InitFailure {
        container: init.name.clone(),
        image: container.map(|container| container.image.clone()).unwrap_or_default(),
        pulled,
        reason,
        message: texts.message(&message).to_string(),
        service_account: spec.service_account_name.clone(),
        pull_secrets: spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
    });
    match interrupted {
        true => {
            Initialization::Interrupted { failure, since: status.last_progress().or_else(|| status.scheduled_at()) }
        }
        false => Initialization::Failed(failure),
    }
}

/// A sidecar is done once it has started, and no longer keeps anything waiting when the pod's containers have started
/// (`computeInitContainerActions` in `k8s.io/kubernetes/pkg/kubelet/kuberuntime`).
fn is_done(init: &ContainerStatus, spec: &PodSpec, status: &PodStatus) -> bool {
    let is_sidecar = spec
        .init_containers
        .iter()
        .any(|container| container.name == init.name && container.restart_policy.as_deref() == Some("Always"));
    match is_sidecar {
        true => {
            init.started.unwrap_or_default() || status.condition("Initialized").is_some_and(|it| it.status == "True")
        }
        false => init.state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0),
    }
}

/// Whether the image was pulled, the kubelet's reason and the message, if the container fails.
fn failure(init: &ContainerStatus) -> Option<(bool, String, String)> {
    if let Some(ended) = &init.state.terminated {
        return Some((true, ended.reason.clone(), how_it_ended(ended)));
    }
    let waiting = init.state.waiting.as_ref().filter(|it| !NOT_YET.contains(&it.reason.as_str()))?;
    // Between two attempts a kubelet reports only a back-off. The end of the last attempt has the reason.
    let ended = init.last_state.terminated.as_ref().filter(|_| waiting.reason == "CrashLoopBackOff");
    let message = ended.map_or_else(|| waiting.message.clone(), how_it_ended);
    Some((!PULL_FAILURES.contains(&waiting.reason.as_str()), waiting.reason.clone(), message))
}

/// `Error` says nothing that the message does not say.
fn how_it_ended(ended: &Terminated) -> String {
    match (ended.reason.as_str(), ended.message.trim()) {
        (reason, "") => format!("{reason} (exit code {})", ended.exit_code),
        ("Error" | "Completed" | "StartError" | "ContainerCannotRun" | "", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::coverage::SlimPod;

    const OWN: &str = "registry.example/kube-prepull:1";

    /// A pod with kube-prepull's own init container and one that a mesh has put before it.
    fn read(statuses: Value, conditions: Value) -> Initialization {
        let pod: SlimPod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {
                "serviceAccountName": "holder", "imagePullSecrets": [{"name": "one"}, {"name": "two"}],
                "initContainers": [
                    {"name": "mesh-init", "image": "mesh.example/init:2"},
                    {"name": "mesh-proxy", "image": "mesh.example/proxy:2", "restartPolicy": "Always"},
                    {"name": INIT_CONTAINER, "image": OWN},
                ],
            },
            "status": {"initContainerStatuses": statuses, "conditions": conditions},
        }))
        .expect("a pod");
        initialization(&pod.spec, &pod.status.unwrap_or_default(), &mut Texts::default())
    }

    fn of_own(state: Value) -> Initialization {
        let mut own = json!({"name": INIT_CONTAINER});
        own.as_object_mut().expect("an object").extend(state.as_object().expect("an object").clone());
        let done = json!({"name": "mesh-init", "state": {"terminated": {"exitCode": 0}}});
        read(json!([done, {"name": "mesh-proxy", "started": true, "state": {"running": {}}}, own]), json!([]))
    }

    #[test]
    fn an_init_container_that_has_not_ended_yet_is_no_failure() {
        assert_eq!(read(json!([]), json!([])), Initialization::Underway);
        for state in [json!({"state": {}}), json!({"state": {"waiting": {"reason": "PodInitializing"}}})] {
            assert_eq!(of_own(state.clone()), Initialization::Underway, "{state}");
        }
        for state in [
            json!({"state": {"running": {}}}),
            json!({"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}),
        ] {
            assert_eq!(of_own(state.clone()), Initialization::Started, "{state}");
        }
        assert_eq!(of_own(json!({"state": {"terminated": {"exitCode": 0}}})), Initialization::Done);
    }

    #[test]
    fn whatever_keeps_an_init_container_from_starting_is_reported_with_its_image_and_the_pods_account() {
        let failure =
            of_own(json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "401 Unauthorized"}}}));
        let expected = InitFailure {
            container: INIT_CONTAINER.to_owned(),
            image: OWN.to_owned(),
            pulled: false,
            reason: "ImagePullBackOff".to_owned(),
            message: "401 Unauthorized".to_owned(),
            service_account: "holder".to_owned(),
            pull_secrets: vec!["one".to_owned(), "two".to_owned()],
        };
        assert!(expected.is_own());
        assert_eq!(failure, Initialization::Failed(Arc::new(expected)));
        let ended = |reason: &str, message: &str| json!({"exitCode": 128, "reason": reason, "message": message});
        let pause = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}});
        for (state, reason, message) in [
            (
                json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "runAsNonRoot"}}}),
                "CreateContainerConfigError",
                "runAsNonRoot",
            ),
            (
                json!({"state": {"terminated": ended("StartError", "exec format error")}}),
                "StartError",
                "exec format error",
            ),
            (json!({"state": {"terminated": ended("OOMKilled", "")}}), "OOMKilled", "OOMKilled (exit code 128)"),
            (
                json!({"state": pause, "lastState": {"terminated": ended("Error", "cannot install\n")}}),
                "CrashLoopBackOff",
                "cannot install",
            ),
            (
                json!({"state": pause, "lastState": {"terminated": ended("OOMKilled", "started")}}),
                "CrashLoopBackOff",
                "OOMKilled: started",
            ),
            (json!({"state": pause}), "CrashLoopBackOff", "back-off 10s restarting"),
        ] {
            let found = of_own(state.clone()).failure().cloned().expect("a failure");
            assert_eq!((found.pulled, &*found.reason, &*found.message), (true, reason, message), "{state}");
        }
    }

    #[test]
    fn of_several_init_containers_the_first_that_is_not_done_counts() {
        let refused =
            |name: &str| json!({"name": name, "state": {"waiting": {"reason": "ErrImagePull", "message": "404"}}});
        let waiting = |name: &str| json!({"name": name, "state": {"waiting": {"reason": "PodInitializing"}}});
        let found = read(json!([refused("mesh-init"), waiting("mesh-proxy"), waiting(INIT_CONTAINER)]), json!([]));
        let found = found.failure().cloned().expect("a failure");
        assert_eq!((&*found.container, &*found.image, found.is_own()), ("mesh-init", "mesh.example/init:2", false));
        let done = json!({"name": "mesh-init", "state": {"terminated": {"exitCode": 0}}});
        let running = json!({"name": "mesh-init", "state": {"running": {}}});
        assert_eq!(
            read(json!([running, refused("mesh-proxy")]), json!([])),
            Initialization::Underway,
            "an earlier one runs"
        );
        let found = read(json!([done, refused("mesh-proxy"), waiting(INIT_CONTAINER)]), json!([]));
        assert_eq!(found.failure().cloned().expect("a failure").container, "mesh-proxy");
    }

    #[test]
    fn a_sidecar_that_fails_after_the_pod_was_initialized_keeps_nothing_waiting() {
        let done = |name: &str| json!({"name": name, "state": {"terminated": {"exitCode": 0}}});
        let proxy =
            json!({"name": "mesh-proxy", "started": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
        let statuses = json!([done("mesh-init"), proxy, done(INIT_CONTAINER)]);
        assert!(read(statuses.clone(), json!([{"type": "Initialized", "status": "False"}])).failure().is_some());
        assert_eq!(read(statuses, json!([{"type": "Initialized", "status": "True"}])), Initialization::Done);
    }
}
