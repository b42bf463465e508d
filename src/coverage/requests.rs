//! What a pod reserves.

use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::pod::{Container, PodSpec, ResourceList};
use crate::list::quantity::Nanos;

/// CPU, memory and ephemeral storage that are reserved for pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// CPU, in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Ephemeral storage, in bytes. Holders reserve none by default.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ephemeral_storage_bytes: u64,
}

fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Requests {
    /// What the scheduler reserves for a pod (`PodRequests` in `k8s.io/component-helpers/resource`): the sum of its containers and
    /// sidecars, or the largest init container with the sidecars before it if that is more; plus the pod's overhead.
    pub fn of_pod(spec: &PodSpec) -> Self {
        let containers = spec.containers.iter().map(of_container).fold(Self::default(), Self::add);
        let (mut sidecars, mut starting) = (Self::default(), Self::default());
        for init in &spec.init_containers {
            let own = of_container(init);
            if init.restart_policy.as_deref() == Some("Always") {
                sidecars = sidecars + own;
                starting = starting.max(sidecars);
            } else {
                starting = starting.max(sidecars + own);
            }
        }
        (containers + sidecars).max(starting) + of_list(&spec.overhead)
    }

    /// Whether none of them is more than in the other.
    pub fn fits_into(self, other: Self) -> bool {
        self.max(other) == other
    }

    /// The maximum of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.max(other.cpu_millis),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            ephemeral_storage_bytes: self.ephemeral_storage_bytes.max(other.ephemeral_storage_bytes),
        }
    }
}

impl Add for Requests {
    type Output = Self;

    /// Sums saturate.
    fn add(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            ephemeral_storage_bytes: self.ephemeral_storage_bytes.saturating_add(other.ephemeral_storage_bytes),
        }
    }
}

fn of_container(container: &Container) -> Requests {
    of_list(&container.resources.requests)
}

/// The API server accepts only valid quantities.
fn of_list(list: &ResourceList) -> Requests {
    Requests {
        cpu_millis: Nanos::parse(&list.cpu).map_or(0, Nanos::millis),
        memory_bytes: Nanos::parse(&list.memory).map_or(0, Nanos::whole),
        ephemeral_storage_bytes: Nanos::parse(&list.ephemeral_storage).map_or(0, Nanos::whole),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(spec: Value) -> (u64, u64) {
        let requests = Requests::of_pod(&serde_json::from_value(spec).expect("a spec"));
        (requests.cpu_millis, requests.memory_bytes)
    }

    fn asking(cpu: &str, memory: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn a_pod_reserves_what_its_containers_ask_for_together() {
        assert_eq!(
            of(json!({"containers": [asking("1m", "1Mi"), asking("0.5", "1Ki"), {"name": "none"}]})),
            (501, 1_049_600)
        );
        assert_eq!(of(json!({"containers": []})), (0, 0));
    }

    #[test]
    fn ephemeral_storage_counts_where_it_is_asked_for() {
        let mut asks = asking("1m", "1");
        asks["resources"]["requests"]["ephemeral-storage"] = json!("1Ki");
        let spec = json!({"containers": [asks, asks, asking("1m", "1")], "initContainers": [asks]});
        let requests = Requests::of_pod(&serde_json::from_value(spec).expect("a spec"));
        assert_eq!(requests.ephemeral_storage_bytes, 2_048);
        let printed = |requests: Requests| serde_json::to_value(requests).expect("JSON");
        assert_eq!(printed(requests)["ephemeralStorageBytes"], 2_048);
        assert_eq!(printed(Requests::default()), json!({"cpuMillis": 0, "memoryBytes": 0}));
    }

    #[test]
    fn init_containers_count_where_they_ask_for_more() {
        let containers = json!([asking("2m", "1"), asking("2m", "1")]);
        assert_eq!(of(json!({"containers": containers, "initContainers": [asking("3m", "5")]})), (4, 5));
        let mut sidecar = asking("10m", "10");
        sidecar["restartPolicy"] = json!("Always");
        let spec = json!({"containers": containers, "initContainers": [sidecar, asking("3m", "5")], "overhead": {"cpu": "100m"}});
        assert_eq!(of(spec), (114, 15));
    }
}
