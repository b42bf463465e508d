//! What is reported of a group besides what is done: images that cannot be held, holders that are evicted again and again, pods
//! that are refused, a group that matches no node, and that a rollout is complete.
//!
//! ```text
//! pods, nodes, evictions ─► [`observations`] ─► what is wrong now ─┐
//!           on the newest generation: what was reported ───────────┴─► [`change`] ─► reported, and noted there
//! ```
//! What has been reported is noted on the newest generation's DaemonSet ([`super::generation::conditions`]), so a new controller
//! repeats nothing and forgets nothing.

mod change;
mod check;
mod observations;

pub use check::plan;
