//! The numbers of nodes: their positions among all, sorted by node pool and name.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::node_pools::pool_of;
use super::ranges::Ranges;
use crate::coverage::Coverage;
use crate::naming::labels;
use crate::status::StatusInput;
use crate::text::CleanText;

/// The nodes of all groups, with their numbers.
#[derive(Debug)]
pub struct NodeIndex {
    names: Vec<CleanText>,
    pools: Vec<PoolOnMap>,
    numbers: HashMap<CleanText, u32>,
}

/// A node pool.
#[derive(Debug, PartialEq, Serialize)]
pub struct PoolOnMap {
    /// Its name; empty for nodes of none.
    pub name: CleanText,
    /// How many nodes it has.
    pub nodes: usize,
}

impl NodeIndex {
    /// Numbers the nodes of the cluster, or if these may not be read, those that have pods of the lists.
    pub fn of(namespaces: &[(&StatusInput, &Coverage)]) -> Self {
        let mut sorted: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (input, coverage) in namespaces {
            match &input.nodes {
                Some(nodes) => sorted.extend(nodes.iter().map(|node| (pool_of(node), node.name.as_str()))),
                None => sorted.extend(nodes_with_pods(input, coverage).map(|node| ("", node))),
            }
        }
        Self::sorted(&sorted)
    }

    fn sorted(nodes: &BTreeSet<(&str, &str)>) -> Self {
        let mut pools: Vec<PoolOnMap> = Vec::new();
        for (pool, _) in nodes {
            match pools.last_mut() {
                Some(last) if last.name.as_str() == *pool => last.nodes += 1,
                _ => pools.push(PoolOnMap { name: (*pool).into(), nodes: 1 }),
            }
        }
        let names: Vec<CleanText> = nodes.iter().map(|(_, name)| (*name).into()).collect();
        let numbers = names.iter().cloned().zip(0..).collect();
        Self { names, pools, numbers }
    }

    /// The numbers of nodes, in ascending order.
    pub fn numbers<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<u32> {
        let mut numbers: Vec<u32> = names.filter_map(|name| self.numbers.get(name)).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The same as ranges.
    pub fn ranges(&self, names: &[CleanText]) -> Ranges {
        Ranges::of(self.numbers(names.iter().map(CleanText::as_str)))
    }

    /// All names, in the order of their numbers, and the node pools in the order of their nodes.
    pub fn into_parts(self) -> (Vec<CleanText>, Vec<PoolOnMap>) {
        (self.names, self.pools)
    }
}

fn nodes_with_pods<'a>(input: &'a StatusInput, coverage: &'a Coverage) -> impl Iterator<Item = &'a str> {
    let pods = input.lists.iter().flat_map(|list| coverage.pods_of(&labels::list_value(&list.name)));
    pods.filter_map(|pod| pod.node.as_deref().or(pod.target.as_deref()))
}
