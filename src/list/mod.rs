//! A list as the user wrote it → [`Config`]. Pure.
//!
//! ```text
//! data ─► which format? ─┬─► yaml: images.yaml ─► tree ─┐
//!                        └─► flat: IMAGES, … ───────────┴─► reader + checks ─► Config, or every problem at once
//! ```
//! - [`data`], [`parser`]: a list as the user wrote it, and which format it uses
//! - [`tree`]: a document in which every value has its line
//! - [`reader`], [`path`], [`typed`]: reading a tree while collecting problems
//! - [`yaml`], [`flat`]: the two formats
//! - [`group`], [`placement`], [`affinity`], [`labels`], [`refresh`], [`image_cache`], [`node_gate`]: the checks that both formats share
//! - [`discover`]: groups that take images from workloads
//! - [`limits`]: how large a list may be, checked before its parts are read
//! - [`satisfiable`], [`real_nodes`]: whether any node can match a placement, and which nodes never count
//! - [`hints`], [`foreign`]: what users stumble over, and what is given as a list and is none
//! - [`keys`]: keys of a ConfigMap that are not a list's
//! - [`policy`]: what lists may ask for
//! - [`manager`]: which tool writes a list
//! - [`manifest`], [`file_lines`]: a file → the lists in it, with the lines of their problems
//! - [`config`], [`cache_platform`], [`names`], [`reference`], [`quantity`], [`schedule`]: the resulting types

mod affinity;
pub mod cache_platform;
pub mod config;
pub mod data;
pub mod discover;
mod file_lines;
pub mod flat;
mod foreign;
mod group;
mod hints;
mod image_cache;
mod keys;
mod labels;
pub mod limits;
pub mod manager;
pub mod manifest;
pub mod names;
mod node_gate;
pub mod parser;
mod path;
pub mod placement;
pub mod policy;
pub mod problem;
pub mod quantity;
mod reader;
pub mod real_nodes;
pub mod reference;
mod refresh;
pub(crate) mod satisfiable;
pub mod schedule;
mod suggest;
mod tree;
mod typed;
pub mod yaml;

pub use config::Config;
pub use data::{IMAGE_LIST_LABEL, ListData, MAX_BYTES};
pub use hints::is_named_as_document;
pub use limits::Limits;
pub use parser::{Parsed, parse, parse_accepted, parse_with_policy};
pub use policy::Policy;
pub use problem::{Code, Problem, Severity};
