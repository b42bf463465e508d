//! Decides what to create, restore and delete, from the list, its generations, the coverage and the time. Pure: no
//! clock, no client, no environment.
//!
//! Data flows one way: the modules under "Input" hold facts, those under "Decisions" each decide one thing, and
//! [`planner`] combines them into a [`Plan`].
//!
//! Input:
//! - [`context`]: everything that a plan depends on
//! - [`generation`]: what the controller stores on DaemonSets
//! - [`generations`], [`retiring`]: a list's generations, and where an older one is still needed
//! - [`sharding`]: which images of a long group are in which DaemonSet
//! - [`deselection`]: which nodes a group no longer selects, if the controller may not read nodes
//! - [`refusals`]: which nodes lack a pod because something refuses it
//!
//! Decisions:
//! - [`decision`]: the types that a plan consists of
//! - [`refresh`], [`tag_check`]: when and where tags are checked, and whether they have moved
//! - [`pull_policies`]: which images a rollout asks the registry for
//! - [`own_image`]: which of kube-prepull's own images a rollout installs the holder from
//! - [`rollouts`]: what starts a rollout, and what it creates
//! - [`split_notes`]: what is stored about how a group is split
//! - [`recounting`]: when the DaemonSet controller has to recount the nodes of a generation
//! - [`scoping_down`], [`capacity`]: when an older generation is removed from nodes
//! - [`gate_tolerations`]: which generations have to tolerate the taint of a gate
//! - [`sealing`]: when a generation switches to the images on the nodes' disks
//! - [`restoring`]: undoing changes that another client made to a DaemonSet
//! - [`conditions`]: which conditions of a group are reported
//! - [`adoption`]: taking over DaemonSets of kubernetes-image-puller
//! - [`planner`]: the complete plan, from all of these
//!
//! Output:
//! - [`daemon_set`], [`affinity`]: a generation's DaemonSet, and the node affinity that keeps its pods off nodes that
//!   cannot run a holder
//! - [`patch`], [`live`]: changes to an existing DaemonSet, and what they depend on
//!
//! The list that is in effect:
//! - [`versions`]: the accepted versions of a list
//! - [`name_claims`], [`name_index`]: which list owns a DaemonSet name, and which lists claim one
//! - [`selecting_services`]: Services that select the pods of a list
//! - [`validation_result`]: the result of validation, as stored on the list's ConfigMap

pub mod adoption;
mod affinity;
mod capacity;
mod conditions;
pub mod context;
pub mod daemon_set;
pub mod decision;
pub mod deselection;
mod gate_tolerations;
pub mod generation;
mod generations;
pub mod live;
pub mod name_claims;
pub mod name_index;
pub mod own_image;
pub mod patch;
pub mod planner;
pub mod pull_policies;
mod recounting;
pub mod refresh;
pub mod refusals;
pub mod restoring;
pub(crate) mod retiring;
pub mod rollouts;
mod scoping_down;
mod sealing;
pub mod selecting_services;
pub mod sharding;
mod split_notes;
pub mod tag_check;
pub mod validation_result;
pub mod versions;

pub use context::{AcceptedList, Context, Platform, Settings};
pub use decision::{Action, ActionOutcome, ConditionReport, DeletionReason, Finding, Plan, RolloutCause, Waiting};
pub use generation::scheduled::SlimDaemonSet;
pub use generation::{Generation, Record};
pub use planner::plan;
pub use validation_result::ValidationResult;

#[cfg(test)]
mod tests;
