//! Events about nodes that were freed although images are missing.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};

use super::freed_node::FreedNode;
use crate::cluster::events::EventRecorder;
use crate::cluster::observed::Observed;
use crate::gate::lists_on_nodes::GatedList;
use crate::gate::warmth::NodeWarmth;
use crate::messages::{Message, node_gates};

/// Where Events about objects without a namespace are stored (validation of `events.k8s.io/v1`).
const NAMESPACE_OF_NODE_EVENTS: &str = "default";

/// Reports on nodes and on lists.
pub struct Reports {
    on_nodes: EventRecorder,
    on_lists: EventRecorder,
}

impl Reports {
    /// Prepares to report on nodes, and on the lists of a namespace.
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self {
            on_nodes: EventRecorder::new(client, NAMESPACE_OF_NODE_EVENTS),
            on_lists: EventRecorder::new(client, namespace),
        }
    }

    /// Reports nodes that were freed by the timeout: on each of them, and once on each list that is not warm there.
    pub async fn freed_by_timeout(&self, observed: &Observed, lists: &[GatedList], freed: &[FreedNode]) {
        let mut by_list: BTreeMap<&str, Vec<(&str, &NodeWarmth)>> = BTreeMap::new();
        for it in freed {
            let missing: Vec<(&str, NodeWarmth)> =
                it.timed_out.iter().flatten().map(|(list, warmth)| (list.as_str(), warmth.clone())).collect();
            let message = node_gates::freed_by_timeout(it.taint.as_str(), &missing);
            self.on_nodes.record(&reference(it), message).await;
            for (list, warmth) in it.timed_out.iter().flatten() {
                by_list.entry(list).or_default().push((&it.node.name, warmth));
            }
        }
        for list in lists {
            let Some(nodes) = by_list.get(list.name.as_str()) else { continue };
            let names: Vec<&str> = nodes.iter().map(|(node, _)| *node).collect();
            let Some((_, first)) = nodes.first() else { continue };
            self.on_list(observed, list, node_gates::nodes_freed_by_timeout(&names, first)).await;
        }
    }

    /// Reports the same on all lists.
    pub async fn on_all(&self, observed: &Observed, lists: &[GatedList], message: &Message) {
        for list in lists {
            self.on_list(observed, list, message.clone()).await;
        }
    }

    async fn on_list(&self, observed: &Observed, list: &GatedList, message: Message) {
        if let Some(config_map) = observed.list(&list.label) {
            self.on_lists.record(&config_map.object_ref(&()), message).await;
        }
    }
}

fn reference(it: &FreedNode) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(it.node.name.clone()),
        uid: Some(it.uid.clone()),
        ..ObjectReference::default()
    }
}
