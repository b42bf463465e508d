//! The network of the machines: a bridge in the hub, a cable from it to each node, and no way out.

use anyhow::Result;

use super::layout::{API_PORT, HUB_ADDRESS, NodeId, SERVICE_ADDRESS};
use crate::machine::Machine;

/// Sets up the hub's end.
pub fn prepare_hub(hub: &Machine) -> Result<()> {
    hub.ip(&[
        "link set lo up".into(),
        "link add bed0 type bridge".into(),
        format!("addr add {HUB_ADDRESS}/24 dev bed0"),
        "link set bed0 up".into(),
    ])
}

/// Joins a node to the hub.
pub fn join(hub: &Machine, machine: &Machine, node: NodeId) -> Result<()> {
    let (name, address) = (node.name(), node.address());
    hub.ip(&[
        format!("link add {name} type veth peer name eth0 netns {}", machine.init()),
        format!("link set {name} master bed0 up"),
        format!("route add {} via {address}", node.pods()),
    ])?;
    machine.ip(&[
        "link set lo up".into(),
        format!("addr add {address}/24 dev eth0"),
        "link set eth0 up".into(),
        format!("route add default via {HUB_ADDRESS}"),
    ])?;
    // In place of kube-proxy: pods know the API server by its service address only.
    for chain in ["PREROUTING", "OUTPUT"] {
        let rule = format!(
            "-t nat -A {chain} -d {SERVICE_ADDRESS} -p tcp --dport 443 -j DNAT --to-destination {HUB_ADDRESS}:{API_PORT}"
        );
        machine.run("iptables", &rule.split(' ').collect::<Vec<_>>())?;
    }
    Ok(())
}
