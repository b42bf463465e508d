//! The conditions of a group that are reported: init containers that fail, images that cannot be held, holders that are repeatedly evicted, pods
//! that are refused, a group that matches no node, and a completed rollout.
//!
//! ```text
//! pods, nodes, evictions ─► [`observations`] ─► current conditions ────┐
//!    stored on the newest generation: reported conditions ─────────────┴─► [`transition`] ─► Events, and stored again
//! ```
//! [`failures`] leaves out what passes by itself, as when a node starts, and [`shards`] what was said of another shard of the group; [`rollout_end`]
//! waits for the last of them. Reported conditions are stored on the newest generation's DaemonSet ([`super::generation::conditions`]), so a new
//! controller neither repeats nor misses a report.

mod check;
mod failures;
mod observations;
mod rollout_end;
mod settled;
mod shards;
mod transition;

pub use check::plan;
#[cfg(test)]
pub use failures::STARTING;
pub use shards::join;
