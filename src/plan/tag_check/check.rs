//! Runs the tag checks of a refresh: of which images, on which nodes, and with which answers.

use std::collections::{BTreeSet, HashMap};

use jiff::SignedDuration;

use super::held_digests::GenerationDigests;
use super::targets::{Answer, Candidates, CheckState, CheckTarget, CheckTargets};
use super::{conclusion, daemon_set};
use crate::list::config::{Group, Image};
use crate::naming::hash::short_hash;
use crate::plan::context::Context;
use crate::plan::decision::{Action, Moved, Plan, Waiting};
use crate::plan::generation::Generation;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::tag_check::{TagCheck, TagCheckProgress};
use crate::plan::generation::tag_check_record::TagCheckRecord;
use crate::plan::refresh::{NextRefresh, next_refresh_of, other_shards, retry_at, wait_for};

/// How long to wait for a node that can run a tag check. Usually a change of a node triggers a new plan earlier.
const NODES_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Plans a group's tag checks. Returns a rollout if tags have moved. `blocked` is what prevents a rollout, if anything.
pub fn plan(
    context: &Context,
    group: &Group,
    newest: &Generation,
    blocked: Option<Waiting>,
    plan: &mut Plan,
) -> Option<Moved> {
    let images = wanted(context, group, newest, plan);
    if images.is_empty() {
        return None;
    }
    if let Some(settled_at) = context.settles_at() {
        plan.wake_up_at(settled_at);
        return None;
    }
    let tag_check = tag_check_id(context, newest, &images);
    let asked = Group { images, ..group.clone() };
    let held = GenerationDigests::of(context, newest);
    let targets = targets(context, group, newest, &held, &tag_check, plan);
    let answers = answers(context, &asked, newest, &tag_check, &targets, blocked, plan)?;
    let conclusion = conclusion::conclude(context, &asked, newest, &held, &answers);
    if conclusion.is_deferred() && other_shards(context, group).any(|(other, it)| is_underway(context, other, it)) {
        return None;
    }
    conclusion.carry_out(newest, plan)
}

/// Whether a check of a shard may soon say of more images that they cannot be checked. A retry says nothing new.
fn is_underway(context: &Context, shard: &Group, newest: &Generation) -> bool {
    let mut unused = Plan::default();
    let images = wanted(context, shard, newest, &mut unused);
    if images.iter().all(|image| newest.tag_check_record.failed.contains_key(image.name.as_str())) {
        return false;
    }
    let tag_check = tag_check_id(context, newest, &images);
    let held = GenerationDigests::of(context, newest);
    let targets = targets(context, shard, newest, &held, &tag_check, &mut unused).targets;
    let names: Vec<String> = targets.into_iter().map(|it| daemon_set::name(newest, &tag_check, it)).collect();
    let mut checks = context.tag_checks.iter().filter(|check| !check.deleting && names.contains(&check.name));
    checks.any(|check| matches!(check.progress(&images, context.now), TagCheckProgress::Underway(_)))
}

/// The images to check now; empty if no check is due.
fn wanted(context: &Context, group: &Group, newest: &Generation, plan: &mut Plan) -> Vec<Image> {
    let tags = || group.images.iter().filter(|image| image.may_move());
    let (tag_check_record, schedule) = (&newest.tag_check_record, &context.list.config.refresh.schedule);
    let all = || tags().cloned().collect();
    if tags().next().is_none() {
        return Vec::new();
    }
    if context.refresh_request.is_some_and(|request| !newest.answers(request)) {
        return all();
    }
    let due = next_refresh_of(context, group, newest);
    match (retry_at(schedule, newest, context.now), due) {
        (Some(retry_at), _) if context.now < retry_at => {
            plan.wake_up_at(retry_at);
            Vec::new()
        }
        (_, Some(NextRefresh::Due { .. })) => all(),
        (_, _) if !tag_check_record.failed.is_empty() => {
            // The other images have been checked, and are due again with the next refresh.
            tags().filter(|image| tag_check_record.failed.contains_key(image.name.as_str())).cloned().collect()
        }
        (_, due) => {
            wait_for(due, group, plan);
            Vec::new()
        }
    }
}

/// Identifies a tag check. The ID stays the same until the answer is recorded, in any controller process.
fn tag_check_id(context: &Context, newest: &Generation, images: &[Image]) -> String {
    let TagCheckRecord { last_success, failures, retry_at, .. } = &newest.tag_check_record;
    let request = context.refresh_request.filter(|request| !newest.answers(request));
    let images: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    short_hash(
        format!("{}\n{last_success:?}\n{failures}\n{retry_at:?}\n{request:?}\n{images:?}", newest.name).as_bytes(),
    )
}

fn targets<'a>(
    context: &Context<'a>,
    group: &Group,
    newest: &Generation,
    held: &GenerationDigests,
    tag_check: &str,
    plan: &mut Plan,
) -> CheckTargets<'a> {
    let known: HashMap<&str, CheckState> = context
        .tag_checks
        .iter()
        .map(|check| (check.name.as_str(), if check.deleting { CheckState::Deleting } else { CheckState::Started }))
        .collect();
    // A name takes a hash, and a group has thousands of nodes.
    let asked = |target: CheckTarget| match known.is_empty() {
        true => CheckState::Absent,
        false => known.get(&*daemon_set::name(newest, tag_check, target)).copied().unwrap_or(CheckState::Absent),
    };
    let targets = Candidates::of(context, group, newest).choose(held, tag_check, asked);
    // If the group has no node at all, there is nothing to check.
    if !targets.without.is_empty() {
        let names = targets.without.iter().filter(|name| !name.is_empty());
        plan.waiting.push(Waiting::TagCheck {
            group: group.name.to_string(),
            daemon_set: newest.name.clone(),
            architectures: names.map(|name| (*name).to_owned()).collect(),
        });
        if let Ok(again) = context.now.checked_add(NODES_AGAIN) {
            plan.wake_up_at(again);
        }
    }
    targets
}

/// The answers from all nodes once they are complete. Starts tag checks that are missing.
fn answers<'a>(
    context: &Context<'a>,
    asked: &Group,
    newest: &Generation,
    tag_check: &str,
    targets: &CheckTargets<'a>,
    blocked: Option<Waiting>,
    plan: &mut Plan,
) -> Option<Vec<Answer<'a>>> {
    let mut answers = Vec::new();
    for &target in &targets.targets {
        let name = daemon_set::name(newest, tag_check, target);
        match context.tag_checks.iter().find(|check| check.name == name) {
            None if blocked.is_some() => {}
            None => plan.actions.extend(ask(context, asked, newest, tag_check, target)),
            // There is no other node, and the name is still taken.
            Some(check) if check.deleting => {}
            Some(check) => {
                plan.tag_checks.insert(check.uid.clone());
                match check.progress(&asked.images, context.now) {
                    TagCheckProgress::Underway(until) => plan.wake_up_at(until),
                    TagCheckProgress::Done(images) => answers.push(Answer { target, images }),
                }
            }
        }
    }
    let complete = !answers.is_empty() && answers.len() == targets.targets.len();
    if let (false, Some(blocked)) = (complete, blocked) {
        plan.waiting.push(blocked);
    }
    complete.then_some(answers)
}

fn ask(context: &Context, asked: &Group, newest: &Generation, tag_check: &str, target: CheckTarget) -> Option<Action> {
    let daemon_set = daemon_set::build(
        context.list,
        asked,
        newest,
        tag_check,
        target,
        PulledAlways::all_of(asked),
        context.settings,
    )?;
    Some(Action::CheckTags { daemon_set: Box::new(daemon_set) })
}

/// Deletes tag checks that are no longer awaited: their answers are recorded, their nodes cannot answer, or the refresh
/// is no longer due.
pub fn left_over(checks: &[TagCheck], awaited: &BTreeSet<String>) -> Vec<Action> {
    let left_over = checks.iter().filter(|check| !check.deleting && !awaited.contains(&check.uid));
    left_over.map(|check| Action::EndTagCheck { name: check.name.clone(), uid: check.uid.clone() }).collect()
}
