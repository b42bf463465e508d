//! Reports about shards, joined to reports about their group: users think in groups.

use jiff::Timestamp;

use super::rollout_end;
use super::transition::{MIN_INTERVAL, has_grown};
use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::{ConditionReport, Finding, Plan, Waiting};
use crate::plan::generation::conditions::{Condition, Extent, ReportedCondition, ReportedConditions};
use crate::plan::generations::Generations;

/// What has been reported of the other shards of a group, also in this plan.
pub struct OtherShards<'r>(Vec<&'r ReportedConditions>);

impl<'r> OtherShards<'r> {
    /// Those of this shard's group.
    pub fn of(context: &Context, shard: &Group, generations: &Generations<'r>, plan: &'r Plan) -> Self {
        let others = context.list.config.shards_of(shard.name.as_str()).filter(|it| !it.is_same_shard(shard));
        let newest = others.filter_map(|other| generations.newest_of(other));
        Self(newest.map(|newest| plan.reported_of(newest)).collect())
    }

    /// Until when nothing more is reported of a condition, so that what begins in several shards is reported together.
    pub fn paused_until(&self, condition: Condition, now: Timestamp) -> Option<Timestamp> {
        // What they report in this plan is joined with what this one reports.
        let last = self.reported(condition).map(|reported| reported.at).filter(|at| *at < now).max()?;
        last.checked_add(MIN_INTERVAL).ok().filter(|again| now < *again)
    }

    /// Whether the same was reported of another shard, about as many nodes and, if they are known, some of these.
    pub fn have_reported(&self, condition: Condition, of: &str, extent: &Extent) -> bool {
        let is_elsewhere = |known: &Extent| {
            !known.sample.is_empty() && !extent.sample.is_empty() && known.sample.is_disjoint(&extent.sample)
        };
        let mut known = self.reported(condition).filter_map(|reported| reported.extents.get(of));
        known.any(|known| !has_grown(known, extent) && !is_elsewhere(known))
    }

    /// Whether what was reported of another shard is not known to be over there.
    pub fn still_have(&self, condition: Condition, of: &str) -> bool {
        self.reported(condition).any(|reported| reported.extents.contains_key(of))
    }

    fn reported(&self, condition: Condition) -> impl Iterator<Item = &'r ReportedCondition> {
        self.0.iter().filter_map(move |it| it.conditions.get(&condition))
    }
}

/// Joins what was found for each shard of a group.
///
/// - The rollout of a group is complete once that of its last shard is, and is reported once.
/// - What is the same for several shards is reported once, for one of their DaemonSets.
/// - Images and nodes of several shards are reported together, and the numbers of images are those of the group.
pub fn join(context: &Context, generations: &Generations, behind: &[&Group], plan: &mut Plan) {
    rollout_end::join(context, generations, behind, plan);
    join_findings(context, &mut plan.condition_reports);
    plan.condition_reports.retain(|report| {
        let newest = generations.newest.iter().find(|newest| newest.name == report.daemon_set);
        !report.findings.is_empty() || newest.is_none_or(|newest| newest.reported != report.reported)
    });
    let waiting = std::mem::take(&mut plan.waiting);
    waiting.into_iter().for_each(|it| add(&mut plan.waiting, it));
}

/// All that is joined comes with the first report, so that a crash in between repeats some of it and loses none.
fn join_findings(context: &Context, reports: &mut [ConditionReport]) {
    let mut joined: Vec<(usize, Finding)> = Vec::new();
    for (index, report) in reports.iter_mut().enumerate() {
        for finding in report.findings.drain(..) {
            if !joined.iter_mut().any(|(_, known)| absorbs(known, &finding)) {
                joined.push((index, finding));
            }
        }
    }
    for (index, mut finding) in joined {
        if let Finding::ImagesFailing { group, of, .. } = &mut finding {
            *of = context.list.config.shards_of(group).map(|shard| shard.images.len()).sum();
        }
        reports[index].findings.push(finding);
    }
}

/// Adds a finding to one about the same group, if one Event can report both.
fn absorbs(known: &mut Finding, added: &Finding) -> bool {
    match (&mut *known, added) {
        (
            Finding::ImagesFailing { group, images, count, .. },
            Finding::ImagesFailing { group: other, images: more, count: number, .. },
        ) if group == other => {
            images.extend(more.iter().cloned());
            *count += number;
            true
        }
        (
            Finding::ImagesRecovered { group, references },
            Finding::ImagesRecovered { group: other, references: more },
        ) if group == other => {
            references.extend(more.iter().cloned());
            true
        }
        (Finding::EvictionLoop { group, nodes }, Finding::EvictionLoop { group: other, nodes: more })
            if group == other =>
        {
            nodes.extend(more.iter().cloned());
            true
        }
        (known, added) => known == added,
    }
}

/// What waits for the same reason in several shards waits once.
fn add(waiting: &mut Vec<Waiting>, added: Waiting) {
    let same = waiting.iter_mut().find_map(|it| match (it, &added) {
        (
            Waiting::Generations { group, moving, unavailable, .. },
            Waiting::Generations { group: other, moving: others, unavailable: more, .. },
        ) if group == other => {
            *moving = (*moving).max(*others);
            unavailable.extend(more.iter().cloned());
            Some(())
        }
        (Waiting::Clock { group, .. }, Waiting::Clock { group: other, .. })
        | (Waiting::TagCheck { group, .. }, Waiting::TagCheck { group: other, .. })
        | (Waiting::Capacity { group, .. }, Waiting::Capacity { group: other, .. })
            if group == other =>
        {
            Some(())
        }
        _ => None,
    });
    if same.is_none() {
        waiting.push(added);
    }
}
