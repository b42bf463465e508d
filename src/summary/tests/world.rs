//! A list, its generations and pods as plain data, which can be made into what the API server would send.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Taint;
use serde_json::json;

use crate::coverage::{Coverage, Node, NodeSet, SlimPod};
use crate::list::{Config, ListData, parse};
use crate::naming::labels;
use crate::plan::{Generation, Record};
use crate::summary::{Summary, SummaryInput};

/// The list that all of these tests are about: `b:1` is in both groups, in two spellings.
pub const LIST: &str = "
groups:
- {name: p, images: [{name: a, image: 'a:1'}, {name: b, image: 'b:1'}], nodeSelector: {zone: p}}
- {name: q, images: [{name: c, image: 'c:1'}, {name: b, image: 'docker.io/library/b:1'}]}
";

/// The names, groups, revisions and images of the generations. That of number 3 is the newest of `p`, and that of number 4
/// of `q`.
pub const GENERATIONS: [Made; 4] = [
    ("p-1", "p", 1, &[("a", "a:1"), ("old", "old:1")]),
    ("q-2", "q", 2, &[("c", "c:1")]),
    ("p-3", "p", 3, &[("a", "a:1"), ("b", "b:1")]),
    ("q-4", "q", 4, &[("c", "c:1"), ("b", "docker.io/library/b:1")]),
];

type Made = (&'static str, &'static str, u32, &'static [(&'static str, &'static str)]);

/// What became of an image in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Waiting,
    Pulling,
    Held,
    Failed,
    Crashed,
}

/// What became of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Live,
    /// Its init container fails.
    InitFailing,
    NoCapacity,
    Excluded,
    Evicted,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub uid: usize,
    /// In [`GENERATIONS`].
    pub generation: usize,
    pub node: String,
    pub life: Life,
    pub deleting: bool,
    /// Of each image.
    pub fates: [Fate; 2],
    pub version: u64,
    pub created: &'static str,
    /// Its node selector.
    pub selector: &'static [(&'static str, &'static str)],
}

impl Pod {
    pub fn new(uid: usize, generation: usize, node: &str) -> Self {
        Self {
            uid,
            generation,
            node: node.to_owned(),
            life: Life::Live,
            deleting: false,
            fates: [Fate::Waiting; 2],
            version: 1,
            created: "2026-03-01T12:00:00Z",
            selector: &[],
        }
    }

    pub fn with(mut self, fates: [Fate; 2]) -> Self {
        self.fates = fates;
        self
    }

    pub fn is_alive(&self) -> bool {
        matches!(self.life, Life::Live | Life::InitFailing)
    }

    pub fn images(&self) -> &'static [(&'static str, &'static str)] {
        GENERATIONS[self.generation].3
    }

    /// As the API server sends it.
    pub fn as_sent(&self) -> SlimPod {
        let start_delay_is_over = !self.fates.contains(&Fate::Waiting);
        let containers = self.images().iter().map(|(name, image)| json!({"name": name, "image": image}));
        let statuses = self.images().iter().zip(self.fates).map(|((name, image), fate)| match fate {
            Fate::Waiting | Fate::Pulling => json!({"name": name, "state": {"waiting": {"reason": "PodInitializing"}}}),
            Fate::Held => {
                let id = format!("{image}@sha256:{}", GENERATIONS[self.generation].2);
                json!({"name": name, "imageID": id, "state": {"running": {}}})
            }
            Fate::Failed => json!({"name": name, "state": {"waiting": {"reason": "ErrImagePull", "message": "401"}}}),
            Fate::Crashed => json!({"name": name, "state": {"waiting": {"reason": "CreateContainerError"}}}),
        });
        let unauthorized = "failed to resolve reference \"registry.example/kp:1\": unexpected status from HEAD request to \
            https://registry.example/v2/kp/manifests/1: 401 Unauthorized";
        let init = if self.life == Life::InitFailing {
            json!({"waiting": {"reason": "ImagePullBackOff", "message": unauthorized}})
        } else if start_delay_is_over {
            json!({"terminated": {"exitCode": 0}})
        } else {
            json!({"running": {}})
        };
        let mut status = json!({
            "phase": "Running",
            "initContainerStatuses": [{"name": "install-holder", "state": init}],
            "containerStatuses": statuses.collect::<Vec<_>>(),
        });
        let fields = json!([{"key": "metadata.name", "operator": "In", "values": [self.node]}]);
        let required = json!({"nodeSelectorTerms": [{"matchFields": fields}]});
        let mut spec = json!({
            "serviceAccountName": "holder", "initContainers": [{"name": "install-holder", "image": "registry.example/kp:1"}],
            "nodeName": self.node, "containers": containers.collect::<Vec<_>>(),
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
            "nodeSelector": self.selector.iter().copied().collect::<BTreeMap<_, _>>(),
        });
        match self.life {
            Life::Live | Life::InitFailing => {}
            Life::NoCapacity | Life::Excluded => {
                spec["nodeName"] = json!(null);
                let cause = match self.life {
                    Life::Excluded => "node(s) didn't match Pod's node affinity/selector",
                    _ => "Too many pods",
                };
                let message =
                    format!("0/3 nodes are available: 1 {cause}, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].");
                let condition =
                    json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
                status = json!({"phase": "Pending", "conditions": [condition]});
            }
            Life::Evicted => {
                status["phase"] = json!("Failed");
                status["reason"] = json!("Evicted");
                status["message"] = json!("The node was low on resource: ephemeral-storage. ");
            }
        }
        let daemon_set = GENERATIONS[self.generation].0;
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.uid.to_string(), "uid": self.uid.to_string(), "labels": {labels::LIST: "tools"},
                "resourceVersion": self.version.to_string(),
                "creationTimestamp": self.created,
                "deletionTimestamp": self.deleting.then_some("2026-03-01T12:00:00Z"),
                "ownerReferences":
                    [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": daemon_set, "uid": "", "controller": true}],
            },
            "spec": spec,
            "status": status,
        }))
        .expect("a pod")
    }
}

/// A ready node of zone `p`, on which both groups belong.
pub fn node(name: &str) -> Node {
    let labels = [("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64"), ("zone", "p")];
    Node {
        name: name.to_owned(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ready: true,
        ..Node::default()
    }
}

pub fn taint() -> Taint {
    Taint { key: "gpu".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() }
}

pub fn config() -> Config {
    config_of(LIST)
}

/// The list of an `images.yaml`.
pub fn config_of(text: &str) -> Config {
    let data = BTreeMap::from([("images.yaml".to_owned(), text.to_owned())]);
    let parsed = parse(&ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None });
    parsed.config.unwrap_or_else(|| panic!("{:#?}", parsed.problems))
}

pub fn generations() -> Vec<Generation> {
    let generation = |(name, group, revision, images): &Made| Generation {
        name: (*name).to_owned(),
        uid: (*name).to_owned(),
        group: (*group).to_owned(),
        created: None,
        deleting: false,
        altered: None,
        restores: None,
        tag_check_record: Default::default(),
        reported: Default::default(),
        node_scope: crate::plan::generation::node_scope::NodeScope::Everywhere,
        placement: None,
        absent_holder_image: None,
        shard: 0,
        parallel_pulls: 1,
        counted_for: Default::default(),
        scheduled: None,
        record: Some(Record {
            revision: *revision,
            content: String::new(),
            epoch: Timestamp::UNIX_EPOCH,
            spread_seconds: 0,
            holder_image: String::new(),
            format: 1,
            folder: Default::default(),
            refresh_request: None,
            pulled_always: Default::default(),
            gate_taints: Default::default(),
        }),
        pulled_always: Default::default(),
        template: None,
        images: images.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect(),
    };
    GENERATIONS.iter().map(generation).collect()
}

/// Inspects a summary of these pods and nodes.
pub fn summed_up<T>(coverage: &Coverage, nodes: Option<&[Node]>, inspect: impl FnOnce(&Summary) -> T) -> T {
    summed_up_of(&generations(), coverage, nodes, inspect)
}

/// The same of other generations.
pub fn summed_up_of<T>(
    generations: &[Generation],
    coverage: &Coverage,
    nodes: Option<&[Node]>,
    inspect: impl FnOnce(&Summary) -> T,
) -> T {
    let config = config();
    let nodes: Option<NodeSet> = nodes.map(|nodes| nodes.iter().cloned().collect());
    inspect(&Summary::new(SummaryInput {
        list: "tools",
        config: &config,
        generations,
        coverage,
        nodes: nodes.as_deref(),
        now: "2026-03-01T12:10:00Z".parse().expect("a time"),
    }))
}
