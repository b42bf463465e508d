//! Pods and nodes as API servers send them in Protocol Buffers.
//!
//! The fields and their numbers are those of `generated.proto` in `k8s.io/api/core/v1`.

mod node;
mod pod;
mod scheduling;
