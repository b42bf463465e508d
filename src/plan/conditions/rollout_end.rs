//! The ends of the rollouts of a group's shards, joined to that of the group: it is complete when all shards of the list as it is now are.
//!
//! A shard whose own rollout is complete earlier notes that it awaits the others, and tells of it again with each plan. So the group's end is
//! reported even if the last shard that is behind leaves the list, and once.

use std::collections::BTreeSet;

use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::{Finding, Plan};
use crate::plan::generations::Generations;

/// Joins the ends that shards tell of in this plan. `behind` are the shards that need a new generation: it may be about to be created, have to
/// wait, or be refused.
pub fn join(context: &Context, generations: &Generations, behind: &[&Group], plan: &mut Plan) {
    let findings = plan.condition_reports.iter().flat_map(|report| &report.findings);
    let groups: BTreeSet<String> = findings.filter_map(ended).map(str::to_owned).collect();
    for group in &groups {
        let shards: Vec<&Group> = context.list.config.shards_of(group).collect();
        let is_behind = |shard: &&Group| behind.iter().any(|it| it.is_same_shard(shard));
        let is_over = !shards.iter().any(is_behind)
            && shards.iter().all(|shard| is_complete(shard, generations, plan))
            && !has_left_shards(group, generations);
        join_group(group, &shards, is_over, plan);
    }
}

/// The report comes with the last shard, after the others have noted that they await nothing: a crash in between repeats none.
fn join_group(group: &str, shards: &[&Group], is_over: bool, plan: &mut Plan) {
    let mut ends = Vec::new();
    for (index, report) in plan.condition_reports.iter_mut().enumerate() {
        let of_group = |finding: &mut Finding| ended(finding) == Some(group);
        for end in report.findings.extract_if(.., of_group) {
            report.reported.awaits_shards = !is_over;
            ends.push((index, end));
        }
    }
    let Some(&(last, _)) = ends.last().filter(|_| is_over) else { return };
    let images = shards.iter().map(|shard| shard.images.len()).sum();
    let end = ends.into_iter().map(|(_, end)| end).reduce(both);
    plan.condition_reports[last].findings.extend(end.map(|end| of_images(end, images)));
}

/// The end of two shards: of the DaemonSet that ended last, since the start of the one that began first, on the nodes that hold both.
fn both(one: Finding, other: Finding) -> Finding {
    match (one, other) {
        (
            Finding::RolloutComplete { took: first, nodes: fewer, .. },
            Finding::RolloutComplete { group, daemon_set, took, images, nodes },
        ) => {
            let (took, nodes) = (took.max(first), nodes.min(fewer));
            Finding::RolloutComplete { group, daemon_set, took, images, nodes }
        }
        (_, other) => other,
    }
}

fn of_images(mut end: Finding, number: usize) -> Finding {
    if let Finding::RolloutComplete { images, .. } = &mut end {
        *images = number;
    }
    end
}

fn ended(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::RolloutComplete { group, .. } => Some(group),
        _ => None,
    }
}

/// Whether the rollout of a shard is complete, as of this plan.
fn is_complete(shard: &Group, generations: &Generations, plan: &Plan) -> bool {
    generations.newest_of(shard).is_some_and(|newest| {
        let reported = plan.reported_of(newest);
        reported.complete && !reported.stalled
    })
}

/// Whether a DaemonSet of the group is still needed whose images others are to hold, because its shard has left the list.
fn has_left_shards(group: &str, generations: &Generations) -> bool {
    generations.retiring.iter().any(|it| it.generation.group == group && !it.needed.is_nowhere())
}
