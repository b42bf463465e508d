//! Pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Affinity;
use prost::Message;

use super::scheduling::{AffinityMessage, TolerationMessage};
use crate::coverage::SlimPod;
use crate::coverage::pod::{
    Container, ContainerResources, ContainerState, ContainerStatus, PodCondition, PodSpec, PodStatus, PullSecret,
    ResourceList, Running, Terminated, WaitingContainer,
};
use crate::slim::protobuf::{FromProtobuf, SlimMessage, TimeMessage, all_from, some_text};

impl FromProtobuf for SlimPod {
    type Message = SlimMessage<PodSpecMessage, PodStatusMessage>;
}

/// `PodSpec`.
#[derive(Clone, PartialEq, Message)]
pub struct PodSpecMessage {
    #[prost(message, repeated, tag = "2")]
    containers: Vec<ContainerMessage>,
    #[prost(btree_map = "string, string", tag = "7")]
    node_selector: BTreeMap<String, String>,
    #[prost(string, tag = "8")]
    service_account_name: String,
    #[prost(string, tag = "10")]
    node_name: String,
    #[prost(message, repeated, tag = "15")]
    image_pull_secrets: Vec<PullSecretMessage>,
    #[prost(message, optional, tag = "18")]
    affinity: Option<AffinityMessage>,
    #[prost(message, repeated, tag = "20")]
    init_containers: Vec<ContainerMessage>,
    #[prost(message, repeated, tag = "22")]
    tolerations: Vec<TolerationMessage>,
    #[prost(btree_map = "string, message", tag = "32")]
    overhead: BTreeMap<String, QuantityMessage>,
}

impl From<PodSpecMessage> for PodSpec {
    fn from(it: PodSpecMessage) -> Self {
        Self {
            node_name: some_text(it.node_name),
            containers: all_from(it.containers),
            init_containers: all_from(it.init_containers),
            overhead: it.overhead.into(),
            tolerations: all_from(it.tolerations),
            affinity: it.affinity.map(Affinity::from),
            node_selector: it.node_selector,
            service_account_name: it.service_account_name,
            image_pull_secrets: all_from(it.image_pull_secrets),
        }
    }
}

/// `LocalObjectReference`.
#[derive(Clone, PartialEq, Message)]
struct PullSecretMessage {
    #[prost(string, tag = "1")]
    name: String,
}

impl From<PullSecretMessage> for PullSecret {
    fn from(it: PullSecretMessage) -> Self {
        Self { name: it.name }
    }
}

/// `Container`.
#[derive(Clone, PartialEq, Message)]
struct ContainerMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    image: String,
    #[prost(message, optional, tag = "8")]
    resources: Option<ResourcesMessage>,
    #[prost(string, tag = "14")]
    image_pull_policy: String,
    #[prost(string, optional, tag = "24")]
    restart_policy: Option<String>,
}

/// `ResourceRequirements`.
#[derive(Clone, PartialEq, Message)]
struct ResourcesMessage {
    #[prost(btree_map = "string, message", tag = "2")]
    requests: BTreeMap<String, QuantityMessage>,
}

/// `Quantity`.
#[derive(Clone, PartialEq, Message)]
struct QuantityMessage {
    #[prost(string, tag = "1")]
    string: String,
}

impl From<ContainerMessage> for Container {
    fn from(it: ContainerMessage) -> Self {
        let requests = it.resources.map(|resources| resources.requests.into()).unwrap_or_default();
        Self {
            name: it.name,
            image: it.image,
            resources: ContainerResources { requests },
            restart_policy: it.restart_policy,
            image_pull_policy: it.image_pull_policy,
        }
    }
}

impl From<BTreeMap<String, QuantityMessage>> for ResourceList {
    fn from(mut it: BTreeMap<String, QuantityMessage>) -> Self {
        let mut amount = |resource| it.remove(resource).map(|quantity| quantity.string).unwrap_or_default();
        Self { cpu: amount("cpu"), memory: amount("memory"), ephemeral_storage: amount("ephemeral-storage") }
    }
}

/// `PodStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct PodStatusMessage {
    #[prost(string, tag = "1")]
    phase: String,
    #[prost(message, repeated, tag = "2")]
    conditions: Vec<PodConditionMessage>,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, repeated, tag = "8")]
    container_statuses: Vec<ContainerStatusMessage>,
    #[prost(message, repeated, tag = "10")]
    init_container_statuses: Vec<ContainerStatusMessage>,
}

impl From<PodStatusMessage> for PodStatus {
    fn from(it: PodStatusMessage) -> Self {
        Self {
            phase: it.phase,
            reason: it.reason,
            message: it.message,
            conditions: all_from(it.conditions),
            init_container_statuses: all_from(it.init_container_statuses),
            container_statuses: all_from(it.container_statuses),
        }
    }
}

/// `PodCondition`.
#[derive(Clone, PartialEq, Message)]
struct PodConditionMessage {
    #[prost(string, tag = "1")]
    type_: String,
    #[prost(string, tag = "2")]
    status: String,
    #[prost(message, optional, tag = "4")]
    last_transition_time: Option<TimeMessage>,
    #[prost(string, tag = "5")]
    reason: String,
    #[prost(string, tag = "6")]
    message: String,
}

impl From<PodConditionMessage> for PodCondition {
    fn from(it: PodConditionMessage) -> Self {
        Self {
            type_: it.type_,
            status: it.status,
            reason: it.reason,
            message: it.message,
            last_transition_time: it.last_transition_time.and_then(TimeMessage::time),
        }
    }
}

/// `ContainerStatus`.
#[derive(Clone, PartialEq, Message)]
struct ContainerStatusMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    state: Option<ContainerStateMessage>,
    #[prost(message, optional, tag = "3")]
    last_state: Option<ContainerStateMessage>,
    #[prost(int32, tag = "5")]
    restart_count: i32,
    #[prost(string, tag = "7")]
    image_id: String,
    #[prost(string, tag = "8")]
    container_id: String,
    #[prost(bool, optional, tag = "9")]
    started: Option<bool>,
}

impl From<ContainerStatusMessage> for ContainerStatus {
    fn from(it: ContainerStatusMessage) -> Self {
        Self {
            name: it.name,
            image_id: it.image_id,
            state: it.state.map(ContainerState::from).unwrap_or_default(),
            last_state: it.last_state.map(ContainerState::from).unwrap_or_default(),
            container_id: it.container_id,
            restart_count: it.restart_count,
            started: it.started,
        }
    }
}

/// `ContainerState`.
#[derive(Clone, PartialEq, Message)]
struct ContainerStateMessage {
    #[prost(message, optional, tag = "1")]
    waiting: Option<WaitingMessage>,
    #[prost(message, optional, tag = "2")]
    running: Option<RunningMessage>,
    #[prost(message, optional, tag = "3")]
    terminated: Option<TerminatedMessage>,
}

impl From<ContainerStateMessage> for ContainerState {
    fn from(it: ContainerStateMessage) -> Self {
        Self {
            waiting: it.waiting.map(WaitingContainer::from),
            running: it.running.map(Running::from),
            terminated: it.terminated.map(Terminated::from),
        }
    }
}

/// `ContainerStateWaiting`.
#[derive(Clone, PartialEq, Message)]
struct WaitingMessage {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    message: String,
}

impl From<WaitingMessage> for WaitingContainer {
    fn from(it: WaitingMessage) -> Self {
        Self { reason: it.reason, message: it.message }
    }
}

/// `ContainerStateRunning`.
#[derive(Clone, PartialEq, Message)]
struct RunningMessage {
    #[prost(message, optional, tag = "1")]
    started_at: Option<TimeMessage>,
}

impl From<RunningMessage> for Running {
    fn from(it: RunningMessage) -> Self {
        Self { started_at: it.started_at.and_then(TimeMessage::time) }
    }
}

/// `ContainerStateTerminated`.
#[derive(Clone, PartialEq, Message)]
struct TerminatedMessage {
    #[prost(int32, tag = "1")]
    exit_code: i32,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(string, tag = "4")]
    message: String,
    #[prost(message, optional, tag = "6")]
    finished_at: Option<TimeMessage>,
    #[prost(string, tag = "7")]
    container_id: String,
}

impl From<TerminatedMessage> for Terminated {
    fn from(it: TerminatedMessage) -> Self {
        Self {
            container_id: it.container_id,
            exit_code: it.exit_code,
            reason: it.reason,
            message: it.message,
            finished_at: it.finished_at.and_then(TimeMessage::time),
        }
    }
}
