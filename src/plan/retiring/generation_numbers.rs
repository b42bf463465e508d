//! Numbers in place of the names of generations: a node may have a pod of each of many, and most questions are about one of them.

use std::collections::HashMap;

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

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
