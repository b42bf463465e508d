//! Reports about shards, joined to reports about their group: users think in groups.

use std::collections::{HashMap, HashSet};

use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::decision::{Finding, Plan, Waiting};
use crate::plan::generations::Generations;

/// Joins what was found for each shard of a group.
///
/// - The rollout of a group is complete once that of its last shard is, and is reported once.
/// - What is the same for several shards is reported once, for one of their DaemonSets.
/// - Numbers of images are those of the group.
pub fn join(context: &Context, generations: &Generations, plan: &mut Plan) {
    let mut groups: HashMap<&str, Vec<&Group>> = HashMap::new();
    for shard in &context.list.config.groups {
        groups.entry(shard.name.as_str()).or_default().push(shard);
    }
    groups.retain(|_, shards| shards.len() > 1);
    if groups.is_empty() {
        return;
    }
    let images =
        |group: &str| groups.get(group).map(|shards| shards.iter().map(|shard| shard.images.len()).sum::<usize>());
    let is_over = |group: &str| {
        groups.get(group).is_some_and(|shards| shards.iter().all(|it| is_complete(it, generations, plan)))
    };
    let over: HashSet<String> = groups.keys().filter(|group| is_over(group)).map(|group| (*group).to_owned()).collect();
    let mut seen: Vec<Finding> = Vec::new();
    for report in &mut plan.condition_reports {
        report.findings.retain_mut(|finding| {
            match finding {
                Finding::RolloutComplete { group, images: of_shard, .. } => {
                    let Some(images) = images(group) else { return true };
                    *of_shard = images;
                    return over.contains(group) && !seen.iter().any(|seen| is_end_of(seen, group)) && {
                        seen.push(finding.clone());
                        true
                    };
                }
                Finding::ImagesFailing { group, of, .. } => *of = images(group).unwrap_or(*of),
                _ => {}
            }
            let subject = without_daemon_set(finding);
            let is_new = !seen.contains(&subject);
            seen.push(subject);
            is_new
        });
    }
    let waiting = std::mem::take(&mut plan.waiting);
    waiting.into_iter().for_each(|it| add(&mut plan.waiting, it));
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

/// Whether the rollout of a shard is complete, as of this plan.
fn is_complete(shard: &Group, generations: &Generations, plan: &Plan) -> bool {
    generations.newest_of(shard).is_some_and(|newest| {
        let now = plan.condition_reports.iter().find(|report| report.daemon_set == newest.name);
        let reported = now.map_or(&newest.reported, |report| &report.reported);
        reported.complete && !reported.stalled
    })
}

fn is_end_of(finding: &Finding, group: &str) -> bool {
    matches!(finding, Finding::RolloutComplete { group: of, .. } if of == group)
}

/// The finding without what differs between the shards of a group.
fn without_daemon_set(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    match &mut finding {
        Finding::InitContainersFailing { daemon_set, .. }
        | Finding::InitContainersRecovered { daemon_set, .. }
        | Finding::NodesExcluded { daemon_set, .. } => daemon_set.clear(),
        Finding::PodsRefused { daemon_set, pod, .. } => {
            daemon_set.clear();
            *pod = None;
        }
        _ => {}
    }
    finding
}
