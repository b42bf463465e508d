//! Nodes.

use prost::Message;

use super::scheduling::TaintMessage;
use crate::coverage::SlimNode;
use crate::coverage::node::{
    HandlerFeatures, NodeCondition, NodeImage, NodeInfo, NodeSpec, NodeStatus, RuntimeHandler,
};
use crate::slim::protobuf::{FromProtobuf, SlimMessage, TimeMessage, all_from, some_list};

impl FromProtobuf for SlimNode {
    type Message = SlimMessage<NodeSpecMessage, NodeStatusMessage>;
}

/// `NodeSpec`.
#[derive(Clone, PartialEq, Message)]
pub struct NodeSpecMessage {
    #[prost(bool, tag = "4")]
    unschedulable: bool,
    #[prost(message, repeated, tag = "5")]
    taints: Vec<TaintMessage>,
}

impl From<NodeSpecMessage> for NodeSpec {
    fn from(it: NodeSpecMessage) -> Self {
        Self { taints: all_from(it.taints), unschedulable: it.unschedulable }
    }
}

/// `NodeStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct NodeStatusMessage {
    #[prost(message, repeated, tag = "4")]
    conditions: Vec<NodeConditionMessage>,
    #[prost(message, optional, tag = "7")]
    node_info: Option<NodeInfoMessage>,
    #[prost(message, repeated, tag = "8")]
    images: Vec<NodeImageMessage>,
    #[prost(message, repeated, tag = "12")]
    runtime_handlers: Vec<RuntimeHandlerMessage>,
}

impl From<NodeStatusMessage> for NodeStatus {
    fn from(it: NodeStatusMessage) -> Self {
        Self {
            conditions: all_from(it.conditions),
            images: all_from(it.images),
            node_info: it.node_info.map(NodeInfo::from).unwrap_or_default(),
            runtime_handlers: all_from(it.runtime_handlers),
        }
    }
}

/// `NodeCondition`.
#[derive(Clone, PartialEq, Message)]
struct NodeConditionMessage {
    #[prost(string, tag = "1")]
    type_: String,
    #[prost(string, tag = "2")]
    status: String,
    #[prost(message, optional, tag = "3")]
    last_heartbeat_time: Option<TimeMessage>,
    #[prost(message, optional, tag = "4")]
    last_transition_time: Option<TimeMessage>,
    #[prost(string, tag = "5")]
    reason: String,
    #[prost(string, tag = "6")]
    message: String,
}

impl From<NodeConditionMessage> for NodeCondition {
    fn from(it: NodeConditionMessage) -> Self {
        Self {
            type_: it.type_,
            status: it.status,
            last_transition_time: it.last_transition_time.and_then(TimeMessage::time),
            last_heartbeat_time: it.last_heartbeat_time.and_then(TimeMessage::time),
            reason: it.reason,
            message: it.message,
        }
    }
}

/// `NodeSystemInfo`.
#[derive(Clone, PartialEq, Message)]
struct NodeInfoMessage {
    #[prost(string, tag = "7")]
    kubelet_version: String,
}

impl From<NodeInfoMessage> for NodeInfo {
    fn from(it: NodeInfoMessage) -> Self {
        Self { kubelet_version: it.kubelet_version.into() }
    }
}

/// `ContainerImage`.
#[derive(Clone, PartialEq, Message)]
struct NodeImageMessage {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
    #[prost(int64, tag = "2")]
    size_bytes: i64,
}

impl From<NodeImageMessage> for NodeImage {
    fn from(it: NodeImageMessage) -> Self {
        Self { names: some_list(it.names), size_bytes: it.size_bytes }
    }
}

/// `NodeRuntimeHandler`.
#[derive(Clone, PartialEq, Message)]
struct RuntimeHandlerMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    features: Option<HandlerFeaturesMessage>,
}

/// `NodeRuntimeHandlerFeatures`.
#[derive(Clone, PartialEq, Message)]
struct HandlerFeaturesMessage {
    #[prost(bool, optional, tag = "2")]
    user_namespaces: Option<bool>,
}

impl From<RuntimeHandlerMessage> for RuntimeHandler {
    fn from(it: RuntimeHandlerMessage) -> Self {
        let features = it.features.map(|features| HandlerFeatures { user_namespaces: features.user_namespaces });
        Self { name: it.name, features }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field whose value has a length.
    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).expect("short");
        [&[number << 3 | 2, length], value].concat()
    }

    #[test]
    fn the_kubelets_version_is_the_seventh_field_of_the_seventh() {
        for (version, verifies) in [("v1.35.0", true), ("v1.34.2-eks-ecaa3a6", false)] {
            let info = [field(6, b"containerd://2.1.4"), field(7, version.as_bytes())].concat();
            let sent = NodeStatusMessage::decode(&*field(7, &info)).expect("a status");
            let info = NodeStatus::from(sent).node_info;
            assert_eq!(info.kubelet_version.verifies_credentials, verifies, "{version}");
        }
    }
}
