//! What pods reserve on nodes.

use std::collections::HashMap;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::coverage::requests::Requests;
use crate::coverage::{CoveringPod, PodState};

/// What pods reserve on nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    /// The most on any node.
    pub per_node: Requests,
    /// On all nodes together.
    pub total: Requests,
}

impl Reserved {
    /// The sum of these pods' requests. Pods without a node and pods that have ended reserve nothing.
    pub fn by<'a>(pods: impl IntoIterator<Item = &'a CoveringPod>) -> Self {
        let mut nodes: HashMap<&str, Requests> = HashMap::new();
        for pod in pods.into_iter().filter(|pod| !matches!(pod.state, PodState::Ended { .. })) {
            if let Some(node) = pod.node.as_deref() {
                let on_node = nodes.entry(node).or_default();
                *on_node = *on_node + pod.requests;
            }
        }
        let per_node = nodes.values().copied().fold(Requests::default(), Requests::max);
        Self { per_node, total: nodes.into_values().fold(Requests::default(), Requests::add) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::{Coverage, SlimPod};
    use crate::summary::tests::world::{Life, Pod};

    fn with_requests(pod: Pod) -> SlimPod {
        let mut sent = pod.as_sent();
        sent.spec.containers.iter_mut().for_each(|container| container.resources.requests.cpu = "1m".to_owned());
        sent
    }

    #[test]
    fn nodes_with_pods_of_two_generations_reserve_both_and_pods_without_a_node_nothing() {
        let mut coverage = Coverage::default();
        for pod in [
            Pod::new(1, 0, "n0"),
            Pod::new(2, 2, "n0"),
            Pod::new(3, 2, "n1"),
            Pod { life: Life::NoCapacity, ..Pod::new(4, 2, "n2") },
            Pod { life: Life::Evicted, ..Pod::new(5, 2, "n3") },
        ] {
            coverage.apply(&with_requests(pod));
        }
        let reserved = Reserved::by(coverage.pods_of("tools"));
        assert_eq!((reserved.per_node.cpu_millis, reserved.total.cpu_millis), (4, 6));
    }
}
