//! Coverage, nodes and the list → for each image: on which nodes it is warm, and why not on the others.
//!
//! ```text
//! SummaryInput ─► Summary ─► GroupSummary: the nodes of the group ─► ImageSummary: a state for each of them
//! ```
//! Every figure that users see comes from here. A summary only borrows, and images are computed one at a time, so thousands of
//! nodes with many images cost little memory.
//!
//! - [`list`]: the input, sorted by node
//! - [`group`], [`image`]: the coverage of a group, and of one image
//! - [`node_contents`], [`reported`]: the pods of a node, and what a pod reports
//! - [`node_state`]: the state of one image on one node
//! - [`progress`]: how many nodes of a group have all of its images
//! - [`reserved`]: what pods reserve on nodes
//! - [`node_warm_ups`]: how long new nodes take to become warm

mod group;
mod image;
mod list;
mod node_contents;
pub mod node_state;
pub mod node_warm_ups;
pub mod progress;
mod reported;
pub mod reserved;

pub use group::GroupSummary;
pub use image::{Behind, ImageSummary};
pub use list::{Summary, SummaryInput};

#[cfg(test)]
pub(crate) mod tests;
