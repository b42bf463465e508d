//! Why no pod can run on a node, other than for lack of capacity.

use std::collections::{BTreeMap, BTreeSet};

use super::{Message, Reason, first_few, number};

/// What stands for the list's namespace in [`KEEP_OR_REMOVE`].
pub const NAMESPACE: &str = "NAMESPACE";

/// How to agree with a node selector that admission adds, or to remove it.
pub const KEEP_OR_REMOVE: &str = "to keep it, put it into the group's nodeSelector; if it is the namespace's default node selector, \
    remove that with kubectl annotate namespace NAMESPACE openshift.io/node-selector= --overwrite (without OpenShift: \
    scheduler.alpha.kubernetes.io/node-selector=) and delete the pods that have no node";

/// Why a node is excluded that lacks this label.
pub fn excluded(label: &str) -> String {
    format!("admission adds the node selector {label} to the pods, which excludes these nodes")
}

/// The Event about nodes that admission excludes.
pub fn nodes_excluded(
    namespace: &str,
    group: &str,
    daemon_set: &str,
    nodes: &BTreeMap<String, BTreeSet<String>>,
) -> Message {
    let excluded = nodes.iter().map(|(label, nodes)| {
        format!("{label} excludes {} ({})", number(nodes.len(), "node"), first_few(nodes, ", ", ""))
    });
    let note = format!(
        "group {group}: admission adds a node selector to the pods of the DaemonSet {daemon_set}: {}; no new pod can run there; {}",
        first_few(excluded, "; ", ""),
        remedy_in(namespace)
    );
    let labels: Vec<&str> = nodes.keys().map(String::as_str).collect();
    Message::new(Reason::NodesExcluded, format!("{group} {}", labels.join(",")), note).about(daemon_set)
}

/// The same if there is no pod that shows it, but a dry run of one.
pub fn nodes_excluded_in_dry_run(daemon_set: &str, selector: &str) -> String {
    format!(
        "a dry run of such a pod succeeds, and admission adds the node selector {selector} to it, so nodes without this label may \
         be excluded (a default node selector of the namespace does that); to keep it, put it into the group's nodeSelector; \
         `kubectl describe daemonset {daemon_set}` shows what else may be wrong"
    )
}

fn remedy_in(namespace: &str) -> String {
    KEEP_OR_REMOVE.replace(NAMESPACE, namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::MAX_NOTE;

    #[test]
    fn an_event_about_excluded_nodes_names_selector_and_nodes_and_how_to_remove_it() {
        let nodes: BTreeSet<String> =
            (0..2500).map(|node| format!("ip-10-0-123-{node}.eu-central-1.compute.internal")).collect();
        let message = nodes_excluded(
            "image-puller",
            "default",
            "tools-abcdefghij",
            &[("node-role.kubernetes.io/worker=".to_owned(), nodes)].into(),
        );
        for words in [
            "node-role.kubernetes.io/worker= excludes 2500 nodes (",
            "default node selector",
            "kubectl annotate namespace image-puller openshift.io/node-selector= --overwrite",
            "delete the pods that have no node",
        ] {
            assert!(message.note.contains(words), "{words}: {}", message.note);
        }
        assert!(message.note.len() <= MAX_NOTE, "{}", message.note.len());
    }
}
