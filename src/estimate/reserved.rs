//! What the pods of a list reserve on nodes.

use serde::Serialize;

use crate::coverage::requests::Requests;
use crate::list::Config;
use crate::list::config::Group;
use crate::list::quantity::Nanos;

/// What kubelet, containerd and the pod's shim have in memory for each holder at most, as `make bench-nodes` measures it on a real node.
const OVERHEAD_OF_IMAGE: u64 = 1 << 20;
/// What the shim of each pod takes before it has containers: it is containerd's process beside the pod.
const OVERHEAD_OF_POD: u64 = 5 << 20;

/// What the pods of a list reserve outside rollouts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservedEstimate {
    /// Each group on its own.
    pub groups: Vec<ReservedByGroup>,
    /// On a node that matches all groups.
    pub per_node: Requests,
    /// Memory that the node's own programs need for the pods on a node that matches all groups. No request covers it.
    pub overhead_bytes: u64,
    /// On all nodes, if each matches all groups; `None` if the number of nodes is not known.
    pub cluster: Option<Requests>,
}

/// What the pods of a group reserve.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservedByGroup {
    /// Name of the group.
    pub name: String,
    /// The number of its images.
    pub images: usize,
    /// How many pods they need on each of its nodes.
    pub pods: usize,
    /// On each of its nodes.
    pub per_node: Requests,
}

impl ReservedEstimate {
    /// Computes what a list reserves on this number of nodes.
    pub fn by(config: &Config, nodes: Option<u32>) -> Self {
        let of_group = |group: &Group| ReservedByGroup {
            name: group.name.to_string(),
            images: group.images.len(),
            pods: group.new_shards(),
            per_node: of_pods(group),
        };
        let groups: Vec<_> = config.groups.iter().map(of_group).collect();
        let per_node = groups.iter().fold(Requests::default(), |sum, group| sum + group.per_node);
        let overhead_bytes = config.groups.iter().map(overhead).fold(0, u64::saturating_add);
        Self { groups, per_node, overhead_bytes, cluster: nodes.map(|nodes| times(per_node, u64::from(nodes))) }
    }
}

/// The init container of a pod requests no more than one of the others, so it adds nothing.
fn of_pods(group: &Group) -> Requests {
    let resources = &group.resources;
    let each = Requests {
        cpu_millis: Nanos::parse(&resources.cpu_request.0).map_or(0, Nanos::millis),
        memory_bytes: Nanos::parse(&resources.memory_request.0).map_or(0, Nanos::whole),
        ephemeral_storage_bytes: resources
            .ephemeral_storage_request
            .as_ref()
            .and_then(|request| Nanos::parse(&request.0).ok())
            .map_or(0, Nanos::whole),
    };
    times(each, group.images.len() as u64)
}

fn overhead(group: &Group) -> u64 {
    let (pods, images) = (group.new_shards() as u64, group.images.len() as u64);
    OVERHEAD_OF_POD.saturating_mul(pods).saturating_add(OVERHEAD_OF_IMAGE.saturating_mul(images))
}

fn times(requests: Requests, number: u64) -> Requests {
    Requests {
        cpu_millis: requests.cpu_millis.saturating_mul(number),
        memory_bytes: requests.memory_bytes.saturating_mul(number),
        ephemeral_storage_bytes: requests.ephemeral_storage_bytes.saturating_mul(number),
    }
}
