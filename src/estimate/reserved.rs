//! What the holders keep free on nodes.

use serde::Serialize;

use crate::coverage::requests::Requests;
use crate::list::Config;
use crate::list::config::Group;
use crate::list::quantity::Nanos;

/// What the pods of a list reserve, while no new generation takes over.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    /// Each group by itself.
    pub groups: Vec<OfGroup>,
    /// On a node that all groups are on.
    pub per_node: Requests,
    /// On so many nodes, where all groups are on all of them; nothing where their number is not known.
    pub cluster: Option<Requests>,
}

/// What the pods of a group reserve.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfGroup {
    /// The group.
    pub name: String,
    /// The number of its images.
    pub images: usize,
    /// On each of its nodes.
    pub per_node: Requests,
}

impl Reserved {
    /// What a list reserves on so many nodes.
    pub fn by(config: &Config, nodes: Option<u32>) -> Self {
        let of_group = |group: &Group| OfGroup {
            name: group.name.to_string(),
            images: group.images.len(),
            per_node: of_pod(group),
        };
        let groups: Vec<_> = config.groups.iter().map(of_group).collect();
        let per_node = groups.iter().fold(Requests::default(), |sum, group| sum + group.per_node);
        Self { groups, per_node, cluster: nodes.map(|nodes| times(per_node, u64::from(nodes))) }
    }
}

/// The container that comes before the others asks for no more than one of them, so it does not count.
fn of_pod(group: &Group) -> Requests {
    let resources = &group.resources;
    let each = Requests {
        cpu_millis: Nanos::parse(&resources.cpu_request.0).map_or(0, Nanos::millis),
        memory_bytes: Nanos::parse(&resources.memory_request.0).map_or(0, Nanos::whole),
    };
    times(each, group.images.len() as u64)
}

fn times(requests: Requests, number: u64) -> Requests {
    Requests {
        cpu_millis: requests.cpu_millis.saturating_mul(number),
        memory_bytes: requests.memory_bytes.saturating_mul(number),
    }
}
