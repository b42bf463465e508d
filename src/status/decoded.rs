//! What a command needs to read the JSON of a report again, and to restrict such a report: one of the controller has all lists and
//! images.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::report::{ImageReport, ListReport, NodeCounts};
use super::{Filter, ListState, Report};
use crate::list::reference::ImageReference;
use crate::summary::node_state::NodeState;
use crate::summary::reserved::Reserved;

impl Report {
    /// The same report, on no other list.
    pub fn on_list(mut self, name: &str) -> Self {
        self.lists.retain(|list| list.name.as_str() == name);
        self.requests = self.lists.first().map_or_else(Reserved::default, |list| list.requests);
        self.with_state_of_lists()
    }

    /// The same report, on the images that the filter selects. It cannot be restricted to nodes.
    pub fn on_images(mut self, filter: &Filter) -> Self {
        if filter.images.is_empty() {
            return self;
        }
        for list in &mut self.lists {
            for group in &mut list.groups {
                group.images.retain(|image| is_selected(image, filter));
            }
            list.groups.retain(|group| !group.images.is_empty());
            list.warm = list.is_warm();
        }
        self.lists.retain(|list| !list.groups.is_empty());
        self.with_state_of_lists()
    }

    fn with_state_of_lists(mut self) -> Self {
        self.warm = self.lists.iter().all(|list| list.warm);
        self
    }
}

impl ListReport {
    /// Whether the list is in effect and all images of the report are warm.
    fn is_warm(&self) -> bool {
        let mut images = self.groups.iter().flat_map(|group| &group.images);
        matches!(self.state, ListState::Accepted | ListState::Empty) && images.all(ImageReport::is_warm)
    }
}

fn is_selected(image: &ImageReport, filter: &Filter) -> bool {
    ImageReference::parse(&image.reference).is_ok_and(|reference| filter.has_reference(&reference))
}

/// Every state has to be there, and no other: those of another version would be counted wrongly.
impl<'de> Deserialize<'de> for NodeCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = BTreeMap::<String, usize>::deserialize(deserializer)?;
        let total = counts.remove("total").ok_or_else(|| D::Error::missing_field("total"))?;
        let mut by_state = BTreeMap::new();
        for (_, name) in NodeState::ALL {
            by_state.insert(name, counts.remove(name).ok_or_else(|| D::Error::missing_field(name))?);
        }
        match counts.keys().next() {
            Some(unknown) => Err(D::Error::custom(format!("unknown state {unknown}"))),
            None => Ok(Self { total, by_state }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Coverage;
    use crate::status::StatusInput;
    use crate::status::tests::{broken, first_install, half_warm, report, verified, warm};

    fn worlds() -> [(StatusInput, Coverage); 5] {
        [warm(), half_warm(), broken(), first_install(), verified()]
    }

    /// Two lists of the same content, of which only one has pods.
    fn with_another_list((mut input, coverage): (StatusInput, Coverage)) -> (StatusInput, Coverage) {
        let mut other = input.lists[0].clone();
        other.name = "other".to_owned();
        input.lists.insert(0, other);
        (input, coverage)
    }

    #[test]
    fn a_report_that_is_read_again_is_the_same() {
        for world in worlds() {
            let written = report(&world);
            let read: Report = serde_json::from_str(&serde_json::to_string(&written).expect("JSON")).expect("a report");
            assert_eq!(read, written);
        }
    }

    #[test]
    fn a_report_of_other_states_or_without_some_is_not_read() {
        let text = serde_json::to_string(&report(&half_warm())).expect("JSON");
        assert!(serde_json::from_str::<Report>(&text.replace("\"pulling\":", "\"flying\":")).is_err());
        assert!(serde_json::from_str::<Report>(&text.replace("\"total\":", "\"sum\":")).is_err());
        // A later version may have more keys.
        assert!(serde_json::from_str::<Report>(&text.replace("{\"version\":", "{\"more\":[1],\"version\":")).is_ok());
    }

    #[test]
    fn a_restricted_report_is_the_one_that_is_made_of_less() {
        for world in worlds() {
            let (mut input, coverage) = with_another_list(world);
            for images in [vec![], vec!["a:1"], vec!["library/", "c"], vec!["no-such"]] {
                let filter = Filter { images: images.into_iter().map(str::to_owned).collect(), ..Filter::default() };
                let all = Report::new(&input, &coverage);
                let expected = Report::of(&[(&input, &coverage)], &filter);
                assert_eq!(all.on_images(&filter), expected, "{filter:?}");
            }
            for name in ["other", "tools", "no-such"] {
                let all = Report::new(&input, &coverage);
                let lists = input.lists.clone();
                input.lists.retain(|list| list.name == name);
                assert_eq!(all.on_list(name), Report::new(&input, &coverage), "{name}");
                input.lists = lists;
            }
        }
    }
}
