//! Config + facts + coverage + now → what to create, restore and delete. Pure.
//!
//! - [`rollouts`]: which generations there should be: the decisions
//! - [`action`]: what they may come to
//! - [`refresh`]: when a refresh is due, and what the last one came to
//! - [`tag_check`]: one node that is asked what the tags are now, and whether its answer begins a rollout
//! - [`pull_policies`]: which images a rollout asks the registry for
//! - [`retiring`]: whether an older generation is still needed anywhere
//! - [`scheduled`], [`deselection`]: what DaemonSets tell about nodes if these may not be read
//! - [`sealing`]: holding what is on a node's disk when the registry does not serve it
//! - [`generations`]: which of a list's generations retire
//! - [`capacity`]: nodes that have no room for two generations
//! - [`adoption`]: taking over from kubernetes-image-puller
//! - [`scoping_down`], [`node_scope`]: on which nodes it is still needed, if these are few
//! - [`alteration`], [`restoring`]: what somebody else changed of a DaemonSet, and undoing it
//! - [`daemon_set`]: a generation's DaemonSet
//! - [`affinity`]: keeping pods off nodes that no holder can run on
//! - [`generation`]: reading a generation back from its DaemonSet
//! - [`image_cache`]: what virtual nodes start pods from
//! - [`history`]: the accepted forms of a list, and which of them is in force
//! - [`claims`]: which list may call its DaemonSets what
//! - [`conditions`]: what is told of a group besides what is done
//! - [`validation_result`]: what is written on a list about itself

mod action;
pub mod adoption;
mod affinity;
pub mod alteration;
mod capacity;
pub mod claims;
mod conditions;
pub mod daemon_set;
pub mod deselection;
pub mod generation;
mod generations;
pub mod history;
pub mod image_cache;
pub mod node_scope;
pub mod pull_policies;
pub mod refresh;
pub mod restoring;
pub(crate) mod retiring;
pub mod rollouts;
pub mod scheduled;
mod scoping_down;
pub mod sealing;
pub mod tag_check;
pub mod validation_result;

pub use action::ActionOutcome;
pub use conditions::{ConditionReport, ReportedConditions};
pub use daemon_set::{AcceptedList, Platform, Settings};
pub use generation::{Generation, Record};
pub use node_scope::NodeScope;
pub use rollouts::{Action, Context, DeletionReason, Finding, Plan, RolloutCause, ScopeDownReason, plan};
pub use scheduled::{Scheduled, SlimDaemonSet};
pub use validation_result::ValidationResult;

#[cfg(test)]
mod tests;
