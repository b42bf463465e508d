//! The installs: the Helm chart, the kustomize manifests and the OpenShift templates.
//!
//! They are rendered by the real tools, and the API server of the simulated cluster says what it thinks of the result.

#![allow(clippy::unwrap_used, missing_docs)]

mod artifact_hub;
mod chart;
mod conventions;
mod documentation;
mod helm;
mod holder_image;
mod krew;
mod kubernetes_image_puller;
mod kustomize;
mod linters;
mod list_schema;
mod manifests;
mod monitoring;
mod namespace;
mod network_policies;
mod notes;
mod openshift;
mod overlays;
mod parity;
mod policies;
mod real;
mod release;
mod second_release;
mod security;
mod sequences;
#[path = "../cluster/tls.rs"]
mod tls;
mod validate;
mod workflows;
