//! A generation's DaemonSet as it is in the cluster, with what patches depend on.
//!
//! The types of `k8s_openapi` would decode every volume, probe and security context that a pod can have. That is 200 KB of program
//! for fields that no patch reads.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use serde::Deserialize;

use crate::slim::{Skipped, Slim};

/// A DaemonSet, decoded without what no patch depends on.
pub type LiveDaemonSet = Slim<LiveSpec, Skipped>;

/// The part of its spec that patches depend on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiveSpec {
    /// How many revisions its controller keeps.
    pub revision_history_limit: Option<i32>,
    /// When pods follow the template.
    pub update_strategy: UpdateStrategy,
    /// The template of its pods.
    pub template: LiveTemplate,
}

/// When pods follow the template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UpdateStrategy {
    /// `OnDelete` or `RollingUpdate`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The template of pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveTemplate {
    /// The pods.
    pub spec: LivePod,
}

/// The part of a pod that patches depend on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LivePod {
    /// Its containers, in their order.
    pub containers: Vec<LiveContainer>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Its affinity.
    pub affinity: Option<Affinity>,
    /// Its tolerations.
    pub tolerations: Vec<Toleration>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveContainer {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: Option<String>,
}

impl LiveDaemonSet {
    /// Its pods, as the template has them.
    pub fn pod(&self) -> &LivePod {
        &self.spec.template.spec
    }
}
