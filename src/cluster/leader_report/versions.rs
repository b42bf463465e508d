//! Whether a report is about the lists as they are now. Pure.
//!
//! A report is at most a second old, but an edit may be younger, and a controller that does not hear from the API server sees none. So
//! a command reads the resourceVersions of the lists after it was started, and a report is used only if it has seen just these.

use std::collections::BTreeMap;

use super::obstacle::Obstacle;
use crate::status::Report;

/// The resourceVersions of ConfigMaps, by name; none of those that do not exist.
pub type ListVersions = BTreeMap<String, Option<String>>;

/// The lists of a report that are not labelled as lists: named in the controller's arguments, or deleted. Their versions have to be read
/// one by one.
pub fn unlabelled(report: &Report, labelled: &ListVersions) -> Vec<String> {
    let lists = report.lists.iter().map(|list| String::from(&list.name));
    lists.filter(|name| !labelled.contains_key(name)).collect()
}

/// Fails if the report is about another version of a list, or does not have a list.
pub fn check(report: &Report, versions: &ListVersions) -> Result<(), Obstacle> {
    let reported =
        report.lists.iter().map(|list| (String::from(&list.name), list.resource_version.as_ref().map(String::from)));
    let reported: ListVersions = reported.collect();
    if reported == *versions { Ok(()) } else { Err(Obstacle::Behind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::{half_warm, report};

    fn of(versions: &[(&str, Option<&str>)]) -> ListVersions {
        versions.iter().map(|(name, version)| ((*name).to_owned(), version.map(str::to_owned))).collect()
    }

    fn reporting(versions: &[(&str, Option<&str>)]) -> Report {
        let (mut input, coverage) = half_warm();
        let list = input.lists.remove(0);
        for (name, version) in versions {
            let mut list = list.clone();
            (list.name, list.resource_version) = ((*name).to_owned(), version.map(str::to_owned));
            input.lists.push(list);
        }
        report(&(input, coverage))
    }

    #[test]
    fn a_report_is_used_only_if_it_has_seen_all_lists_as_they_are_now() {
        let seen = reporting(&[("more", Some("7")), ("tools", Some("9"))]);
        assert_eq!(check(&seen, &of(&[("more", Some("7")), ("tools", Some("9"))])), Ok(()));
        for now in [
            vec![("more", Some("7")), ("tools", Some("10"))],
            vec![("more", Some("7"))],
            vec![("more", Some("7")), ("tools", None)],
            vec![("more", Some("7")), ("new", Some("11")), ("tools", Some("9"))],
        ] {
            assert_eq!(check(&seen, &of(&now)), Err(Obstacle::Behind), "{now:?}");
        }
        let gone = reporting(&[("tools", None)]);
        assert_eq!(check(&gone, &of(&[("tools", None)])), Ok(()));
        assert_eq!(check(&gone, &of(&[("tools", Some("12"))])), Err(Obstacle::Behind), "it exists again");
    }

    #[test]
    fn lists_without_the_label_are_looked_up() {
        let seen = reporting(&[("named", Some("7")), ("tools", Some("9"))]);
        assert_eq!(unlabelled(&seen, &of(&[("tools", Some("9"))])), ["named"]);
    }
}
