//! What `make bench` decides, prints and writes, without a cluster.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

mod of_pages;
mod of_table;
#[path = "cluster/pages.rs"]
mod pages;
#[path = "cluster/table.rs"]
mod table;
