//! Coverage → the status report: the same on a terminal, as JSON and from the controller. Pure.
//!
//! - [`report`]: the report, whose JSON is documented in `docs/status.md`
//! - [`rollout`]: its part about rollouts and refreshes
//! - [`credentials`]: its part about kubelets that verify pull credentials
//! - [`node_gate`]: its part about nodes that wait for their images
//! - [`discovered`]: its part about images that were discovered in workloads
//! - [`filter`]: restricts a report to some images and nodes
//! - [`node_names`]: the names of nodes, of which reports have many
//! - [`decoded`]: what a command needs to read the JSON again, and to restrict such a report
//! - [`warm_result`]: whether a list is warm, as stored on its ConfigMap
//! - [`table`]: the report as a table
//! - [`map`]: the report as the controller's page draws it

pub mod credentials;
mod decoded;
pub mod discovered;
mod filter;
pub mod map;
pub mod node_gate;
mod node_names;
pub mod report;
pub mod rollout;
mod table;
pub mod warm_result;

use std::sync::Arc;

pub use filter::Filter;
use jiff::Timestamp;
pub use report::{Report, VERSION};
pub use table::{Layout, columns, print};

use crate::coverage::{Coverage, NodeSet, Sizes};
use crate::image_cache::Cache;
use crate::image_cache::ledger::Ledger;
use crate::list::Config;
use crate::plan::Generation;
use crate::summary::SummaryInput;

/// The input of a report, besides the coverage.
#[derive(Debug, Default)]
pub struct StatusInput {
    /// The namespace of the lists.
    pub namespace: String,
    /// The lists, by name.
    pub lists: Vec<ListInput>,
    /// The cluster's nodes; `None` if they may not be read.
    pub nodes: Option<NodeSet>,
    /// The sizes of images, as far as nodes report them.
    pub sizes: Sizes,
    /// When all of this was read.
    pub now: Timestamp,
}

impl StatusInput {
    /// What a summary of one of the lists needs; `label` is that of the list. `None` if it asks for nothing.
    fn summary_of<'a>(
        &'a self,
        list: &'a ListInput,
        label: &'a str,
        coverage: &'a Coverage,
    ) -> Option<SummaryInput<'a>> {
        Some(SummaryInput {
            list: label,
            config: list.config.as_deref()?,
            generations: &list.generations,
            coverage,
            nodes: self.nodes.as_deref(),
            now: self.now,
        })
    }
}

/// A list and its objects.
#[derive(Clone, Debug)]
pub struct ListInput {
    /// The name of its ConfigMap.
    pub name: String,
    /// Its validation state.
    pub state: ListState,
    /// Its problems, one line each.
    pub problems: Vec<String>,
    /// The resourceVersion of its ConfigMap, if that exists.
    pub resource_version: Option<String>,
    /// The value of the annotation that requests a refresh.
    pub refresh_request: Option<String>,
    /// The hash of the data that is in effect.
    pub data_hash: Option<String>,
    /// The list that is in effect; `None` if none was ever accepted.
    pub config: Option<Arc<Config>>,
    /// When the list that is in effect was accepted, if one is.
    pub accepted_at: Option<Timestamp>,
    /// Its DaemonSets.
    pub generations: Vec<Generation>,
    /// Its ImageCaches; empty if they may not be read.
    pub image_caches: Vec<Cache>,
    /// The ledger of its ImageCaches.
    pub ledger: Option<Ledger>,
}

/// The validation state of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListState {
    /// The current list is in effect.
    Accepted,
    /// The current list has errors; the last accepted one, if any, is in effect.
    Rejected,
    /// It has no images, and never had any.
    Empty,
    /// The controller has not validated it since it was edited.
    NotValidated,
    /// The ConfigMap is gone.
    Missing,
}

#[cfg(test)]
pub(crate) mod tests;
