//! Config + facts + coverage + now → what to create, restore and delete. Pure.
//!
//! - [`rounds`]: which generations there should be: the decisions
//! - [`action`]: what they may come to
//! - [`refresh`]: when a refresh is due, and what the last one came to
//! - [`tag_check`]: one node that is asked what the tags are now, and whether its answer begins a round
//! - [`pull_policies`]: which images a rollout asks the registry for
//! - [`retiring`]: whether an older generation is still needed anywhere
//! - [`scheduled`], [`deselection`]: what DaemonSets tell about nodes if these may not be read
//! - [`sealing`]: holding what is on a node's disk when the registry does not serve it
//! - [`standing`]: which of a list's generations retire
//! - [`room`]: nodes that have no room for two generations
//! - [`leftover`]: taking over from kubernetes-image-puller
//! - [`narrowing`], [`reach`]: on which nodes it is still needed, if these are few
//! - [`alteration`], [`restoring`]: what somebody else changed of a DaemonSet, and undoing it
//! - [`daemon_set`]: a generation's DaemonSet
//! - [`affinity`]: keeping pods off nodes that no holder can run on
//! - [`generation`]: reading a generation back from its DaemonSet
//! - [`image_cache`]: what virtual nodes start pods from
//! - [`history`]: the accepted forms of a list, and which of them is in force
//! - [`claims`]: which list may call its DaemonSets what
//! - [`troubles`]: what is told of a group besides what is done
//! - [`verdict`]: what is written on a list about itself

mod action;
mod affinity;
pub mod alteration;
pub mod claims;
pub mod daemon_set;
pub mod deselection;
pub mod generation;
pub mod history;
pub mod image_cache;
pub mod leftover;
mod narrowing;
pub mod pull_policies;
pub mod reach;
pub mod refresh;
pub mod restoring;
pub(crate) mod retiring;
mod room;
pub mod rounds;
pub mod scheduled;
pub mod sealing;
mod standing;
pub mod tag_check;
mod troubles;
pub mod verdict;

pub use action::Outcome;
pub use daemon_set::{AcceptedList, Platform, Settings};
pub use generation::{Generation, Record};
pub use reach::Reach;
pub use rounds::{Action, Cause, Ending, Facts, Finding, Leaving, Plan, plan};
pub use scheduled::{Scheduled, SlimDaemonSet};
pub use troubles::{Telling, Told};
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
