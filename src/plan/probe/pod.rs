//! A probe's pod, exactly as it stands in the cluster.

use k8s_openapi::api::core::v1::{Affinity, NodeSelectorRequirement, Pod};
use kube::core::ObjectMeta;

use super::answer::DEADLINE;
use super::places::Place;
use crate::list::config::Group;
use crate::naming::hash::short_hash;
use crate::naming::labels;
use crate::plan::daemon_set::{AcceptedList, Settings, template, texts};
use crate::plan::generation::{Generation, Record};
use crate::plan::pull_policies::PulledAlways;

/// Builds the pod of a look at a place. `group` has the images that are asked for; everything else is the group's own.
/// `None` where the generation does not say how it was made.
///
/// It is the pod of a generation in all but this: nobody starts it again, it ends by its deadline, it belongs on one
/// node and waits for no turn there. Its labels are no generation's, so no DaemonSet takes it for its own.
pub fn build(
    list: AcceptedList,
    group: &Group,
    newest: &Generation,
    look: &str,
    place: Place,
    settings: &Settings,
) -> Option<Pod> {
    // The node knows this holder already, and another one says nothing new about tags.
    let record = Record { spread_seconds: 0, pulled_always: PulledAlways::all_of(group), ..newest.record.clone()? };
    let pod_labels = texts([
        (labels::LIST, list.label),
        (labels::GROUP, group.name.as_str()),
        (labels::PROBE, look),
        (labels::PROBE_ARCHITECTURE, place.architecture),
    ]);
    let template = template(pod_labels, group, &record, settings);
    let mut spec = template.spec?;
    spec.restart_policy = Some("Never".to_owned());
    spec.active_deadline_seconds = Some(DEADLINE.as_secs());
    if let Some((affinity, node)) = spec.affinity.as_mut().zip(place.node) {
        only_on(affinity, node);
    }
    Some(Pod {
        metadata: ObjectMeta {
            name: Some(name(newest, look, place)),
            namespace: Some(list.namespace.to_owned()),
            owner_references: settings.owner.clone().map(|owner| vec![owner]),
            ..template.metadata?
        },
        spec: Some(spec),
        status: None,
    })
}

/// The same look at the same place has the same name, so that it is never made twice.
pub fn name(newest: &Generation, look: &str, place: Place) -> String {
    format!("{}-{}", newest.name, short_hash(format!("{look}\n{}\n{}", place.architecture, place.index).as_bytes()))
}

/// Through the scheduler, which knows what room there is; a node's name in the spec would go past it.
fn only_on(affinity: &mut Affinity, node: &str) {
    let required = affinity.node_affinity.as_mut().and_then(|it| {
        it.required_during_scheduling_ignored_during_execution.as_mut().map(|it| &mut it.node_selector_terms)
    });
    let any = |requirements: &Option<Vec<_>>| requirements.as_ref().is_some_and(|it| !it.is_empty());
    for term in required.into_iter().flatten() {
        // A term without requirements selects nothing, and has to stay like that.
        if any(&term.match_expressions) || any(&term.match_fields) {
            term.match_fields.get_or_insert_default().push(NodeSelectorRequirement {
                key: "metadata.name".to_owned(),
                operator: "In".to_owned(),
                values: Some(vec![node.to_owned()]),
            });
        }
    }
}
