//! Tag checks, which the mode `OnChange` uses to find out whether a rollout is needed.
//!
//! ```text
//! due or requested ─► one tag check per architecture ─► its imageIDs ─► all known: recorded on the newest generation
//!                                                                 └──► one is new: a new generation
//! ```
//! - [`targets`]: chooses the nodes, and what their pods answer
//! - [`daemon_set`]: builds the DaemonSet whose pod pulls on one node
//! - [`check`]: starts tag checks and collects their answers
//! - [`held_digests`]: what the generation's own pods report
//! - [`conclusion`]: compares both
//! - [`shards`]: joins what is reported of the shards of a group
//! - [`outdated_nodes`]: updates single nodes that hold an older image
//! - [`super::generation::tag_check_record`]: the results, as stored on the newest generation's DaemonSet
//!
//! Which ID a node reports for a tag may depend on what it had before, so a node's answer is compared with what the
//! generation's own pod reports on that node. If those pods report different digests, one node of each kind is checked:
//! if the tag moved during the rollout or before a node joined, only the other nodes can show it. A digest that has
//! started a rollout starts no other.

pub mod check;
mod conclusion;
mod daemon_set;
mod held_digests;
pub mod outdated_nodes;
pub mod shards;
mod targets;

pub use daemon_set::pod_of;
