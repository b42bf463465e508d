//! Builds a tag check's DaemonSet.
//!
//! A tag check is a DaemonSet although it runs on a single node: `kubectl drain` and the cluster autoscaler ignore pods
//! of DaemonSets, but a pod without a controller would block them.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Affinity, Pod};
use kube::core::ObjectMeta;

use super::targets::CheckTarget;
use crate::list::config::Group;
use crate::naming::hash::short_hash;
use crate::naming::labels;
use crate::plan::context::{AcceptedList, Settings};
use crate::plan::daemon_set::{object_labels, spec, string_map, template};
use crate::plan::generation::holder_folder::HolderFolder;
use crate::plan::generation::node_scope::NodeScope;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::{FORMAT, Generation, Record};

/// Allows the cluster autoscaler to remove the node under a pod (`k8s.io/autoscaler/cluster-autoscaler/FAQ.md`, "What
/// types of pods can prevent CA from removing a node?").
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// Builds the DaemonSet of a tag check on a node. `asked` is the group with the images to check only. Returns `None` if
/// it is unknown how the generation was built.
///
/// Its pod differs from the generation's pods in that it pulls the checked tags with `Always`, runs on one node, and
/// has no start delay. No generation selects it.
pub fn build(
    list: AcceptedList,
    asked: &Group,
    newest: &Generation,
    tag_check: &str,
    target: CheckTarget,
    pulled_always: PulledAlways,
    settings: &Settings,
) -> Option<DaemonSet> {
    // Use the generation's holder image, which the node already has. A newer one would make no difference. The rest of the
    // template is today's.
    let folder = HolderFolder::new(&settings.seed, &name(newest, tag_check, target));
    let gate_taints = asked.placement.gate_taints.clone();
    let record =
        Record { spread_seconds: 0, pulled_always, format: FORMAT, folder, gate_taints, ..newest.record.clone()? };
    let selector = string_map([
        (labels::LIST, list.label),
        (labels::GROUP, asked.name.as_str()),
        (labels::TAG_CHECK, &hash(tag_check, target)),
        (labels::TAG_CHECK_ARCHITECTURE, target.architecture),
    ]);
    let mut template = template(selector.clone(), asked, &record, settings);
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(SAFE_TO_EVICT.to_owned(), "true".to_owned());
    let pod = template.spec.get_or_insert_default();
    pin(pod.affinity.get_or_insert_default(), target.node);
    Some(DaemonSet {
        metadata: ObjectMeta {
            name: Some(name(newest, tag_check, target)),
            namespace: Some(list.namespace.to_owned()),
            labels: Some(object_labels(selector.clone())),
            annotations: Some(list.config.daemon_set_annotations.clone()).filter(|it| !it.is_empty()),
            owner_references: settings.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(spec(selector, template)),
        status: None,
    })
}

/// A pod as the DaemonSet controller creates it for a tag check, without an owner.
pub fn pod_of(daemon_set: &DaemonSet) -> Option<Pod> {
    let template = daemon_set.spec.as_ref()?.template.clone();
    let metadata = ObjectMeta {
        generate_name: daemon_set.metadata.name.as_ref().map(|name| format!("{name}-")),
        namespace: daemon_set.metadata.namespace.clone(),
        ..template.metadata.unwrap_or_default()
    };
    Some(Pod { metadata, spec: template.spec, status: None })
}

/// The same check on the same node always has the same name, so it is never created twice. On another node it has
/// another name, so a tag check that is stuck on a lost node blocks nothing.
pub fn name(newest: &Generation, tag_check: &str, target: CheckTarget) -> String {
    format!("{}-{}", newest.name, hash(tag_check, target))
}

fn hash(tag_check: &str, target: CheckTarget) -> String {
    short_hash(format!("{tag_check}\n{}\n{}", target.architecture, target.node).as_bytes())
}

/// Uses affinity so that the scheduler checks capacity. `nodeName` would bypass the scheduler.
fn pin(affinity: &mut Affinity, node: &str) {
    let required = affinity.node_affinity.get_or_insert_default();
    let required = required.required_during_scheduling_ignored_during_execution.get_or_insert_default();
    let terms = NodeScope::Only([node.to_owned()].into()).terms(Some(&required.node_selector_terms));
    required.node_selector_terms = terms.unwrap_or_default();
}
