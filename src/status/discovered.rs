//! The part of the report about images that were discovered in workloads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::list::discover::found::FoundImage;
use crate::text::CleanText;

/// Where an image was discovered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The documentation for users says it.
pub struct DiscoveredReport {
    pub by: Vec<CleanText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<CleanText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnamed_since: Option<Timestamp>,
}

impl From<&FoundImage> for DiscoveredReport {
    fn from(found: &FoundImage) -> Self {
        Self {
            by: found.by.iter().map(CleanText::from).collect(),
            pull_secrets: found.pull_secrets.iter().map(CleanText::from).collect(),
            unnamed_since: found.unnamed_since,
        }
    }
}
