//! Events about nodes that were freed although images are missing, and about missing rights.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use tokio::time::timeout;

use super::decide::FreedNode;
use crate::cluster::events::EventRecorder;
use crate::cluster::observed::Observed;
use crate::error::Error;
use crate::gate::NodeWrite;
use crate::gate::lists_on_nodes::GatedList;
use crate::gate::warmth::NodeWarmth;
use crate::messages::{Message, api_errors, node_gates};

/// Where Events about objects without a namespace are stored (validation of `events.k8s.io/v1`).
const NAMESPACE_OF_NODE_EVENTS: &str = "default";
/// How many Events are sent at a time, and how long each may take: nodes are waiting.
const AT_A_TIME: usize = 8;
const TIME_LIMIT: Duration = Duration::from_secs(5);

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
            for (list, warmth) in it.timed_out.iter().flatten() {
                by_list.entry(list).or_default().push((&it.node.name, warmth));
            }
        }
        let on_list = |list: &GatedList| {
            let nodes = by_list.get(list.name.as_str())?;
            let names: Vec<&str> = nodes.iter().map(|(node, _)| *node).collect();
            let (_, first) = nodes.first()?;
            Some((list.label.clone(), node_gates::nodes_freed_by_timeout(&names, first)))
        };
        self.on_lists(observed, lists.iter().filter_map(on_list).collect()).await;
        let on_node = |it: &FreedNode| {
            let missing = it.timed_out.as_deref().unwrap_or_default();
            (reference(it), node_gates::freed_by_timeout(it.taint.as_str(), missing))
        };
        let messages: Vec<_> = freed.iter().map(on_node).collect();
        let recorded = stream::iter(messages).map(|(node, message)| async move {
            drop(timeout(TIME_LIMIT, self.on_nodes.record(&node, message)).await);
        });
        recorded.buffer_unordered(AT_A_TIME).collect::<()>().await;
    }

    /// Reports on all lists with a gate what could not be written.
    pub async fn failure(&self, observed: &Observed, lists: &[GatedList], kind: NodeWrite, error: &Error) {
        let Some(message) = api_errors::failure(error) else { return };
        let message = node_gates::failure(kind, message);
        self.on_lists(observed, lists.iter().map(|list| (list.label.clone(), message.clone())).collect()).await;
    }

    /// Reports on lists, by the values of their labels.
    async fn on_lists(&self, observed: &Observed, messages: Vec<(String, Message)>) {
        let recorded = stream::iter(messages).map(|(label, message)| async move {
            if let Some(config_map) = observed.list(&label) {
                self.on_lists.record(&config_map.object_ref(&()), message).await;
            }
        });
        drop(timeout(TIME_LIMIT, recorded.buffer_unordered(AT_A_TIME).collect::<()>()).await);
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
