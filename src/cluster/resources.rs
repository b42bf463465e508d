//! API resources for the types that decode only a part of an object.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ApiResource;

/// Pods.
pub fn pods() -> ApiResource {
    ApiResource::erase::<Pod>(&())
}

/// DaemonSets.
pub fn daemon_sets() -> ApiResource {
    ApiResource::erase::<DaemonSet>(&())
}

/// Nodes.
pub fn nodes() -> ApiResource {
    ApiResource::erase::<Node>(&())
}
