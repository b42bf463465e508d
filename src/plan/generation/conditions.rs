//! What has been reported of a group, as its newest generation notes it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::coverage::EVICTION_LOOP_WINDOW;

/// What has been reported of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReportedConditions {
    /// Whether the rollout was reported complete.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// When the latest of its pods had been created by then. Any later one is the replacement of another, or a new node's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_pod: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    /// What has been reported of each condition.
    pub reported: BTreeMap<Condition, ReportedCondition>,
}

/// What can be wrong with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Images are not held by the newest generation; by the names of their containers.
    Failing,
    /// Holders are evicted again and again; by node.
    Evicted,
    /// Admission makes every pod pull always.
    AlwaysPullEnforced,
    /// No node matches.
    NoNodes,
    /// Pods are refused.
    Refused,
}

impl ReportedConditions {
    /// Reads the annotation. One that cannot be read says nothing: then conditions are reported again.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The annotation.
    pub fn to_text(&self) -> String {
        // Texts, numbers and maps with names as keys are always JSON.
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// What the next generation of the group is to know: conditions outlive rollouts.
    pub fn for_the_next(&self) -> Self {
        Self { complete: false, latest_pod: None, ..self.clone() }
    }

    /// The nodes on which holders are evicted again and again, with the time of the last eviction that is known.
    pub fn evicted(&self, now: Timestamp) -> impl Iterator<Item = (&str, Timestamp)> {
        let nodes = self.reported.get(&Condition::Evicted).into_iter().flat_map(|reported| &reported.of);
        nodes.filter_map(move |(node, extent)| {
            let until = extent.until.filter(|until| *until > now)?;
            Some((node.as_str(), until.checked_sub(EVICTION_LOOP_WINDOW).ok()?))
        })
    }
}

/// How far a condition of one thing, such as an image, goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extent {
    /// On how many nodes it was reported.
    pub nodes: usize,
    /// Some of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub some: BTreeSet<String>,
    /// It lasts until then, whatever is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What has been reported of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedCondition {
    /// When it was last reported.
    pub at: Timestamp,
    /// For what.
    pub of: BTreeMap<String, Extent>,
}
