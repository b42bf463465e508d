//! Coverage → what users see: the same report on a terminal, as JSON and from the controller. Pure.
//!
//! - [`report`]: the report, whose JSON is documented in `docs/status.md`
//! - [`rollout`]: the part of it about rollouts and refreshes
//! - [`filter`]: a part of a report
//! - [`table`]: the report for people

mod filter;
pub mod report;
pub mod rollout;
mod table;

pub use filter::Filter;
use jiff::Timestamp;
pub use report::{Report, VERSION};
pub use table::{Layout, print};

use crate::coverage::{Node, Sizes};
use crate::image_cache::Cache;
use crate::image_cache::ledger::Ledger;
use crate::list::Config;
use crate::plan::Generation;

/// All that a report is made from, but for the coverage.
#[derive(Debug, Default)]
pub struct StatusInput {
    /// The namespace of the lists.
    pub namespace: String,
    /// The lists, by name.
    pub lists: Vec<ListInput>,
    /// The cluster's nodes; `None` where they may not be read.
    pub nodes: Option<Vec<Node>>,
    /// How large images are, as far as nodes say so.
    pub sizes: Sizes,
    /// When all of this was so.
    pub now: Timestamp,
}

/// A list and what was made of it.
#[derive(Clone, Debug)]
pub struct ListInput {
    /// The name of its ConfigMap.
    pub name: String,
    /// What the controller says about it.
    pub state: ListState,
    /// What is wrong with it, a line each.
    pub problems: Vec<String>,
    /// The value of the annotation that asks for a refresh.
    pub refresh_request: Option<String>,
    /// The hash of the data that is in force of it.
    pub data_hash: Option<String>,
    /// What is in force of it; `None` where nothing ever was.
    pub config: Option<Config>,
    /// Its DaemonSets.
    pub generations: Vec<Generation>,
    /// Its ImageCaches, as far as they may be read.
    pub image_caches: Vec<Cache>,
    /// What is kept of them.
    pub ledger: Option<Ledger>,
}

/// What the controller says about a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ListState {
    /// It is in force as it stands.
    Accepted,
    /// It is not; what was accepted before is in force.
    Rejected,
    /// The controller has not looked at it since it was edited.
    NotValidated,
    /// There is no such ConfigMap any more.
    Missing,
}

#[cfg(test)]
pub(crate) mod tests;
