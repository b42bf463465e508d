//! Config + generations + coverage + now → what to create, restore and delete. Pure.
//!
//! Decisions flow one way: what is known, single decisions, and [`rollouts`], which puts them together.
//!
//! What is known:
//! - [`context`]: all that the plan is made from
//! - [`generation`]: what is stored on DaemonSets
//! - [`generations`], [`retiring`]: which generations a list has, and where an older one is still needed
//! - [`deselection`]: which nodes a group has left, if nodes may not be read
//!
//! What is decided:
//! - [`decision`]: what a plan holds
//! - [`refresh`], [`tag_check`]: when tags are checked, on which nodes, and whether they have moved
//! - [`pull_policies`]: which images a rollout asks the registry for
//! - [`scoping_down`], [`capacity`]: which nodes an older generation leaves
//! - [`sealing`]: when a generation takes images from the nodes' disks
//! - [`restoring`]: undoing what somebody else changed of a DaemonSet
//! - [`conditions`]: what is reported of a group besides what is done
//! - [`rollouts`]: the plan as a whole
//! - [`adoption`]: taking over from kubernetes-image-puller
//!
//! What is written:
//! - [`daemon_set`], [`affinity`]: a generation's DaemonSet, and what keeps its pods off nodes that no holder can run on
//! - [`patch`]: changes of one that is there
//!
//! Which list is in force:
//! - [`history`]: the accepted forms of a list
//! - [`claims`]: which list may call its DaemonSets what
//! - [`validation_result`]: what is written on a list about itself

pub mod adoption;
mod affinity;
mod capacity;
pub mod claims;
mod conditions;
pub mod context;
pub mod daemon_set;
pub mod decision;
pub mod deselection;
pub mod generation;
mod generations;
pub mod history;
pub mod patch;
pub mod pull_policies;
pub mod refresh;
pub mod restoring;
pub(crate) mod retiring;
pub mod rollouts;
mod scoping_down;
mod sealing;
pub mod tag_check;
pub mod validation_result;

pub use context::{AcceptedList, Context, Platform, Settings};
pub use decision::{Action, ActionOutcome, ConditionReport, DeletionReason, Finding, Plan, RolloutCause, Waiting};
pub use generation::scheduled::SlimDaemonSet;
pub use generation::{Generation, Record};
pub use rollouts::plan;
pub use validation_result::ValidationResult;

#[cfg(test)]
mod tests;
