//! The names of nodes in a report.

use std::collections::HashMap;

use crate::text::CleanText;

/// The names of a group's nodes, cleaned once: the report has them again for each image.
pub struct NodeNames<'a>(HashMap<&'a str, CleanText>);

impl<'a> NodeNames<'a> {
    /// Cleans these names.
    pub fn of(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.map(|name| (name, CleanText::from(name))).collect())
    }

    /// A name, as the report has it.
    pub fn get(&self, name: &str) -> CleanText {
        self.0.get(name).cloned().unwrap_or_else(|| name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_text_for_all_images() {
        let names = NodeNames::of(["n0", "n\u{202e}1"].into_iter());
        assert_eq!(names.get("n\u{202e}1"), CleanText::from("n\u{202e}1"));
        assert!(std::ptr::eq(names.get("n0").as_str(), names.get("n0").as_str()));
        assert_eq!(names.get("another"), "another");
    }
}
