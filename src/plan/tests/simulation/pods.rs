//! The pods of the simulated cluster, as a watch returns them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{self as core, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde_json::json;

use super::daemon_sets::{is_adoptable, name, template};
use crate::coverage::SlimPod;
use crate::naming::labels;
use crate::plan::tag_check::pod_of;

#[derive(Clone, Debug)]
pub struct Pod {
    pub uid: usize,
    pub daemon_set: String,
    pub node: String,
    /// Whether the scheduler has bound it to its node.
    pub bound: bool,
    /// Whether too little CPU is free on its node, rather than a pod slot.
    pub(super) lacks_cpu: bool,
    pub(super) created: Timestamp,
    pub deleting: bool,
    /// Since when not all containers run, if the kubelet says so.
    pub not_ready_since: Option<Timestamp>,
    pub containers: Vec<Container>,
    pub tolerations: Vec<Toleration>,
    pub(super) mirrored: bool,
    pub(super) always_pulls: bool,
    /// The image of its init container.
    pub(super) own_image: String,
    /// Whether its init container cannot be pulled.
    pub(super) init_fails: bool,
    /// What the kubelet says then, if not that it was not found: a reason and a message.
    pub init_failure: Option<(&'static str, &'static str)>,
    /// Whether its init container still runs, as during a start delay.
    pub init_runs: bool,
    pub(super) node_selector: BTreeMap<String, String>,
    /// Whether its node lacks a label of its node selector.
    pub(super) is_excluded: bool,
    /// The pull policy annotation of its template.
    pub(super) pull_policies: Option<String>,
    /// Whether it belongs to kubernetes-image-puller.
    pub(super) adoption: bool,
}

#[derive(Clone, Debug)]
pub struct Container {
    name: String,
    pub image: String,
    pub state: State,
    pub image_id: String,
    pub always: bool,
    /// What the kubelet says while it cannot be pulled: a reason and a message.
    pub failure: (&'static str, &'static str),
    restarts: usize,
}

/// The sources of images: the registry and the nodes' disks.
pub struct Registry<'s> {
    pub unavailable: &'s BTreeSet<String>,
    pub tags: &'s BTreeMap<String, String>,
    pub tags_on: &'s BTreeMap<(String, String), String>,
    pub disks: &'s mut BTreeMap<(String, String), String>,
    pub asked: &'s mut BTreeMap<String, usize>,
}

impl Registry<'_> {
    /// The image ID that the node reports after the pull.
    fn pull(&mut self, node: &str, image: &str) -> Option<String> {
        *self.asked.entry(image.to_owned()).or_default() += 1;
        if self.unavailable.contains(image) {
            return None;
        }
        let key = (node.to_owned(), image.to_owned());
        let digest = self.tags_on.get(&key).or_else(|| self.tags.get(image)).cloned().unwrap_or_default();
        self.disks.insert(key, digest.clone());
        Some(digest)
    }

    fn on_disk(&self, node: &str, image: &str) -> Option<String> {
        self.disks.get(&(node.to_owned(), image.to_owned())).cloned()
    }
}

/// A tag check in the simulated cluster.
#[derive(Clone, Debug)]
pub struct Checking {
    pub uid: usize,
    pub daemon_set: DaemonSet,
    pub created: Timestamp,
    pub node: String,
    pub deleting: bool,
    /// The containers of its pod, if it has one.
    pub pod: Option<Vec<Container>>,
}

/// The state of a container. From [`State::Exited`] on, a greater state holds the image more firmly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Waiting,
    /// The kubelet limits its own pulls.
    HeldBack,
    Failed,
    Exited,
    Running,
}

impl Container {
    pub(super) fn waiting(container: &core::Container) -> Self {
        Self {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            state: State::Waiting,
            image_id: String::new(),
            always: container.image_pull_policy.as_deref() == Some("Always"),
            failure: ("ImagePullBackOff", ""),
            restarts: 0,
        }
    }

    /// The kubelet uses the image on the disk if the policy allows that, and otherwise pulls.
    pub(super) fn start(&mut self, node: &str, registry: &mut Registry, always: bool) {
        // The kubelet restarts an exited container from the image that it has.
        let on_disk = (!self.always && !always).then(|| registry.on_disk(node, &self.image)).flatten();
        let found = on_disk.or_else(|| registry.pull(node, &self.image));
        self.state = if found.is_some() { State::Running } else { State::Failed };
        self.image_id = found.unwrap_or_default();
    }

    /// The container no longer exists, as after a power failure.
    pub(super) fn vanish(&mut self) {
        self.restarts += usize::from(self.state >= State::Exited);
        self.state = State::Waiting;
    }

    fn status(&self) -> serde_json::Value {
        let (name, id) = (&self.name, &self.image_id);
        let mut status = match self.state {
            State::Waiting => json!({"name": name, "state": {"waiting": {"reason": "PodInitializing"}}}),
            State::HeldBack => {
                let waiting = json!({"reason": "ErrImagePull", "message": "pull QPS exceeded"});
                json!({"name": name, "state": {"waiting": waiting}})
            }
            State::Failed => {
                let (reason, message) = self.failure;
                json!({"name": name, "state": {"waiting": {"reason": reason, "message": message}}})
            }
            State::Running => json!({"name": name, "imageID": id, "state": {"running": {}}}),
            State::Exited => {
                json!({"name": name, "imageID": id, "state": {"terminated": {"containerID": "x", "exitCode": 1}}})
            }
        };
        status["restartCount"] = json!(self.restarts);
        status
    }
}

impl Checking {
    pub(super) fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            uid: Some(self.uid.to_string()),
            creation_timestamp: Some(Time(self.created)),
            deletion_timestamp: self.deleting.then_some(Time(self.created)),
            ..self.daemon_set.metadata.clone()
        }
    }

    pub(super) fn containers(&self) -> Vec<Container> {
        template(&self.daemon_set).containers.iter().map(Container::waiting).collect()
    }

    pub(super) fn pod_as_watched(&self) -> Option<SlimPod> {
        let statuses: Vec<_> = self.pod.as_ref()?.iter().map(Container::status).collect();
        let mut pod = serde_json::to_value(pod_of(&self.daemon_set)).expect("JSON");
        pod["metadata"]["name"] = json!(format!("check-{}", self.uid));
        pod["metadata"]["uid"] = json!(format!("check-{}", self.uid));
        pod["metadata"]["creationTimestamp"] = json!(self.created);
        pod["metadata"]["deletionTimestamp"] = json!(self.deleting.then_some(self.created));
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "DaemonSet", "name": name(&self.daemon_set), "uid": self.uid.to_string(),
            "controller": true,
        }]);
        pod["spec"]["nodeName"] = json!(self.node);
        pod["status"] = json!({
            "initContainerStatuses": [{"name": "install-holder", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": statuses,
        });
        Some(serde_json::from_value(pod).expect("a pod"))
    }
}

impl Pod {
    pub(super) fn waiting(daemon_set: &DaemonSet, node: &str, uid: usize, created: Timestamp) -> Self {
        let spec = template(daemon_set);
        let containers = spec.containers.iter().map(Container::waiting);
        let own_image = spec.init_containers.iter().flatten().find_map(|container| container.image.clone());
        let template = daemon_set.spec.as_ref().map(|spec| &spec.template);
        let annotations = template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref());
        Self {
            uid,
            daemon_set: name(daemon_set),
            node: node.to_owned(),
            bound: false,
            lacks_cpu: false,
            created,
            deleting: false,
            not_ready_since: None,
            containers: containers.collect(),
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            mirrored: false,
            always_pulls: false,
            own_image: own_image.unwrap_or_default(),
            init_fails: false,
            init_failure: None,
            init_runs: false,
            node_selector: spec.node_selector.clone().unwrap_or_default(),
            is_excluded: false,
            pull_policies: annotations.and_then(|it| it.get(labels::PULL_POLICIES).cloned()),
            adoption: is_adoptable(daemon_set),
        }
    }

    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.containers.iter().filter(|it| it.state == State::Running).map(|it| it.image.as_str())
    }

    pub(super) fn as_watched(&self, now: Timestamp) -> SlimPod {
        let mirror = if self.mirrored { "mirror.example/" } else { "" };
        let container = |it: &Container| {
            let policy = policy(it.always || self.always_pulls);
            let resources = json!({"requests": {"cpu": "1m"}});
            json!({
                "name": it.name, "image": format!("{mirror}{}", it.image), "imagePullPolicy": policy, "resources": resources,
            })
        };
        let containers = self.containers.iter().map(container);
        let statuses = self.containers.iter().map(Container::status);
        let labels = match self.adoption {
            true => labels::ADOPTABLE_PODS.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            false => BTreeMap::from([(labels::LIST.to_owned(), "tools".to_owned())]),
        };
        let named = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [self.node]}]}]);
        let init = match (self.init_fails, self.init_failure) {
            (true, Some((reason, message))) => json!({"waiting": {"reason": reason, "message": message}}),
            (true, None) => {
                let image = &self.own_image;
                let message = format!("failed to resolve reference \"{image}\": {image}: not found");
                json!({"waiting": {"reason": "ImagePullBackOff", "message": message}})
            }
            (false, _) if self.init_runs => json!({"running": {}}),
            (false, _) => json!({"terminated": {"exitCode": 0}}),
        };
        let message = match self.bound {
            true => "",
            false if self.is_excluded => {
                "0/4 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 3 node(s) didn't satisfy plugin(s) \
                 [NodeAffinity]. preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
            }
            false if self.lacks_cpu => "0/4 nodes are available: 1 Insufficient cpu.",
            false => "0/4 nodes are available: 1 Too many pods.",
        };
        let scheduled = json!({
            "type": "PodScheduled", "status": if self.bound { "True" } else { "False" },
            "reason": if self.bound { "" } else { "Unschedulable" }, "message": message,
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "creationTimestamp": self.created,
                "name": self.uid.to_string(), "uid": self.uid.to_string(), "labels": labels,
                "annotations": self.pull_policies.iter().map(|hash| (labels::PULL_POLICIES, hash)).collect::<BTreeMap<_, _>>(),
                "deletionTimestamp": self.deleting.then_some(now),
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": self.daemon_set, "uid": "", "controller": true},
                ],
            },
            "spec": {
                "nodeName": self.bound.then_some(&self.node),
                "affinity": {"nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": named},
                }},
                "initContainers": [{
                    "name": "install-holder", "image": self.own_image, "imagePullPolicy": policy(self.always_pulls),
                }],
                "containers": containers.collect::<Vec<_>>(),
                "nodeSelector": self.node_selector,
                "tolerations": self.tolerations,
            },
            "status": {
                "conditions": [
                    scheduled,
                    {
                        "type": "ContainersReady",
                        "status": if self.not_ready_since.is_some() { "False" } else { "True" },
                        "lastTransitionTime": self.not_ready_since.unwrap_or(self.created),
                    },
                ],
                "initContainerStatuses": [{"name": "install-holder", "state": init}],
                "containerStatuses": statuses.collect::<Vec<_>>(),
            },
        });
        serde_json::from_value(pod).expect("a pod")
    }
}

fn policy(always: bool) -> &'static str {
    if always { "Always" } else { "IfNotPresent" }
}

/// A pod that the kubelet evicted for lack of disk.
pub fn evicted(uid: &str, daemon_set: &str, node: &str, time: Timestamp) -> SlimPod {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": daemon_set, "uid": "", "controller": true});
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": uid, "uid": uid, "labels": {labels::LIST: "tools"}, "ownerReferences": [owner]},
        "spec": {"nodeName": node, "containers": []},
        "status": {
            "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: ephemeral-storage. ",
            "conditions": [{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": time}],
        },
    }))
    .expect("a pod")
}
