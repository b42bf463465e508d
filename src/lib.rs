//! kube-prepull

pub mod list;
pub mod plan;
