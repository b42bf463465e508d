//! The complete plan for a list: calls each decider, in an order in which their decisions fit together.

use std::collections::BTreeSet;

use super::context::{AcceptedList, Context};
use super::decision::{Action, DeletionReason, Moved, Plan, RolloutCause, ScopeDownReason};
use super::generation::Generation;
use super::generations::Generations;
use super::own_image::{self, OwnImage};
use super::{
    capacity, conditions, gate_tolerations, recounting, restoring, rollouts, scoping_down, sealing, sharding,
    split_notes, tag_check,
};
use crate::list::config::{Group, RefreshMode};

/// Plans all actions for a list. Everything below sees shards as groups of their own.
pub fn plan(context: &Context) -> Plan {
    let config = sharding::split(context.list.config, context.generations);
    plan_shards(&Context { list: AcceptedList { config: &config, ..context.list }, ..*context })
}

fn plan_shards(context: &Context) -> Plan {
    let mut plan = Plan::default();
    let generations = Generations::of(context);
    if !restoring::is_unsettled(context) {
        plan_deletion(context, &generations, &mut plan);
        sealing::plan(&generations, &mut plan);
        plan.actions.extend(recounting::recounts(&generations));
        plan_scoping_down(context, &generations, &mut plan);
        plan_capacity(context, &generations, &mut plan);
    }
    // It takes a look at the pods of all generations, and is the same for all groups.
    let own_image = own_image::for_next_generation(context);
    let mut behind = Vec::new();
    for group in &context.list.config.groups {
        if plan_group(context, group, &own_image, &generations, &mut plan) {
            behind.push(group);
        }
    }
    plan.actions.extend(split_notes::notes(context, &generations));
    plan.actions.extend(gate_tolerations::tolerations(context.list.config, &generations));
    tag_check::shards::join(context, &mut plan);
    conditions::join(context, &generations, &behind, &mut plan);
    restoring::restore(context, &mut plan);
    plan.actions.extend(tag_check::check::left_over(context.tag_checks, &plan.tag_checks));
    plan
}

fn plan_deletion(context: &Context, generations: &Generations, plan: &mut Plan) {
    for it in generations.retiring.iter().filter(|it| it.needed.is_nowhere()) {
        match restoring::kept_until(context, it.generation) {
            Some(until) => plan.wake_up_at(until),
            None => plan.actions.push(Action::delete(it.generation, DeletionReason::NeededNowhere)),
        }
    }
}

fn plan_scoping_down(context: &Context, generations: &Generations, plan: &mut Plan) {
    let scoped_down =
        generations.retiring.iter().filter_map(|it| Some((it, scoping_down::target_scope(it.generation, &it.needed)?)));
    let scoped_down: Vec<Action> = scoped_down
        .map(|(it, node_scope)| Action::scope_down(it.generation, node_scope, ScopeDownReason::NeededOnFew))
        .collect();
    match scoping_down::starts_at(&generations.newest, context.now) {
        Some(at) if !scoped_down.is_empty() => plan.wake_up_at(at),
        _ => plan.actions.extend(scoped_down),
    }
}

fn plan_capacity(context: &Context, generations: &Generations, plan: &mut Plan) {
    let capacity = capacity::find(context, generations);
    let being_scoped_down = |generation: &Generation| {
        plan.actions.iter().any(|action| matches!(action, Action::ScopeDown { name, .. } if *name == generation.name))
    };
    // Those of a group may have to leave a node together.
    let waiting = capacity.removals.iter().map(|(generation, _)| *generation).filter(|it| being_scoped_down(it));
    let waiting: BTreeSet<&str> = waiting.map(|generation| generation.group.as_str()).collect();
    for (generation, nodes) in capacity.removals {
        if !waiting.contains(generation.group.as_str()) {
            let node_scope = generation.node_scope.without(&nodes.keys().cloned().collect());
            plan.actions.push(Action::scope_down(generation, node_scope, ScopeDownReason::NoCapacity { nodes }));
        }
    }
    plan.waiting.extend(capacity.waiting);
    capacity.wake_at.into_iter().for_each(|at| plan.wake_up_at(at));
}

/// Returns whether the group needs a new generation, which may have to wait.
fn plan_group(
    context: &Context,
    group: &Group,
    own_image: &OwnImage,
    generations: &Generations,
    plan: &mut Plan,
) -> bool {
    let newest = generations.newest_of(group);
    let edited =
        newest.map_or(Some(RolloutCause::Missing), |newest| rollouts::outdated(context, group, newest, own_image));
    let (cause, moved) = match (edited, newest) {
        (None, Some(newest)) => refreshed(context, group, newest, generations, plan),
        (cause, _) => (cause, None),
    };
    let started =
        cause.is_some_and(|cause| rollouts::start(context, group, cause, moved, own_image, generations, plan));
    if let (false, Some(newest)) = (started, newest) {
        tag_check::outdated_nodes::plan(context, group, newest, plan);
        conditions::plan(context, group, newest, generations, plan);
    }
    cause.is_some()
}

/// The rollout that a refresh starts, and the tags that have moved.
fn refreshed(
    context: &Context,
    group: &Group,
    newest: &Generation,
    generations: &Generations,
    plan: &mut Plan,
) -> (Option<RolloutCause>, Option<Moved>) {
    match context.list.config.refresh.mode {
        RefreshMode::OnChange => {
            let blocked = rollouts::blocked(group, true, generations);
            let moved = tag_check::check::plan(context, group, newest, blocked, plan);
            (moved.as_ref().map(|moved| RolloutCause::Moved { images: moved.images.len() }), moved)
        }
        RefreshMode::Always | RefreshMode::Recreate => {
            let requested = rollouts::requested(context, newest);
            (requested.or_else(|| rollouts::due(context, group, newest, plan)), None)
        }
    }
}
