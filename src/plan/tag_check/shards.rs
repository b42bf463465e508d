//! What tag checks find of the shards of a group, joined to what is reported of the group: users think in groups.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;

use crate::list::config::{Group, Image};
use crate::naming::labels;
use crate::plan::context::Context;
use crate::plan::decision::{Action, Finding, Plan, UncheckedImage};
use crate::plan::generation::tag_check_record::TagCheckRecord;
use crate::plan::refresh::newest_of;

/// Joins what this plan reports of the tags of each group with several shards.
///
/// - That images could not be checked is reported once, and names those of all shards.
/// - That all can be checked again is reported once no shard fails any more.
pub fn join(context: &Context, plan: &mut Plan) {
    let groups: BTreeSet<String> = plan.actions.iter().filter_map(group_of).map(str::to_owned).collect();
    for group in &groups {
        let shards: Vec<&Group> = context.list.config.shards_of(group).collect();
        if shards.len() > 1 {
            join_group(context, group, &shards, plan);
        }
    }
}

/// The group of a report that is joined.
fn group_of(action: &Action) -> Option<&str> {
    match action {
        Action::Report(Finding::RefreshDeferred { group, .. } | Finding::RefreshRecovered { group }) => Some(group),
        _ => None,
    }
}

fn join_group(context: &Context, group: &str, shards: &[&Group], plan: &mut Plan) {
    let of_group = |action: &mut Action| group_of(action) == Some(group);
    let reports: Vec<Action> = plan.actions.extract_if(.., of_group).collect();
    let mut images = Vec::new();
    let (mut is_deferred, mut is_recovered) = (false, false);
    for report in reports {
        match report {
            Action::Report(Finding::RefreshDeferred { images: of_shard, .. }) => {
                is_deferred = true;
                images.extend(of_shard);
            }
            _ => is_recovered = true,
        }
    }
    let failing = Failing::of(context, shards, plan);
    if is_deferred {
        images.extend(failing.without(&images));
        let tags = shards.iter().flat_map(|shard| &shard.images).filter(|image| image.may_move());
        let (group, of, retry_at) = (group.to_owned(), tags.count(), failing.retry_at);
        plan.actions.push(Action::Report(Finding::RefreshDeferred { group, images, of, retry_at }));
    } else if is_recovered && failing.images.is_empty() {
        plan.actions.push(Action::Report(Finding::RefreshRecovered { group: group.to_owned() }));
    }
}

/// The images of a group that cannot be checked, as of a plan.
#[derive(Default)]
struct Failing {
    images: Vec<UncheckedImage>,
    retry_at: Option<Timestamp>,
}

impl Failing {
    fn of(context: &Context, shards: &[&Group], plan: &Plan) -> Self {
        let mut failing = Self::default();
        for shard in shards {
            let TagCheckRecord { failed, retry_at, .. } = record_after(context, shard, plan).unwrap_or_default();
            let listed = |image: &&Image| failed.contains_key(image.name.as_str());
            failing.images.extend(shard.images.iter().filter(listed).map(|image| UncheckedImage {
                reference: image.reference.as_str().to_owned(),
                node: None,
                failure: failed.get(image.name.as_str()).cloned().flatten(),
            }));
            failing.retry_at = failing.retry_at.into_iter().chain(retry_at).min();
        }
        failing
    }

    /// Those that are not among the `known` ones.
    fn without(&self, known: &[UncheckedImage]) -> Vec<UncheckedImage> {
        let known: BTreeSet<&str> = known.iter().map(|image| image.reference.as_str()).collect();
        let others = self.images.iter().filter(|image| !known.contains(image.reference.as_str()));
        others.cloned().collect()
    }
}

/// The results of a shard's tag checks once the plan has been carried out.
fn record_after(context: &Context, shard: &Group, plan: &Plan) -> Option<TagCheckRecord> {
    let newest = newest_of(context.generations, shard);
    let written = plan.actions.iter().rev().find_map(|action| match action {
        Action::Note { daemon_set, tag_check_record, .. } if newest.is_some_and(|it| it.name == *daemon_set) => {
            Some(TagCheckRecord::clone(tag_check_record))
        }
        Action::Create { daemon_set, .. } => record_on(daemon_set, shard),
        _ => None,
    });
    written.or_else(|| newest.map(|newest| newest.tag_check_record.clone()))
}

/// The results that a new generation starts with, if it is one of the shard.
fn record_on(daemon_set: &DaemonSet, shard: &Group) -> Option<TagCheckRecord> {
    let metadata = &daemon_set.metadata;
    let labels = metadata.labels.as_ref()?;
    let group = labels.get(labels::GROUP).map(String::as_str);
    let is_own = group == Some(shard.name.as_str()) && labels::shard(labels) == shard.shard;
    let text = || metadata.annotations.as_ref()?.get(labels::TAG_CHECKS);
    is_own.then(|| text().map(|text| TagCheckRecord::from_text(text)).unwrap_or_default())
}
