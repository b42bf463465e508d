//! Which generations there should be.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;

pub use super::action::{Action, Cause, Ending, Finding, Leaving};
use super::daemon_set::{self, AcceptedList, Settings};
use super::generation::{FORMAT, Generation, Record, content_hash};
use super::narrowing;
use super::pull_policies::{self, PulledAlways, Resolve};
use super::reach::{Reach, some_of};
use super::refresh::{NextRefresh, next_refresh, resolved_at};
use super::restoring;
use super::room;
use super::sealing;
use super::standing::Standing;
use super::tag_check::{self, Looks, Moved, TagCheck};
use super::troubles::{self, Telling, Told};
use crate::coverage::{Coverage, Node};
use crate::list::Config;
use crate::list::config::{Group, RefreshMode};
use crate::naming::labels;

/// The most generations of a group that exist at a time. While there are so many, a further change waits.
pub const MAX_GENERATIONS: usize = 3;

/// The most generations of a group that stay besides these for a few nodes that nothing newer gets onto or ahead on: nodes
/// that are not ready or were tainted since. Each of them was narrowed to such nodes, so it costs next to nothing; and that
/// there are more takes nodes that fell out in as many different rounds.
pub const MAX_OUT_OF_REACH: usize = 5;

/// How long an edit must have stood before it begins a round, so that two edits in a row begin one.
pub const SETTLING: SignedDuration = SignedDuration::from_secs(1);

/// All that the plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The list as accepted.
    pub list: AcceptedList<'a>,
    /// Accepted forms of the list that are kept, for generations that were made of an earlier one.
    pub kept: &'a [&'a Config],
    /// When the list was last edited.
    pub edited_at: Option<Timestamp>,
    /// The value of the annotation that asks for a refresh.
    pub refresh_request: Option<&'a str>,
    /// The list's DaemonSets.
    pub generations: &'a [Generation],
    /// The list's tag checks.
    pub tag_checks: &'a [TagCheck],
    /// Who has what.
    pub coverage: &'a Coverage,
    /// What pods of kubernetes-image-puller have; those of DaemonSets that are not among the generations do not count.
    pub leftovers: &'a Coverage,
    /// The cluster's nodes; `None` where the controller may not read them.
    pub nodes: Option<&'a [Node]>,
    /// What the cluster and the installation are like.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to write, in this order: what is needed nowhere goes first, so that it makes room.
    pub actions: Vec<Action>,
    /// What must wait, in words for the user.
    pub waiting: Vec<String>,
    /// What there is to tell of groups, after all of that.
    pub tellings: Vec<Telling>,
    /// When to look again, if nothing changes before.
    pub wake_at: Option<Timestamp>,
    /// The uids of the tag checks that are waited for; all others are to go.
    pub tag_checks: BTreeSet<String>,
}

impl Plan {
    /// Looks again at that time, or before.
    pub(super) fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

/// Decides what to do.
pub fn plan(facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    let standing = Standing::of(facts);
    if !restoring::is_unsettled(facts) {
        plan_deletion(facts, &standing, &mut plan);
        sealing::plan(&standing, &mut plan);
        plan.actions.extend(standing.recounts());
        plan_narrowing(facts, &standing, &mut plan);
        plan_room(facts, &standing, &mut plan);
    }
    for group in &facts.list.config.groups {
        plan_group(facts, group, &standing, &mut plan);
    }
    restoring::restore(facts, &mut plan);
    plan.actions.extend(tag_check::left_over(facts.tag_checks, &plan.tag_checks));
    plan
}

fn plan_deletion(facts: &Facts, standing: &Standing, plan: &mut Plan) {
    for it in standing.retiring.iter().filter(|it| it.needed.is_nowhere()) {
        match restoring::kept_until(facts, it.generation) {
            Some(until) => plan.wake_up_at(until),
            None => plan.actions.push(delete(it.generation, Ending::NeededNowhere)),
        }
    }
}

fn plan_narrowing(facts: &Facts, standing: &Standing, plan: &mut Plan) {
    let narrowed =
        standing.retiring.iter().filter_map(|it| Some((it, narrowing::narrowed(it.generation, &it.needed)?)));
    let narrowed: Vec<Action> =
        narrowed.map(|(it, reach)| narrow(it.generation, reach, Leaving::NeededOnFew)).collect();
    match narrowing::begins_at(&standing.newest, facts.now) {
        Some(at) if !narrowed.is_empty() => plan.wake_up_at(at),
        _ => plan.actions.extend(narrowed),
    }
}

fn plan_room(facts: &Facts, standing: &Standing, plan: &mut Plan) {
    let room = room::look(facts, standing);
    let being_narrowed = |plan: &Plan, generation: &Generation| {
        plan.actions.iter().any(|action| matches!(action, Action::Narrow { name, .. } if *name == generation.name))
    };
    for (generation, nodes) in room.leaving {
        if !being_narrowed(plan, generation) {
            let reach = generation.reach.without(&nodes.keys().cloned().collect());
            plan.actions.push(narrow(generation, reach, Leaving::NoRoom { nodes }));
        }
    }
    plan.waiting.extend(room.notes);
    room.wake_at.into_iter().for_each(|at| plan.wake_up_at(at));
}

fn plan_group(facts: &Facts, group: &Group, standing: &Standing, plan: &mut Plan) {
    let newest = standing.newest_of(group);
    let mut moved = None;
    let cause = match newest {
        None => Some(Cause::Missing),
        Some(newest) => outdated(facts, group, newest).or_else(|| match facts.list.config.refresh.mode {
            RefreshMode::OnChange => {
                moved = tag_check::look(facts, group, newest, blocked(group, "refresh", standing), plan);
                moved.as_ref().map(|moved| Cause::Moved { images: moved.images.len() })
            }
            RefreshMode::Always | RefreshMode::Recreate => {
                requested(facts, newest).or_else(|| due(facts, group, newest, plan))
            }
        }),
    };
    let begun = cause.is_some_and(|cause| begin(facts, group, cause, moved, standing, plan));
    if let (false, Some(newest)) = (begun, newest) {
        tag_check::renew(facts, group, newest, plan);
        troubles::look(facts, group, newest, standing, plan);
    }
}

/// Why the newest generation of a group is not what the group now asks for.
fn outdated(facts: &Facts, group: &Group, newest: &Generation) -> Option<Cause> {
    let Some(record) = &newest.record else { return Some(Cause::Unknown) };
    if !made_from(facts.list, group, newest, record) {
        return Some(Cause::Edited);
    }
    (newest.reach != Reach::Everywhere).then_some(Cause::Narrowed)
}

fn requested(facts: &Facts, newest: &Generation) -> Option<Cause> {
    facts.refresh_request.filter(|request| !newest.answers(request)).map(|_| Cause::Requested)
}

/// Whether a generation was made from that group of that form of the list.
pub(super) fn made_from(list: AcceptedList, group: &Group, generation: &Generation, record: &Record) -> bool {
    record.content == content_hash(group) && daemon_set::name(list, group, record) == generation.name
}

fn due(facts: &Facts, group: &Group, newest: &Generation, plan: &mut Plan) -> Option<Cause> {
    match next_refresh(&facts.list.config.refresh.schedule, newest, facts.now) {
        Some(NextRefresh::Due { .. }) => Some(Cause::Due),
        later => {
            wait_for(later, group, plan);
            None
        }
    }
}

/// Wakes up when the next refresh is due, and says where that is not known.
pub(super) fn wait_for(next: Option<NextRefresh>, group: &Group, plan: &mut Plan) {
    match next {
        Some(NextRefresh::At(time)) => plan.wake_up_at(time),
        Some(NextRefresh::UnknownUntil(time)) => {
            plan.waiting.push(format!(
                "group {}: its last round is dated {time}, in the future, so no refresh is due before; a request begins one",
                group.name
            ));
            plan.wake_up_at(time);
        }
        Some(NextRefresh::Due { .. } | NextRefresh::Never) | None => {}
    }
}

/// Why a group can begin no round now: too many of its generations are still moving.
fn blocked(group: &Group, what: &str, standing: &Standing) -> Option<String> {
    let moving = standing.moving(group);
    if moving < MAX_GENERATIONS {
        return None;
    }
    let held_up = match standing.out_of_reach(group) {
        nodes if nodes.is_empty() => String::new(),
        nodes => format!("; some stay for nodes that are not ready or keep new pods away: {}", some_of(&nodes)),
    };
    Some(format!("group {}: {moving} generations are still moving, so the newest {what} waits{held_up}", group.name))
}

/// Begins a round if nothing stands against it, and says whether it did.
fn begin(
    facts: &Facts,
    group: &Group,
    cause: Cause,
    moved: Option<Moved>,
    standing: &Standing,
    plan: &mut Plan,
) -> bool {
    let refreshes = matches!(cause, Cause::Requested | Cause::Due | Cause::Moved { .. });
    // What an edit brings about settles: images and nodes, a group that is new, an interval that is over by now.
    if let (Cause::Missing | Cause::Edited | Cause::Due, Some(settled_at)) = (cause, settles_at(facts)) {
        plan.wake_up_at(settled_at);
        return false;
    }
    if refreshes && facts.list.config.refresh.mode == RefreshMode::Recreate {
        plan.actions.extend(standing.needed_of(group).map(|it| delete(it, Ending::MadeAnew(cause))));
        return true;
    }
    if let Some(blocked) = blocked(group, if refreshes { "refresh" } else { "change" }, standing) {
        plan.waiting.push(blocked);
        return false;
    }
    let findings = moved.as_ref().map(|moved| moved.findings.clone()).unwrap_or_default();
    plan.actions.push(create(facts, group, cause, standing.newest_of(group), moved));
    plan.actions.extend(findings.into_iter().map(Action::Tell));
    true
}

fn delete(generation: &Generation, ending: Ending) -> Action {
    Action::Delete { name: generation.name.clone(), uid: generation.uid.clone(), ending }
}

fn narrow(generation: &Generation, reach: Reach, leaving: Leaving) -> Action {
    Action::Narrow { name: generation.name.clone(), uid: generation.uid.clone(), reach, leaving }
}

fn create(facts: &Facts, group: &Group, cause: Cause, newest: Option<&Generation>, moved: Option<Moved>) -> Action {
    let Moved { images, looks, .. } = moved.unwrap_or_default();
    let resolve = match cause {
        Cause::Requested | Cause::Due => Resolve::All,
        _ => Resolve::Moved(&images),
    };
    let pulled_always = pull_policies::of_the_next(facts, group, newest, resolve);
    let resolves_all = pulled_always == PulledAlways::all_of(group);
    let looks = match newest.filter(|_| looks == Looks::default() && !resolves_all) {
        Some(newest) => looks_carried_over(group, newest, &pulled_always),
        None => looks,
    };
    // A request is answered by a rollout that resolves every tag, and not by an edit that happens to come with it.
    let answers = |request: &&str| resolves_all || newest.is_some_and(|newest| newest.answers(request));
    let record = Record {
        revision: next_revision(facts.generations),
        content: content_hash(group),
        epoch: whole_seconds(facts.now),
        spread_seconds: facts.list.config.pull_rate.spread_seconds(matching_nodes(facts, group)),
        holder_image: facts.settings.holder_image.clone(),
        format: FORMAT,
        refresh_request: facts.refresh_request.filter(answers).map(str::to_owned),
        pulled_always,
    };
    let told = newest.map(|newest| newest.told.for_the_next()).unwrap_or_default();
    Action::Create { daemon_set: built(facts, group, &record, &looks, &told), cause }
}

/// What is known of tags that a new generation does not resolve again.
fn looks_carried_over(group: &Group, newest: &Generation, pulled_always: &PulledAlways) -> Looks {
    let carried = |name: &str| {
        group.images.iter().any(|image| image.name.as_str() == name && newest.holds(image))
            && !pulled_always.contains(name)
    };
    Looks { last: resolved_at(newest), ..newest.looks.only_of(carried) }
}

fn built(facts: &Facts, group: &Group, record: &Record, looks: &Looks, told: &Told) -> Box<DaemonSet> {
    let mut daemon_set = daemon_set::build(facts.list, group, record, facts.settings);
    let annotations = daemon_set.metadata.annotations.get_or_insert_default();
    if *looks != Looks::default() {
        annotations.insert(labels::LOOKS.to_owned(), looks.to_text());
    }
    if *told != Told::default() {
        annotations.insert(labels::TOLD.to_owned(), told.to_text());
    }
    Box::new(daemon_set)
}

/// When the last edit will have stood long enough; `None` where it has. An edit in the future says that the clock was set
/// back since: nobody waits for that.
pub(super) fn settles_at(facts: &Facts) -> Option<Timestamp> {
    let edited_at = facts.edited_at.filter(|edited_at| *edited_at <= facts.now)?;
    edited_at.checked_add(SETTLING).ok().filter(|settled_at| facts.now < *settled_at)
}

/// Those that are about to go count too: their names are still taken.
fn next_revision(generations: &[Generation]) -> u32 {
    generations.iter().map(Generation::revision).max().unwrap_or(0).saturating_add(1)
}

fn matching_nodes(facts: &Facts, group: &Group) -> usize {
    facts.nodes.unwrap_or_default().iter().filter(|node| node.takes(&group.placement)).count()
}

/// The epoch in whole seconds, as holders count them: they know no time before 1970, which a clock without a battery may
/// well show.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second().max(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}
