//! Distinguishes edits of a list from other changes of its ConfigMap, such as the validation result that the controller writes on it.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

use super::affected_lists::Changed;
use crate::naming::hash;
use crate::naming::labels::{self, list_value};

/// What users had written on the ConfigMaps of one watch when they were seen last.
#[derive(Default)]
pub struct Edits {
    /// Hashes of it, by name.
    seen: HashMap<String, u64>,
    /// The same for a listing that is not complete yet.
    listing: HashMap<String, u64>,
}

impl Edits {
    /// Which lists an event concerns, and whether it is an edit of them.
    pub fn of(&mut self, event: &Event<ConfigMap>) -> Vec<Changed> {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(list) => drop(self.listing.insert(list.name_any(), written(list))),
            Event::InitDone => return self.listed(),
            Event::Apply(list) => {
                let (name, written) = (list.name_any(), written(list));
                let label = list_value(&name);
                let is_edit = self.seen.insert(name, written) != Some(written);
                return vec![if is_edit { Changed::Edited(label) } else { Changed::List(label) }];
            }
            Event::Delete(list) => {
                self.seen.remove(&list.name_any());
                return vec![Changed::Edited(list_value(&list.name_any()))];
            }
        }
        Vec::new()
    }

    /// The edits that happened while the watch was interrupted.
    fn listed(&mut self) -> Vec<Changed> {
        let before = std::mem::replace(&mut self.seen, std::mem::take(&mut self.listing));
        let names: BTreeSet<&String> = before.keys().chain(self.seen.keys()).collect();
        let edited = names.into_iter().filter(|name| before.get(*name) != self.seen.get(*name));
        edited.map(|name| Changed::Edited(list_value(name))).chain([Changed::Everything]).collect()
    }
}

/// A hash of what users write on a list: its data, and the request for a refresh.
fn written(list: &ConfigMap) -> u64 {
    let written = (&list.data, list.annotations().get(labels::REFRESH_REQUESTED));
    // Strings and maps of strings always serialize.
    hash::number(&serde_json::to_vec(&written).unwrap_or_else(|error| unreachable!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, data: &str, annotations: &[(&str, &str)]) -> ConfigMap {
        let mut list =
            ConfigMap { data: Some([("IMAGES".to_owned(), data.to_owned())].into()), ..ConfigMap::default() };
        list.metadata.name = Some(name.to_owned());
        list.annotations_mut().extend(annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        list
    }

    fn edited(name: &str) -> Changed {
        Changed::Edited(name.to_owned())
    }

    fn other(name: &str) -> Changed {
        Changed::List(name.to_owned())
    }

    #[test]
    fn a_change_of_the_data_or_a_request_for_a_refresh_is_an_edit_and_our_own_writes_are_none() {
        let mut edits = Edits::default();
        let mut of = |data, annotations: &[_]| edits.of(&Event::Apply(list("tools", data, annotations)));
        assert_eq!(of("a", &[]), [edited("tools")]);
        assert_eq!(of("a", &[(labels::DATA_HASH, "1")]), [other("tools")]);
        assert_eq!(of("a", &[(labels::DATA_HASH, "1"), (labels::PROBLEMS, "some")]), [other("tools")]);
        assert_eq!(of("b", &[(labels::DATA_HASH, "1")]), [edited("tools")]);
        assert_eq!(of("b", &[(labels::REFRESH_REQUESTED, "1")]), [edited("tools")]);
        assert_eq!(of("b", &[(labels::REFRESH_REQUESTED, "1"), (labels::DATA_HASH, "2")]), [other("tools")]);
        assert_eq!(of("b", &[(labels::REFRESH_REQUESTED, "2")]), [edited("tools")]);
    }

    #[test]
    fn a_list_that_was_deleted_is_forgotten() {
        let mut edits = Edits::default();
        edits.of(&Event::Apply(list("tools", "a", &[])));
        assert_eq!(edits.of(&Event::Delete(list("tools", "a", &[]))), [edited("tools")]);
        assert!(edits.seen.is_empty());
        assert_eq!(edits.of(&Event::Apply(list("tools", "a", &[]))), [edited("tools")]);
    }

    #[test]
    fn edits_while_the_watch_was_interrupted_are_found_by_the_next_listing() {
        let mut edits = Edits::default();
        let mut listing = |lists: &[(&str, &str)]| {
            assert!(edits.of(&Event::Init).is_empty());
            for (name, data) in lists {
                assert!(edits.of(&Event::InitApply(list(name, data, &[]))).is_empty(), "they are not in the store yet");
            }
            edits.of(&Event::InitDone)
        };
        assert_eq!(listing(&[("a", "1"), ("b", "1")]), [edited("a"), edited("b"), Changed::Everything]);
        assert_eq!(listing(&[("a", "1"), ("b", "1")]), [Changed::Everything]);
        assert_eq!(listing(&[("a", "2"), ("c", "1")]), [edited("a"), edited("b"), edited("c"), Changed::Everything]);
    }
}
