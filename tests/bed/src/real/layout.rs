//! Names, addresses and places of a bed with real nodes. The addresses exist only inside its own network namespaces.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::state::State;

/// The machine with the control plane and the registry.
pub const HUB: &str = "hub";
/// The hub's address in the network of the machines.
pub const HUB_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Where pods find the API server.
pub const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The addresses of services.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The API server's port on the hub.
pub const API_PORT: u16 = 6443;
/// The registry's port on the hub.
pub const REGISTRY_PORT: u16 = 5000;
/// The registry as image references name it.
pub const REGISTRY_NAME: &str = "registry.test";
/// The image of the pods' sandboxes.
pub const PAUSE_IMAGE: &str = "registry.test/pause:1";
/// The holder's name in the bed's folder.
pub const HOLDER: &str = "holder";
/// More would leave the range of addresses (and of the patience of one machine).
pub const MOST_NODES: u32 = 100;

/// Everything about a bed that is known before it is started.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The bed's state folder.
    pub state: State,
    /// The folder of the programs that were built.
    pub programs: PathBuf,
}

impl Layout {
    /// A program that was built.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A file in the folder of keys and certificates.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.state.folder().join("pki").join(file)
    }

    /// A file in the folder of a machine.
    pub fn file(&self, machine: &str, file: &str) -> PathBuf {
        self.state.folder().join(machine).join(file)
    }

    /// The control group that a node's pods live under.
    pub fn cgroup(&self, node: NodeId) -> String {
        format!("{}-{}", self.state.unique_name(), node.name())
    }
}

/// The API server as the machines reach it.
pub fn api_server() -> String {
    format!("https://{HUB_ADDRESS}:{API_PORT}")
}

/// A node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u8);

impl NodeId {
    /// All nodes of a bed with so many.
    pub fn first(count: u32) -> impl Iterator<Item = Self> {
        (1..=u8::try_from(count.min(MOST_NODES)).unwrap_or(u8::MAX)).map(Self)
    }

    /// The node of that name, if it is a node's name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::first(MOST_NODES).find(|node| node.name() == name)
    }

    /// The name of the node and of its machine.
    pub fn name(self) -> String {
        format!("node{}", self.0)
    }

    /// Its address in the network of the machines.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, 0, 10 + self.0)
    }

    /// The addresses of its pods.
    pub fn pods(self) -> String {
        format!("10.88.{}.0/24", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_from_one() {
        let names: Vec<_> = NodeId::first(2).map(|node| (node.name(), node.address().to_string())).collect();
        assert_eq!(names, [("node1".into(), "10.99.0.11".into()), ("node2".into(), "10.99.0.12".into())]);
        assert_eq!(NodeId::of_name("node2"), NodeId::first(2).last());
        assert_eq!(NodeId::of_name("node0"), None);
    }
}
