//! Pods by generation. A node may have a pod of each of many generations, and most questions are about one of them.

use std::collections::HashMap;

use super::holding::HoldingPod;
use crate::plan::generation::Generation;

/// The number of a generation among all that have pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationNumber(usize);

impl GenerationNumber {
    /// Its place in a vector with an entry for each generation.
    pub fn index(self) -> usize {
        self.0
    }
}

/// The numbers of generations, by the names of their DaemonSets.
pub struct GenerationNumbers<'a>(HashMap<&'a str, GenerationNumber>);

impl<'a> GenerationNumbers<'a> {
    /// Numbers these generations.
    pub fn of(generations: &'a [Generation]) -> Self {
        let mut numbers = Self(HashMap::new());
        for generation in generations {
            numbers.number(&generation.name);
        }
        numbers
    }

    /// The number of a generation, which a pod may have although its DaemonSet is not known.
    pub fn number(&mut self, name: &'a str) -> GenerationNumber {
        let next = GenerationNumber(self.0.len());
        *self.0.entry(name).or_insert(next)
    }

    /// The number of a generation that has one.
    pub fn find(&self, name: &str) -> Option<GenerationNumber> {
        self.0.get(name).copied()
    }

    /// On how many nodes each generation has pods, given the pods of each node in the order of generations.
    pub fn nodes_of<'p>(&self, nodes: impl Iterator<Item = &'p Vec<HoldingPod<'p>>>) -> Vec<usize> {
        let mut nodes_of = vec![0; self.0.len()];
        for pods in nodes {
            for same in pods.chunk_by(|one, other| one.generation == other.generation) {
                nodes_of[same[0].generation.index()] += 1;
            }
        }
        nodes_of
    }
}

/// The pods of a generation among those of a node, which are in the order of generations.
pub fn of_generation<'p, 'a>(pods: &'p [HoldingPod<'a>], generation: GenerationNumber) -> &'p [HoldingPod<'a>] {
    let pods = &pods[pods.partition_point(|it| it.generation < generation)..];
    &pods[..pods.partition_point(|it| it.generation == generation)]
}
