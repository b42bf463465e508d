//! Why a node has no pod with the image, or no capacity for it.

use super::cause::Diagnosis;

/// What to do about a node without capacity.
pub fn free_capacity(reason: &str, message: &str) -> &'static str {
    match () {
        () if message.contains("Too many pods") || reason == "OutOfpods" => {
            "raise the node's pod limit, or put the images into fewer groups"
        }
        () => "lower the group's requests, or free capacity on the nodes",
    }
}

/// Why there is no pod, or none that runs.
pub fn displaced(reason: &str, said: Diagnosis) -> Diagnosis {
    // Kubelets also evict pods that exceed a limit of their own (`k8s.io/kubernetes/pkg/kubelet/eviction`).
    let is_node_low = said.what.contains("low on resource");
    let what = match reason {
        "Missing" => "the DaemonSet has no pod there, and none has come for a while".to_owned(),
        "Altered" if said.what.is_empty() => {
            "the DaemonSet has no pod there and was changed by another client".to_owned()
        }
        "Altered" => format!("the DaemonSet has no pod there and was changed by {}", said.what),
        _ => said.what,
    };
    let remedy = match reason {
        "Evicted" if is_node_low => {
            "give the nodes more of the resource that ran low, or shorten the list; the pod is recreated"
        }
        "Altered" => "edit the list instead; the list's Events say whether the DaemonSet was restored",
        "Missing" => "kubectl describe daemonset shows whether a quota or admission refuses its pods",
        _ => "see the pod: kubectl describe pod",
    };
    Diagnosis { what, remedy: Some(remedy), part: None }
}
