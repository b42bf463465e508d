//! The mode OnChange: looks at what the tags are now, and whether a rollout follows.
//!
//! ```text
//! due or asked for ─► a tag check per architecture ─► its imageIDs ─► all known: noted on the newest generation
//!                                                                └──► one that is not: a new generation
//! ```
//! - [`places`]: on which nodes
//! - [`daemon_set`]: the DaemonSet of one node whose pod pulls
//! - [`answer`]: what the pod says
//! - [`digests`]: how what nodes say is compared
//! - [`record`]: what is kept, on the newest generation's DaemonSet
//!
//! - [`holders`]: what the generation's own pods hold
//! - [`conclusion`]: what follows
//! - [`renewal`]: bringing single nodes up to date
//!
//! What a node says a tag is depends on what it had before, so a node's answer is held against what its own pod of the
//! generation says. Where those pods say different things, a node of each kind is asked: if the tag moved while they pulled
//! it, or a node joined after it had moved, only the others can tell. What has begun a rollout begins no other.

mod answers;
pub mod check;
mod conclusion;
mod daemon_set;
mod holders;
mod places;
pub mod renewal;

pub use daemon_set::pod_of;
