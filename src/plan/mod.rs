//! Decides what to create, restore and delete, from the list, its generations, the coverage and the time. Pure: no
//! clock, no client, no environment.
//!
//! Data flows one way: the modules under "Input" hold facts, those under "Decisions" each decide one thing, and
//! [`rollouts`] combines them into a [`Plan`].
//!
//! Input:
//! - [`context`]: everything that a plan depends on
//! - [`generation`]: what the controller stores on DaemonSets
//! - [`generations`], [`retiring`]: a list's generations, and where an older one is still needed
//! - [`deselection`]: which nodes a group no longer selects, if the controller may not read nodes
//!
//! Decisions:
//! - [`decision`]: the types that a plan consists of
//! - [`refresh`], [`tag_check`]: when and where tags are checked, and whether they have moved
//! - [`pull_policies`]: which images a rollout asks the registry for
//! - [`scoping_down`], [`capacity`]: when an older generation is removed from nodes
//! - [`sealing`]: when a generation switches to the images on the nodes' disks
//! - [`restoring`]: undoing changes that another client made to a DaemonSet
//! - [`conditions`]: which conditions of a group are reported
//! - [`rollouts`]: the complete plan
//! - [`adoption`]: taking over DaemonSets of kubernetes-image-puller
//!
//! Output:
//! - [`daemon_set`], [`affinity`]: a generation's DaemonSet, and the node affinity that keeps its pods off nodes that
//!   cannot run a holder
//! - [`patch`]: changes to an existing DaemonSet
//!
//! The list that is in effect:
//! - [`history`]: the accepted versions of a list
//! - [`claims`]: which list owns a DaemonSet name
//! - [`validation_result`]: the result of validation, as stored on the list's ConfigMap

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
