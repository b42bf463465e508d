//! The checks of the ImageCache, which both formats share.
//!
//! The ranges are those of the resource (`imagecaches.eci.alibabacloud.com`, see `config/crd/imagecache.yaml`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::SignedDuration;

use super::config::{Group, GroupName, ImageCache};
use super::names::ResourceName;
use super::problem::{Code, quoted};
use super::reader::{At, Place, Problems};
use super::refresh::interval_remedy;
use super::schedule::{MAX_INTERVAL_HOURS, Schedule, parse_interval};
use super::suggest;

/// The fields that the user wrote about the ImageCache.
#[derive(Debug, Default)]
pub struct ImageCacheFields {
    /// Whether the list asks for one.
    pub enabled: bool,
    /// The names of groups.
    pub groups: Option<Vec<(Place, String)>>,
    /// Size of an ImageCache, in GiB.
    pub size: Option<(Place, i128)>,
    /// Days.
    pub retention_days: Option<(Place, i128)>,
    /// Annotations for the ImageCaches.
    pub annotations: BTreeMap<String, String>,
    /// Secrets in addition to those of the groups.
    pub image_pull_secrets: Vec<ResourceName>,
    /// An interval.
    pub keep_previous_for: Option<(Place, String)>,
}

/// Checks all fields, and returns an [`ImageCache`] if the list asks for one.
pub fn parse(written: ImageCacheFields, groups: &[Group], problems: &mut Problems) -> Option<ImageCache> {
    let all = || groups.iter().map(|group| group.name.clone()).collect();
    let cache = ImageCache {
        groups: written.groups.map_or_else(all, |named| chosen(named, groups, problems)),
        size: in_range(written.size, ImageCache::SIZES, "size in GiB", problems),
        retention_days: in_range(written.retention_days, ImageCache::RETENTIONS, "retention in days", problems),
        annotations: written.annotations,
        image_pull_secrets: written.image_pull_secrets,
        keep_previous_for: written
            .keep_previous_for
            .and_then(|(place, text)| keep_previous_for(place, &text, problems))
            .unwrap_or(ImageCache::KEEP_PREVIOUS_FOR),
    };
    written.enabled.then_some(cache)
}

fn chosen(named: Vec<(Place, String)>, groups: &[Group], problems: &mut Problems) -> BTreeSet<GroupName> {
    let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let mut chosen = BTreeSet::new();
    for (place, name) in named {
        match groups.iter().find(|group| group.name.as_str() == name) {
            Some(group) => drop(chosen.insert(group.name.clone())),
            None => problems.error(
                place,
                Code::InvalidValue,
                format!("unknown group {}", quoted(&name)),
                suggest::value_remedy(&name, &known),
            ),
        }
    }
    chosen
}

fn in_range(
    written: Option<(Place, i128)>,
    range: RangeInclusive<u32>,
    what: &str,
    problems: &mut Problems,
) -> Option<u32> {
    let (place, number) = written?;
    let found = u32::try_from(number).ok().filter(|number| range.contains(number));
    if found.is_none() {
        problems.error(
            place,
            Code::OutOfRange,
            format!("{number} is not a valid ImageCache {what}"),
            format!("write a whole number from {} to {}", range.start(), range.end()),
        );
    }
    found
}

fn keep_previous_for(place: Place, text: &str, problems: &mut Problems) -> Option<SignedDuration> {
    let Ok(interval) = parse_interval(text) else {
        problems.error(
            place,
            Code::InvalidValue,
            format!("{} is not an interval", quoted(text)),
            interval_remedy(text),
        );
        return None;
    };
    if (SignedDuration::ZERO..=Schedule::MAX_INTERVAL).contains(&interval) {
        return Some(interval);
    }
    problems.error(
        place,
        Code::OutOfRange,
        format!("an ImageCache cannot be kept for {}", quoted(text)),
        format!("write an interval from 0s to {MAX_INTERVAL_HOURS}h"),
    );
    None
}

/// The names of groups in a sequence. It must not be empty: `enabled: false` asks for no ImageCache.
pub fn groups(at: &At, problems: &mut Problems) -> Vec<(Place, String)> {
    let items = at.items(problems);
    if at.is_sequence() && items.is_empty() {
        problems.error(
            at.place(),
            Code::InvalidValue,
            "the list of groups is empty",
            "name at least one group, or remove the key for all of them",
        );
    }
    items.iter().filter_map(|item| Some((item.place(), item.text(problems)?.to_owned()))).collect()
}
