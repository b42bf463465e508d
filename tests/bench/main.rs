//! What `make bench` decides and prints, without a cluster.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "cluster/table.rs"]
mod table;
