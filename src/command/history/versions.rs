//! What is known of each accepted version of a list. Pure.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::list::{Config, parse};
use crate::messages::format::age;
use crate::messages::list_changes::list_changes;
use crate::plan::versions::Revision;
use crate::status::columns::{self, Cell};
use crate::text::CleanText;

/// An accepted version of a list. Its fields are the keys of the JSON.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionReport {
    /// The number; the highest is in effect.
    pub version: i64,
    /// When it was accepted for the first time.
    pub accepted_at: Option<Timestamp>,
    /// Whether it is the one in effect.
    pub in_effect: bool,
    /// How many images it asks for; `None` if this version of kube-prepull does not accept it.
    pub images: Option<usize>,
    /// What changed from the version before, a sentence each. Nothing for the oldest one.
    pub changes: Vec<CleanText>,
}

impl VersionReport {
    /// All versions, the newest first, as they are given.
    pub fn all(revisions: &[Revision]) -> Vec<Self> {
        let configs: Vec<Option<Config>> = revisions.iter().map(|revision| parse(&revision.list).config).collect();
        let changes = |index: usize| -> Vec<CleanText> {
            let pair = configs.get(index + 1).and_then(Option::as_ref).zip(configs.get(index).and_then(Option::as_ref));
            pair.into_iter().flat_map(|(before, after)| list_changes(before, after)).map(CleanText::from).collect()
        };
        let of = |(index, revision): (usize, &Revision)| Self {
            version: revision.number,
            accepted_at: revision.created,
            in_effect: index == 0,
            images: configs[index].as_ref().map(|config| config.groups.iter().map(|group| group.images.len()).sum()),
            changes: changes(index),
        };
        revisions.iter().enumerate().map(of).collect()
    }
}

/// Prints the versions as a table.
///
/// # Errors
/// The output cannot be written.
pub fn print(versions: &[VersionReport], now: Timestamp, output: &mut impl Write) -> io::Result<()> {
    let headings = ["VERSION", "FIRST ACCEPTED", "IMAGES", "CHANGES"].map(Cell::left).to_vec();
    let rows: Vec<Vec<Cell>> = std::iter::once(headings).chain(versions.iter().map(|it| row(it, now))).collect();
    columns::print(&rows, 0, None, output)
}

fn row(version: &VersionReport, now: Timestamp) -> Vec<Cell> {
    let accepted = version.accepted_at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", age(at, now)));
    let images = version.images.map_or_else(|| "-".to_owned(), |images| images.to_string());
    let in_effect = version.in_effect.then_some("in effect");
    let said: Vec<&str> = in_effect.into_iter().chain(version.changes.iter().map(CleanText::as_str)).collect();
    [version.version.to_string(), accepted, images, said.join("; ")].map(Cell::left).to_vec()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::list::ListData;

    fn revision(number: i64, images_yaml: &str) -> Revision {
        let data = [("images.yaml".to_owned(), images_yaml.to_owned())].into();
        let list = ListData { namespace: "prepull".to_owned(), name: "tools".to_owned(), data, found: None };
        Revision {
            name: format!("tools-{number}"),
            uid: number.to_string(),
            number,
            list: Arc::new(list),
            missing_since: None,
            created: Timestamp::from_second(1_700_000_000 + number * 60).ok(),
            image_caches: None,
        }
    }

    #[test]
    fn each_version_says_what_it_changed_and_the_newest_is_in_effect() {
        let revisions = [
            revision(3, "images: [nginx:1.28, redis:7]"),
            revision(2, "images: [nginx:1.28]"),
            revision(1, "images: [nginx:1.27]"),
        ];
        let now = Timestamp::from_second(1_700_000_300).expect("a time");
        let mut printed = Vec::new();
        print(&VersionReport::all(&revisions), now, &mut printed).expect("a vector takes everything");
        assert_eq!(
            String::from_utf8(printed).expect("UTF-8"),
            "VERSION  FIRST ACCEPTED  IMAGES  CHANGES\n\
             3        2m ago          2       in effect; images added: redis:7\n\
             2        3m ago          1       images changed: nginx:1.27 → nginx:1.28\n\
             1        4m ago          1\n"
        );
    }

    #[test]
    fn a_version_that_would_be_rejected_now_is_shown_without_numbers() {
        let versions = VersionReport::all(&[revision(2, "images: [nginx]"), revision(1, "images: [NGINX]")]);
        assert_eq!((versions[1].images, versions[0].changes.len()), (None, 0));
    }
}
