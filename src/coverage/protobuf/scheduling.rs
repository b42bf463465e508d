//! What says which pods belong on which nodes.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration,
};
use prost::Message;

use crate::slim::protobuf::{TimeMessage, all_from, some_list, some_text};

/// `Taint`.
#[derive(Clone, PartialEq, Message)]
pub struct TaintMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(string, tag = "3")]
    effect: String,
    #[prost(message, optional, tag = "4")]
    time_added: Option<TimeMessage>,
}

impl From<TaintMessage> for Taint {
    fn from(it: TaintMessage) -> Self {
        let time_added = it.time_added.and_then(TimeMessage::time);
        Self { key: it.key, value: some_text(it.value), effect: it.effect, time_added }
    }
}

/// `Toleration`.
#[derive(Clone, PartialEq, Message)]
pub struct TolerationMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    operator: String,
    #[prost(string, tag = "3")]
    value: String,
    #[prost(string, tag = "4")]
    effect: String,
    #[prost(int64, optional, tag = "5")]
    toleration_seconds: Option<i64>,
}

impl From<TolerationMessage> for Toleration {
    fn from(it: TolerationMessage) -> Self {
        Self {
            key: some_text(it.key),
            operator: some_text(it.operator),
            value: some_text(it.value),
            effect: some_text(it.effect),
            toleration_seconds: it.toleration_seconds,
        }
    }
}

/// `Affinity`, of which only that to nodes is needed.
#[derive(Clone, PartialEq, Message)]
pub struct AffinityMessage {
    #[prost(message, optional, tag = "1")]
    node_affinity: Option<NodeAffinityMessage>,
}

/// `NodeAffinity`, of which only what is required is needed.
#[derive(Clone, PartialEq, Message)]
struct NodeAffinityMessage {
    #[prost(message, optional, tag = "1")]
    required: Option<NodeSelectorMessage>,
}

/// `NodeSelector`.
#[derive(Clone, PartialEq, Message)]
struct NodeSelectorMessage {
    #[prost(message, repeated, tag = "1")]
    terms: Vec<NodeSelectorTermMessage>,
}

/// `NodeSelectorTerm`.
#[derive(Clone, PartialEq, Message)]
struct NodeSelectorTermMessage {
    #[prost(message, repeated, tag = "1")]
    match_expressions: Vec<RequirementMessage>,
    #[prost(message, repeated, tag = "2")]
    match_fields: Vec<RequirementMessage>,
}

/// `NodeSelectorRequirement`.
#[derive(Clone, PartialEq, Message)]
struct RequirementMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    operator: String,
    #[prost(string, repeated, tag = "3")]
    values: Vec<String>,
}

impl From<AffinityMessage> for Affinity {
    fn from(it: AffinityMessage) -> Self {
        Self { node_affinity: it.node_affinity.map(NodeAffinity::from), ..Self::default() }
    }
}

impl From<NodeAffinityMessage> for NodeAffinity {
    fn from(it: NodeAffinityMessage) -> Self {
        let required = it.required.map(|required| NodeSelector { node_selector_terms: all_from(required.terms) });
        Self { required_during_scheduling_ignored_during_execution: required, ..Self::default() }
    }
}

impl From<NodeSelectorTermMessage> for NodeSelectorTerm {
    fn from(it: NodeSelectorTermMessage) -> Self {
        Self { match_expressions: some_list(it.match_expressions), match_fields: some_list(it.match_fields) }
    }
}

impl From<RequirementMessage> for NodeSelectorRequirement {
    fn from(it: RequirementMessage) -> Self {
        Self { key: it.key, operator: it.operator, values: some_list(it.values) }
    }
}
