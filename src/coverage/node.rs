//! The fields of a node that are needed, and which groups belong on it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;

use super::kubelet_version::KubeletVersion;
use super::node_labels::{LabelPool, NodeLabels};
use crate::list::config::{Group, Placement};
use crate::list::placement::decimal_integer;
use crate::slim::Slim;

/// A node, decoded without the fields that are not needed.
pub type SlimNode = Slim<NodeSpec, NodeStatus>;

/// The part of a node's spec that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Taints, which keep away pods that do not tolerate them.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
}

/// The part of a node's status that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// What the kubelet reports, such as `Ready`.
    pub conditions: Vec<NodeCondition>,
    /// Its largest images.
    pub images: Vec<NodeImage>,
    /// What the kubelet says of itself.
    #[serde(rename = "nodeInfo")]
    pub node_info: NodeInfo,
    /// What its runtime can do, since Kubernetes 1.30.
    #[serde(rename = "runtimeHandlers")]
    pub runtime_handlers: Vec<RuntimeHandler>,
}

/// The part of what a kubelet says of itself that is needed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// Its version.
    pub kubelet_version: KubeletVersion,
}

/// A handler of a node's runtime, which RuntimeClasses name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RuntimeHandler {
    /// Its name; empty for the one of pods without a RuntimeClass.
    pub name: String,
    /// What it can do, if known.
    pub features: Option<HandlerFeatures>,
}

/// What a handler of a node's runtime can do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HandlerFeatures {
    /// Whether its pods can have user namespaces of their own, if known.
    pub user_namespaces: Option<bool>,
}

/// Which pods of a node cannot have a user namespace of their own, as far as its kubelet says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoUserNamespaces {
    /// None, or unknown.
    #[default]
    ForNone,
    /// Those without a RuntimeClass.
    WithoutRuntimeClass,
    /// All.
    ForAll,
}

impl NoUserNamespaces {
    fn of(handlers: &[RuntimeHandler]) -> Self {
        let lacks = |it: &RuntimeHandler| it.features.as_ref().and_then(|it| it.user_namespaces) == Some(false);
        match handlers {
            [] => Self::ForNone,
            all if all.iter().all(lacks) => Self::ForAll,
            some if some.iter().any(|it| it.name.is_empty() && lacks(it)) => Self::WithoutRuntimeClass,
            _ => Self::ForNone,
        }
    }
}

/// An image as a node reports it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeImage {
    /// Its names there, with tags and with digests.
    pub names: Option<Vec<String>>,
    /// Its size on disk.
    pub size_bytes: i64,
}

/// The part of a node's condition that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeCondition {
    /// The type, such as `Ready`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Since when.
    #[serde(rename = "lastTransitionTime")]
    pub last_transition_time: Option<Time>,
    /// When it was written last.
    #[serde(rename = "lastHeartbeatTime")]
    pub last_heartbeat_time: Option<Time>,
    /// One word for why.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
}

/// What a node's condition says of its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagesReady {
    /// Whether it says that all images are there.
    pub is_true: bool,
    /// One word for why.
    pub reason: Box<str>,
    /// The same in a sentence.
    pub message: Box<str>,
    /// When it was written last.
    pub written_at: Option<Timestamp>,
}

impl ImagesReady {
    /// What the condition of that type says, if the node has it.
    pub fn of(node: &SlimNode, type_: &str) -> Option<Self> {
        let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
        let condition = conditions.find(|condition| condition.type_ == type_)?;
        Some(Self {
            is_true: condition.status == "True",
            reason: condition.reason.as_str().into(),
            message: condition.message.as_str().into(),
            written_at: condition.last_heartbeat_time.as_ref().map(|time| time.0),
        })
    }
}

/// A node as the plan sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Name of the Node object; may differ from the label `kubernetes.io/hostname`.
    pub name: String,
    /// When it joined.
    pub created: Option<Timestamp>,
    /// Those that selectors and affinities of groups match.
    pub labels: NodeLabels,
    /// Those that groups tolerate or not.
    pub taints: Vec<Taint>,
    /// Whether it is ready.
    pub ready: bool,
    /// Since when it is ready; `None` if it is not, or does not say.
    pub ready_since: Option<Timestamp>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Which of its pods cannot have a user namespace.
    pub no_user_namespaces: NoUserNamespaces,
    /// Whether its kubelet verifies that pods may use the images on its disk, as far as its version says.
    pub verifies_credentials: bool,
}

impl From<&SlimNode> for Node {
    fn from(node: &SlimNode) -> Self {
        Self::sharing(node, &mut LabelPool::default())
    }
}

impl Node {
    /// Reads a node. It shares labels with others that were read with this pool.
    pub fn sharing(node: &SlimNode, labels: &mut LabelPool) -> Self {
        let own = node.metadata.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
        let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True");
        let info = node.status.as_ref().map(|status| status.node_info).unwrap_or_default();
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            created: node.metadata.creation_timestamp.as_ref().map(|time| time.0),
            labels: labels.share(own),
            taints: node.spec.taints.clone(),
            ready: ready.is_some(),
            ready_since: ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0),
            unschedulable: node.spec.unschedulable,
            deleting: node.metadata.deletion_timestamp.is_some(),
            no_user_namespaces: node
                .status
                .as_ref()
                .map(|status| NoUserNamespaces::of(&status.runtime_handlers))
                .unwrap_or_default(),
            verifies_credentials: info.kubelet_version.verifies_credentials,
        }
    }
}

/// Taints that every DaemonSet's pods tolerate (`k8s.io/kubernetes/pkg/controller/daemon/util`).
const ALWAYS_TOLERATED: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

impl Node {
    /// Its architecture in Go's spelling, if it has the label.
    pub fn architecture(&self) -> Option<&str> {
        self.labels.get("kubernetes.io/arch")
    }

    /// Whether a group's pods belong on this node: selector, affinity, architectures and taints match, and it is not one of the
    /// nodes that are always excluded.
    pub fn takes(&self, placement: &Placement) -> bool {
        self.is_real_linux()
            && self.selected_by(placement)
            && self.taints.iter().all(|taint| tolerated_by_default(taint) || is_tolerated_by(placement, taint))
    }

    /// Whether a group belongs here and only startup taints of others keep its pods away, which are removed once what they wait for is
    /// there: a cloud's controller, a network, a driver.
    pub fn will_take(&self, placement: &Placement) -> bool {
        let keeps_away = |taint: &&Taint| !tolerated_by_default(taint) && !is_tolerated_by(placement, taint);
        let mut in_the_way = self.taints.iter().filter(keeps_away).peekable();
        in_the_way.peek().is_some() && self.is_selected(placement) && in_the_way.all(is_startup_taint)
    }

    /// Whether pods of a group cannot have a user namespace here. Which handler a RuntimeClass names is not known.
    pub fn lacks_user_namespaces(&self, group: &Group) -> bool {
        match self.no_user_namespaces {
            NoUserNamespaces::ForNone => false,
            NoUserNamespaces::WithoutRuntimeClass => group.runtime_class_name.is_none(),
            NoUserNamespaces::ForAll => true,
        }
    }

    /// Whether it can take more work now: it is ready, neither cordoned nor being deleted, and has no taint that only DaemonSet
    /// pods tolerate, such as disk pressure.
    pub fn is_available(&self) -> bool {
        let is_wrong =
            |taint: &Taint| taint.effect != "PreferNoSchedule" && ALWAYS_TOLERATED.contains(&taint.key.as_str());
        self.ready && !self.unschedulable && !self.deleting && !self.taints.iter().any(is_wrong)
    }

    /// Whether a pod of a group can run here now: the node is selected, ready, and neither cordoned nor being deleted.
    pub fn can_run(&self, placement: &Placement) -> bool {
        self.ready && !self.deleting && !self.unschedulable && self.takes(placement)
    }

    /// Whether a group still wants what a pod with these tolerations has on this node. A taint that the pod does not tolerate was
    /// added after it started and says nothing about the user's intent. A taint that the pod tolerates and the group does not
    /// shows that the group has left the node.
    pub fn keeps(&self, pod: &[Toleration], placement: &Placement) -> bool {
        let tolerated_by_pod = |taint: &Taint| pod.iter().any(|toleration| tolerates(toleration, taint));
        self.is_selected(placement)
            && self.taints.iter().all(|taint| {
                tolerated_by_default(taint) || is_tolerated_by(placement, taint) || !tolerated_by_pod(taint)
            })
    }

    /// Whether a group selects the node, whatever its taints are.
    pub fn is_selected(&self, placement: &Placement) -> bool {
        self.is_real_linux() && self.selected_by(placement)
    }

    /// Virtual nodes have no local image cache, and Windows cannot run the holder.
    fn is_real_linux(&self) -> bool {
        let label = |key: &str| self.labels.get(key);
        label("type") != Some("virtual-kubelet")
            && label("eks.amazonaws.com/compute-type") != Some("fargate")
            && label("kubernetes.io/os") == Some("linux")
    }

    fn selected_by(&self, placement: &Placement) -> bool {
        let architecture = self.architecture();
        let architecture_fits = placement.architectures.is_empty()
            || placement.architectures.iter().any(|wanted| architecture.is_some_and(|label| label == wanted.name()));
        let required = placement
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.node_affinity.as_ref())
            .and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
        architecture_fits
            && placement.node_selector.iter().all(|(key, value)| self.labels.get(key) == Some(value.as_str()))
            && required.is_none_or(|selector| selector.node_selector_terms.iter().any(|term| self.meets(term)))
    }

    /// Whether the node meets a term. One without requirements selects nothing (API documentation of `NodeSelectorTerm`).
    pub fn meets(&self, term: &NodeSelectorTerm) -> bool {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        let fields = term.match_fields.as_deref().unwrap_or_default();
        let by_name = |requirement: &NodeSelectorRequirement| {
            requirement.key == "metadata.name" && satisfied(requirement, Some(&self.name))
        };
        !(expressions.is_empty() && fields.is_empty())
            && expressions.iter().all(|requirement| satisfied(requirement, self.labels.get(&requirement.key)))
            && fields.iter().all(by_name)
    }
}

fn satisfied(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    let bound = || values.first().and_then(|bound| bound.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => matches!((number(), bound()), (Some(number), Some(bound)) if number > bound),
        "Lt" => matches!((number(), bound()), (Some(number), Some(bound)) if number < bound),
        _ => false,
    }
}

/// Whether a taint is one of those that nodes have only at their beginning: by the prefixes that cluster-autoscaler ignores for that
/// reason (`k8s.io/autoscaler/cluster-autoscaler/utils/taints`), or by a name such as `ebs.csi.aws.com/agent-not-ready`.
fn is_startup_taint(taint: &Taint) -> bool {
    const PREFIXES: [&str; 5] = [
        "startup-taint.cluster-autoscaler.kubernetes.io/",
        "ignore-taint.cluster-autoscaler.kubernetes.io/",
        "node.cloudprovider.kubernetes.io/uninitialized",
        // Only pods with the node's own network are given a toleration of this one.
        "node.kubernetes.io/network-unavailable",
        "readiness.k8s.io/",
    ];
    const SUFFIXES: [&str; 4] = ["not-ready", "not-initialized", "uninitialized", "unregistered"];
    let key = taint.key.as_str();
    PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || SUFFIXES.iter().any(|suffix| key.ends_with(suffix))
}

fn tolerated_by_default(taint: &Taint) -> bool {
    taint.effect == "PreferNoSchedule" || ALWAYS_TOLERATED.contains(&taint.key.as_str())
}

/// Whether the pods of a group tolerate a taint, by the group's own tolerations or because of the list's gate.
fn is_tolerated_by(placement: &Placement, taint: &Taint) -> bool {
    placement.is_gate_taint(&taint.key) || placement.tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// The rule of core/v1's `Toleration.ToleratesTaint`. That an API server knows `Lt` and `Gt` shows where it accepts them.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let matches_or_any =
        |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w.is_empty() || w == value);
    matches_or_any(&toleration.effect, &taint.effect)
        && matches_or_any(&toleration.key, &taint.key)
        && match toleration.operator.as_deref() {
            Some("Exists") => true,
            None | Some("" | "Equal") => {
                toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
            }
            Some(operator @ ("Lt" | "Gt")) => {
                let number = |value: &Option<String>| decimal_integer(value.as_deref().unwrap_or_default());
                match (number(&taint.value), number(&toleration.value)) {
                    (Some(taint), Some(bound)) => {
                        if operator == "Lt" {
                            taint < bound
                        } else {
                            taint > bound
                        }
                    }
                    _ => false,
                }
            }
            Some(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(labels: serde_json::Value, taints: serde_json::Value) -> Node {
        let object: SlimNode = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}, "spec": {"taints": taints},
        }))
        .expect("a node");
        Node::from(&object)
    }

    fn linux(taints: serde_json::Value) -> Node {
        node(json!({"kubernetes.io/os": "linux"}), taints)
    }

    fn tolerating(tolerations: serde_json::Value) -> Placement {
        Placement { tolerations: serde_json::from_value(tolerations).expect("tolerations"), ..Placement::default() }
    }

    fn requiring(terms: serde_json::Value) -> Placement {
        let affinity = json!({
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}},
        });
        Placement { affinity: Some(serde_json::from_value(affinity).expect("an affinity")), ..Placement::default() }
    }

    #[test]
    fn virtual_nodes_and_windows_are_left_out_whatever_is_tolerated() {
        let everything = tolerating(json!([{"operator": "Exists"}]));
        assert!(linux(json!([])).takes(&everything));
        for labels in [
            json!({"kubernetes.io/os": "linux", "type": "virtual-kubelet"}),
            json!({"kubernetes.io/os": "linux", "eks.amazonaws.com/compute-type": "fargate"}),
            json!({"kubernetes.io/os": "windows"}),
            json!({}),
        ] {
            assert!(!node(labels.clone(), json!([])).takes(&everything), "{labels}");
        }
    }

    #[test]
    fn what_a_runtime_cannot_do_is_known_only_if_the_kubelet_says_so() {
        let of = |handlers: serde_json::Value| {
            let node = json!({"metadata": {"name": "n"}, "spec": {}, "status": {"runtimeHandlers": handlers}});
            let node: SlimNode = serde_json::from_value(node).expect("a node");
            Node::from(&node).no_user_namespaces
        };
        let handler = |name: &str, can: bool| json!({"name": name, "features": {"userNamespaces": can}});
        for (handlers, expected) in [
            (json!([]), NoUserNamespaces::ForNone),
            (json!([{"name": ""}, {"name": "runc", "features": {}}]), NoUserNamespaces::ForNone),
            (json!([handler("", true), handler("kata", false)]), NoUserNamespaces::ForNone),
            (json!([handler("", false), handler("kata", true)]), NoUserNamespaces::WithoutRuntimeClass),
            (json!([handler("", false), handler("runc", false)]), NoUserNamespaces::ForAll),
        ] {
            assert_eq!(of(handlers.clone()), expected, "{handlers}");
        }
    }

    #[test]
    fn whether_a_kubelet_verifies_credentials_follows_from_its_version() {
        let verifies = |status: serde_json::Value| {
            let node: SlimNode =
                serde_json::from_value(json!({"metadata": {"name": "n"}, "status": status})).expect("a node");
            Node::from(&node).verifies_credentials
        };
        assert!(verifies(json!({"nodeInfo": {"kubeletVersion": "v1.36.0+k3s1", "osImage": "Linux"}})));
        assert!(!verifies(json!({"nodeInfo": {"kubeletVersion": "v1.34.1"}})));
        assert!(!verifies(json!({"nodeInfo": {}})) && !verifies(json!({})), "unknown");
    }

    #[test]
    fn all_labels_of_the_selector_must_be_there() {
        let selecting = |selector: &[(&str, &str)]| Placement {
            node_selector: selector.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Placement::default()
        };
        let node = node(json!({"kubernetes.io/os": "linux", "disk": "ssd"}), json!([]));
        assert!(node.takes(&selecting(&[("disk", "ssd")])));
        assert!(!node.takes(&selecting(&[("disk", "hdd")])));
        assert!(!node.takes(&selecting(&[("disk", "ssd"), ("zone", "a")])));
    }

    #[test]
    fn any_of_the_architectures_will_do() {
        use crate::list::config::Architecture::{Amd64, Arm64};
        let arm = node(json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}), json!([]));
        let on = |architectures: &[_]| Placement {
            architectures: architectures.iter().copied().collect(),
            ..Placement::default()
        };
        assert!(arm.takes(&on(&[])));
        assert!(arm.takes(&on(&[Amd64, Arm64])));
        assert!(!arm.takes(&on(&[Amd64])));
        assert!(!linux(json!([])).takes(&on(&[Amd64])), "a node that does not say what it is");
    }

    #[test]
    fn a_taint_must_be_tolerated_by_key_value_and_effect() {
        let tainted = linux(json!([{"key": "dedicated", "value": "ml", "effect": "NoSchedule"}]));
        for (tolerations, tolerated) in [
            (json!([]), false),
            (json!([{"operator": "Exists"}]), true),
            (json!([{"operator": "Exists", "effect": "NoExecute"}]), false),
            (json!([{"key": "dedicated", "operator": "Exists"}]), true),
            (json!([{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]), true),
            (json!([{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]), false),
            (json!([{"key": "other", "operator": "Exists"}]), false),
            (json!([{"key": "dedicated", "operator": "Equal", "value": "ml"}]), true),
            (json!([{"key": "dedicated", "value": "ml"}]), true),
            (json!([{"key": "dedicated", "operator": "", "value": "ml"}]), true),
            (json!([{"key": "dedicated", "value": "web"}]), false),
            (json!([{"key": "dedicated"}]), false),
            (json!([{"key": "dedicated", "operator": "Almost", "value": "ml"}]), false),
        ] {
            assert_eq!(tainted.takes(&tolerating(tolerations.clone())), tolerated, "{tolerations}");
        }
    }

    #[test]
    fn numbers_are_compared_as_the_scheduler_compares_them() {
        let tolerated = |taint: &str, operator: &str, bound: &str| {
            let tainted = linux(json!([{"key": "sla", "value": taint, "effect": "NoSchedule"}]));
            tainted.takes(&tolerating(json!([{"key": "sla", "operator": operator, "value": bound}])))
        };
        assert!(tolerated("949", "Lt", "950") && !tolerated("950", "Lt", "950") && !tolerated("951", "Lt", "950"));
        assert!(tolerated("951", "Gt", "950") && !tolerated("950", "Gt", "950") && !tolerated("-951", "Gt", "950"));
        for (taint, bound) in [("high", "950"), ("0949", "950"), ("", "950"), ("949", "high")] {
            assert!(!tolerated(taint, "Lt", bound) && !tolerated(taint, "Gt", bound), "{taint} and {bound}");
        }
    }

    #[test]
    fn every_taint_must_be_tolerated() {
        let tainted = linux(json!([
            {"key": "dedicated", "value": "ml", "effect": "NoSchedule"},
            {"key": "gpu", "effect": "NoExecute"},
        ]));
        let first = json!({"key": "dedicated", "operator": "Exists"});
        assert!(!tainted.takes(&tolerating(json!([first]))));
        assert!(tainted.takes(&tolerating(json!([first, {"key": "gpu"}]))), "an empty value equals a missing one");
    }

    #[test]
    fn a_daemon_sets_pods_tolerate_what_befalls_nodes() {
        for key in ALWAYS_TOLERATED {
            assert!(linux(json!([{"key": key, "effect": "NoSchedule"}])).takes(&Placement::default()), "{key}");
        }
        assert!(linux(json!([{"key": "dedicated", "effect": "PreferNoSchedule"}])).takes(&Placement::default()));
    }

    #[test]
    fn a_node_is_available_unless_it_is_lost_cordoned_deleted_or_under_pressure() {
        let fine = Node { ready: true, ..linux(json!([{"key": "dedicated", "effect": "NoSchedule"}])) };
        assert!(fine.is_available(), "a taint of the user's own is about who may come");
        assert!(!Node { ready: false, ..fine.clone() }.is_available());
        assert!(!Node { unschedulable: true, ..fine.clone() }.is_available());
        assert!(!Node { deleting: true, ..fine }.is_available());
        let pressed = linux(json!([{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]));
        assert!(!Node { ready: true, ..pressed }.is_available());
    }

    #[test]
    fn requirements_are_read_as_the_scheduler_reads_them() {
        let node = node(json!({"kubernetes.io/os": "linux", "zone": "a", "cores": "8"}), json!([]));
        for (requirement, met) in [
            (json!({"key": "zone", "operator": "In", "values": ["a", "b"]}), true),
            (json!({"key": "zone", "operator": "In", "values": ["b"]}), false),
            (json!({"key": "rack", "operator": "In", "values": ["a"]}), false),
            (json!({"key": "zone", "operator": "NotIn", "values": ["a"]}), false),
            (json!({"key": "rack", "operator": "NotIn", "values": ["a"]}), true),
            (json!({"key": "zone", "operator": "Exists"}), true),
            (json!({"key": "rack", "operator": "Exists"}), false),
            (json!({"key": "rack", "operator": "DoesNotExist"}), true),
            (json!({"key": "zone", "operator": "DoesNotExist"}), false),
            (json!({"key": "cores", "operator": "Gt", "values": ["7"]}), true),
            (json!({"key": "cores", "operator": "Gt", "values": ["8"]}), false),
            (json!({"key": "cores", "operator": "Lt", "values": ["9"]}), true),
            (json!({"key": "cores", "operator": "Lt", "values": ["8"]}), false),
            (json!({"key": "zone", "operator": "Gt", "values": ["1"]}), false),
            (json!({"key": "rack", "operator": "Lt", "values": ["1"]}), false),
            (json!({"key": "zone", "operator": "Like", "values": ["a"]}), false),
        ] {
            let found = node.takes(&requiring(json!([{"matchExpressions": [requirement]}])));
            assert_eq!(found, met, "{requirement}");
        }
    }

    #[test]
    fn one_term_is_enough_and_all_of_it_must_be_met() {
        let node = node(json!({"kubernetes.io/os": "linux", "zone": "a"}), json!([]));
        let zone = |zone: &str| json!({"key": "zone", "operator": "In", "values": [zone]});
        let named = |name: &str| json!([{"key": "metadata.name", "operator": "In", "values": [name]}]);
        for (terms, met) in [
            (json!([{"matchExpressions": [zone("b")]}, {"matchExpressions": [zone("a")]}]), true),
            (json!([{"matchExpressions": [zone("a"), zone("b")]}]), false),
            (json!([{"matchFields": named("n")}]), true),
            (json!([{"matchFields": named("m")}]), false),
            (json!([{"matchExpressions": [zone("b")], "matchFields": named("n")}]), false),
            (json!([{"matchExpressions": [zone("a")], "matchFields": named("n")}]), true),
            (json!([{}]), false),
            (json!([{}, {"matchFields": named("n")}]), true),
        ] {
            assert_eq!(node.takes(&requiring(terms.clone())), met, "{terms}");
        }
    }
}
