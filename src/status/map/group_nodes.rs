//! The nodes of each group.

use std::collections::HashMap;

use super::node_index::NodeIndex;
use crate::coverage::Coverage;
use crate::naming::labels;
use crate::status::{ListInput, StatusInput};
use crate::summary::Summary;
use crate::text::CleanText;

/// The numbers of the nodes that each group of a list belongs on, by its name.
pub struct GroupNodes(HashMap<CleanText, Vec<u32>>);

impl GroupNodes {
    /// The nodes of the groups of this list.
    pub fn of(input: &StatusInput, coverage: &Coverage, list: &ListInput, index: &NodeIndex) -> Self {
        let label = labels::list_value(&list.name);
        let Some(summary) = input.summary_of(list, &label, coverage) else { return Self(HashMap::new()) };
        let summary = Summary::new(summary);
        let groups = summary.groups().map(|group| (CleanText::of(&group.group.name), index.numbers(group.nodes())));
        Self(groups.collect())
    }

    /// The nodes of this group, in ascending order.
    pub fn get(&self, group: &CleanText) -> &[u32] {
        self.0.get(group).map_or(&[], Vec::as_slice)
    }
}
