//! Sets of numbers of nodes.

use serde::Serialize;

/// A set of numbers: the first number of each range, and the first after it, in turn. States of nodes are alike in most places, so a
/// set has few ranges.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Ranges(Vec<u32>);

impl Ranges {
    /// Numbers in ascending order, each once.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut ranges: Vec<u32> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(end) if *end == number => *end += 1,
                _ => ranges.extend([number, number + 1]),
            }
        }
        Self(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_one_range() {
        assert_eq!(Ranges::of([0, 1, 2, 5, 7, 8]), Ranges(vec![0, 3, 5, 6, 7, 9]));
        assert_eq!(Ranges::of([]), Ranges::default());
    }
}
