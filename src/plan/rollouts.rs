//! What starts a rollout, what prevents it, and what it creates.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;

use super::context::Context;
use super::daemon_set;
use super::decision::{Action, DeletionReason, Finding, Moved, Plan, RolloutCause, Waiting};
use super::generation::conditions::ReportedConditions;
use super::generation::holder_folder::HolderFolder;
use super::generation::node_scope::NodeScope;
use super::generation::pulled_always::PulledAlways;
use super::generation::tag_check_record::TagCheckRecord;
use super::generation::{FORMAT, Generation, Record, content_hash};
use super::generations::Generations;
use super::own_image::{self, OwnImage};
use super::pull_policies::{self, Resolve};
use super::refresh::{NextRefresh, next_refresh_of, resolved_at, wait_for};
use crate::coverage::{CoveringPod, InitFailure, Initialization, PodState};
use crate::list::config::{Group, RefreshMode};
use crate::naming::labels;

/// The maximum number of moving generations of a group. Further changes wait.
pub const MAX_GENERATIONS: usize = 3;

/// Why the newest generation does not match the group as it is now. `own_image` is the one for new generations.
pub fn outdated(context: &Context, group: &Group, newest: &Generation, own_image: &OwnImage) -> Option<RolloutCause> {
    let Some(record) = &newest.record else { return Some(RolloutCause::Unknown) };
    if !daemon_set::was_built_from(context.list, group, newest, record) {
        return Some(RolloutCause::Edited);
    }
    if newest.node_scope != NodeScope::Everywhere {
        return Some(RolloutCause::ScopedDown);
    }
    own_image_is_replaced(context, newest, record, own_image).then_some(RolloutCause::OwnImage)
}

/// Whether another one of kube-prepull's own images is used now, after the former kept every pod of the generation from starting. As
/// long as any of them starts, another image begins nothing: an upgrade of the controller must not move all nodes.
fn own_image_is_replaced(context: &Context, newest: &Generation, record: &Record, next: &OwnImage) -> bool {
    if record.holder_image == next.reference && next.known_at.is_none() {
        return false;
    }
    let own = || {
        let pods = context.pods_of(newest);
        pods.filter(|pod| !pod.deleting && pod.state == PodState::Live)
    };
    let fails = |pod: &CoveringPod| pod.initialization.failure().is_some_and(InitFailure::is_own);
    let starts = |pod: &CoveringPod| matches!(pod.initialization, Initialization::Done | Initialization::Started);
    own().any(fails) && !own().any(starts)
}

/// A rollout that was requested.
pub fn requested(context: &Context, newest: &Generation) -> Option<RolloutCause> {
    context.refresh_request.filter(|request| !newest.answers(request)).map(|_| RolloutCause::Requested)
}

/// A rollout that is due by the schedule. If it is due later, the plan is made again then.
pub fn due(context: &Context, group: &Group, newest: &Generation, plan: &mut Plan) -> Option<RolloutCause> {
    match next_refresh_of(context, group, newest) {
        Some(NextRefresh::Due { .. }) => Some(RolloutCause::Due),
        later => {
            wait_for(later, group, plan);
            None
        }
    }
}

/// What prevents a rollout of the group: too many of its generations are still moving.
pub fn blocked(group: &Group, refresh: bool, generations: &Generations) -> Option<Waiting> {
    let moving = generations.moving(group);
    (moving >= MAX_GENERATIONS).then(|| Waiting::Generations {
        group: group.name.to_string(),
        refresh,
        moving,
        unavailable: generations.unavailable_nodes(group).into_iter().map(str::to_owned).collect(),
    })
}

/// Starts a rollout unless something prevents it. Returns whether it started, or is about to.
pub fn start(
    context: &Context,
    group: &Group,
    cause: RolloutCause,
    moved: Option<Moved>,
    own_image: &OwnImage,
    generations: &Generations,
    plan: &mut Plan,
) -> bool {
    let refreshes = matches!(cause, RolloutCause::Requested | RolloutCause::Due | RolloutCause::Moved { .. });
    // These causes follow from edits, which have to settle: images and nodes, a new group, an interval that has already
    // passed.
    if let (RolloutCause::Missing | RolloutCause::Edited | RolloutCause::Due, Some(settled_at)) =
        (cause, context.settles_at())
    {
        plan.wake_up_at(settled_at);
        return false;
    }
    if let (RolloutCause::OwnImage, Some(known_at)) = (cause, own_image.known_at) {
        plan.wake_up_at(known_at);
        return true;
    }
    if refreshes && context.list.config.refresh.mode == RefreshMode::Recreate {
        plan.actions
            .extend(generations.needed_of(group).map(|it| Action::delete(it, DeletionReason::Recreated(cause))));
        // That the holder's image is absent is stored with what is deleted now.
        if own_image.absent.is_some() {
            plan.actions.push(create(context, group, RolloutCause::Missing, own_image, None, None));
        }
        return true;
    }
    if let Some(blocked) = blocked(group, refreshes, generations) {
        plan.waiting.push(blocked);
        return false;
    }
    let mut findings = moved.as_ref().map(|moved| moved.findings.clone()).unwrap_or_default();
    findings.extend(absence(group, own_image));
    plan.actions.push(create(context, group, cause, own_image, generations.newest_of(group), moved));
    plan.actions.extend(findings.into_iter().map(Action::Report));
    true
}

/// What to report if it has just been found that the controller's image has to serve.
fn absence(group: &Group, own_image: &OwnImage) -> Option<Finding> {
    let failure = own_image.absent.as_ref()?.failure.clone()?;
    Some(Finding::HolderImageAbsent { group: group.name.to_string(), failure, instead: own_image.reference.to_owned() })
}

fn create(
    context: &Context,
    group: &Group,
    cause: RolloutCause,
    own_image: &OwnImage,
    newest: Option<&Generation>,
    moved: Option<Moved>,
) -> Action {
    let Moved { images, tag_check_record, .. } = moved.unwrap_or_default();
    let resolve = match cause {
        RolloutCause::Requested | RolloutCause::Due => Resolve::All,
        _ => Resolve::Moved(&images),
    };
    let pulled_always = pull_policies::for_next_generation(context, group, newest, resolve);
    let resolves_all = pulled_always == PulledAlways::all_of(group);
    let tag_check_record = match newest.filter(|_| tag_check_record == TagCheckRecord::default() && !resolves_all) {
        Some(newest) => record_carried_over(group, newest, &pulled_always),
        None => tag_check_record,
    };
    // Only a rollout that resolves every tag answers a request, not an edit that happens at the same time.
    let answers = |request: &&str| resolves_all || newest.is_some_and(|newest| newest.answers(request));
    let record = Record {
        revision: next_revision(context.generations),
        content: content_hash(group),
        epoch: whole_seconds(context.now),
        spread_seconds: context.list.config.pull_rate.spread_seconds(matching_nodes(context, group)),
        holder_image: own_image.reference.to_owned(),
        format: FORMAT,
        folder: HolderFolder::default(),
        refresh_request: context.refresh_request.filter(answers).map(str::to_owned),
        pulled_always,
        gate_taints: group.placement.gate_taints.clone(),
    }
    .with_own_folder(context.list.label, group, &context.settings.seed);
    let reported = newest.map(|newest| newest.reported.for_next_generation()).unwrap_or_default();
    let mut daemon_set = daemon_set_with(context, group, &record, &tag_check_record, &reported);
    daemon_set.metadata.annotations.get_or_insert_default().extend(own_image::annotation(own_image));
    Action::Create { daemon_set, cause }
}

/// The tag check results for images that the new generation does not resolve again.
fn record_carried_over(group: &Group, newest: &Generation, pulled_always: &PulledAlways) -> TagCheckRecord {
    let carried = |name: &str| {
        group.images.iter().any(|image| image.name.as_str() == name && newest.holds(image))
            && !pulled_always.contains(name)
    };
    TagCheckRecord { last_success: resolved_at(newest), ..newest.tag_check_record.only_of(carried) }
}

fn daemon_set_with(
    context: &Context,
    group: &Group,
    record: &Record,
    tag_check_record: &TagCheckRecord,
    reported: &ReportedConditions,
) -> Box<DaemonSet> {
    let mut daemon_set = daemon_set::build(context.list, group, record, context.settings);
    let annotations = daemon_set.metadata.annotations.get_or_insert_default();
    if *tag_check_record != TagCheckRecord::default() {
        annotations.insert(labels::TAG_CHECKS.to_owned(), tag_check_record.to_text());
    }
    if *reported != ReportedConditions::default() {
        annotations.insert(labels::CONDITIONS.to_owned(), reported.to_text());
    }
    Box::new(daemon_set)
}

/// Generations that are being deleted count too, because their names are still taken.
fn next_revision(generations: &[Generation]) -> u32 {
    generations.iter().map(Generation::revision).max().unwrap_or(0).saturating_add(1)
}

fn matching_nodes(context: &Context, group: &Group) -> usize {
    context.nodes.unwrap_or_default().iter().filter(|node| node.takes(&group.placement)).count()
}

/// The epoch in whole seconds, as holders count it. They cannot represent times before 1970, which a clock without a
/// battery may show.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second().max(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}
