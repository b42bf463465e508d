//! What a group has discovered: which workloads name images that are behind, and what was left out.

use jiff::Timestamp;

use crate::messages::format::age;
use crate::status::report::{GroupReport, ImageReport};
use crate::text::CleanText;

/// How many images are described one by one.
const MOST: usize = 3;

/// One line each, as a subject and what there is to say of it.
pub fn lines(group: &GroupReport, all: bool, now: Timestamp) -> Vec<(String, String)> {
    let most = if all { usize::MAX } else { MOST };
    let is_shown = |image: &&ImageReport| all || !image.is_warm();
    let found = group.images.iter().filter(is_shown).filter_map(|image| Some((image, describe(image, now)?)));
    let mut lines: Vec<_> =
        found.take(most).map(|(image, text)| (image.reference.as_str().to_owned(), format!(": {text}"))).collect();
    let left_out = group.left_out.iter().take(most);
    lines.extend(left_out.map(|(image, why)| (image.as_str().to_owned(), format!(": left out: {why}"))));
    if let Some(more) = group.left_out.len().checked_sub(most).filter(|more| *more > 0) {
        lines.push((format!("{more} more"), ": left out".to_owned()));
    }
    lines
}

fn describe(image: &ImageReport, now: Timestamp) -> Option<String> {
    let found = image.discovered.as_ref()?;
    let by = joined(&found.by);
    let text = match found.unnamed_since {
        None => format!("discovered in {by}"),
        Some(since) => format!("no workload has named it for {}, last {by}; kept for a rollback", age(since, now)),
    };
    let has_secrets = !image.is_warm() && !found.pull_secrets.is_empty();
    let secrets = has_secrets.then(|| format!("; pulled there with the pull secret {}", joined(&found.pull_secrets)));
    Some(text + &secrets.unwrap_or_default())
}

fn joined(texts: &[CleanText]) -> String {
    texts.iter().map(CleanText::as_str).collect::<Vec<_>>().join(", ")
}
