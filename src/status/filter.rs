//! Restricts a report to some images and nodes.

use std::collections::BTreeSet;

use crate::list::config::Image;
use crate::list::reference::ImageReference;

/// The images and nodes of a report. An empty set means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// References in any spelling, or parts of references.
    pub images: Vec<String>,
    /// Names of nodes.
    pub nodes: BTreeSet<String>,
}

impl Filter {
    /// Whether the report includes that image.
    pub fn has_image(&self, image: &Image) -> bool {
        self.has_reference(&image.reference)
    }

    /// Whether the report includes images of that reference.
    pub fn has_reference(&self, reference: &ImageReference) -> bool {
        self.images.is_empty() || self.images.iter().any(|wanted| is_called(reference, wanted))
    }

    /// Whether the report includes that node.
    pub fn has_node(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }
}

fn is_called(reference: &ImageReference, wanted: &str) -> bool {
    let same = || ImageReference::parse(wanted).is_ok_and(|wanted| wanted.normal_form() == reference.normal_form());
    reference.as_str().contains(wanted) || same()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::world::config;

    fn kept(wanted: &[&str]) -> Vec<String> {
        let filter = Filter { images: wanted.iter().map(|it| (*it).to_owned()).collect(), ..Filter::default() };
        let config = config();
        let images = config.groups.iter().flat_map(|group| &group.images);
        images.filter(|image| filter.has_image(image)).map(|image| image.reference.to_string()).collect()
    }

    #[test]
    fn images_are_found_by_a_part_of_the_reference_and_in_any_spelling() {
        assert_eq!(kept(&[]).len(), 4);
        assert_eq!(kept(&["library/"]), ["docker.io/library/b:1"]);
        assert_eq!(kept(&["docker.io/library/b:1"]), ["b:1", "docker.io/library/b:1"]);
        assert_eq!(kept(&["a:1", "c"]), ["a:1", "c:1", "docker.io/library/b:1"]);
        assert!(kept(&["nginx"]).is_empty());
    }
}
