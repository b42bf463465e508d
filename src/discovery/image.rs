//! What is stored of one image. It changes as rarely as it can, since each change is a new version of the list.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::unknown::UnknownNamespaces;
use super::workload::Workload;
use crate::list::discover::found::FoundImage;

/// An image that workloads name. Of these, the stored ones stay as long as they name it, or may do so; others are
/// stored once none of them is left. A new image has no name yet.
pub fn named(
    before: Option<&FoundImage>,
    named_by: &BTreeSet<&Workload>,
    unknown: &UnknownNamespaces<'_>,
) -> FoundImage {
    let workloads: BTreeMap<String, &Workload> = named_by.iter().map(|it| (it.to_string(), *it)).collect();
    let stored = before.into_iter().flat_map(|image| &image.by);
    let mut by: BTreeSet<String> =
        stored.filter(|it| workloads.contains_key(*it) || unknown.may_have(it)).cloned().collect();
    if by.is_empty() {
        by = workloads.keys().take(FoundImage::MAX_NAMED).cloned().collect();
    }
    FoundImage {
        name: before.map(|image| image.name.clone()).unwrap_or_default(),
        pull_secrets: pull_secrets(before, &by, &workloads),
        by,
        unnamed_since: None,
    }
}

/// The secrets of the stored workloads. Those of workloads that cannot be seen were stored before.
fn pull_secrets(
    before: Option<&FoundImage>,
    by: &BTreeSet<String>,
    workloads: &BTreeMap<String, &Workload>,
) -> BTreeSet<String> {
    let seen = by.iter().filter_map(|it| workloads.get(it)).flat_map(|workload| &workload.pull_secrets);
    let all_seen = by.iter().all(|it| workloads.contains_key(it));
    let stored = before.filter(|_| !all_seen).into_iter().flat_map(|image| &image.pull_secrets);
    let all: BTreeSet<&String> = seen.chain(stored).collect();
    all.into_iter().take(FoundImage::MAX_NAMED).cloned().collect()
}

/// An image that no workload names, and when it goes; `None` if that is now. A time in the future counts as now: the
/// clock was set back.
pub fn unnamed(before: &FoundImage, keep_for: SignedDuration, now: Timestamp) -> Option<(FoundImage, Timestamp)> {
    let since = before.unnamed_since.unwrap_or(now).min(now);
    let goes_at = since.checked_add(keep_for).unwrap_or(Timestamp::MAX);
    (now < goes_at).then(|| (FoundImage { unnamed_since: Some(since), ..before.clone() }, goes_at))
}
