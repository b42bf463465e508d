//! Which generations there should be.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;

use super::daemon_set::{self, AcceptedList, Settings};
use super::generation::{FORMAT, Generation, Record, content_hash};
use super::retiring::Need;
use crate::coverage::{Coverage, Node};
use crate::list::config::Group;

/// The most generations of a group that exist at a time. While there are so many, a further change waits.
pub const MAX_GENERATIONS: usize = 3;

/// How long an edit must have stood before it begins a round, so that two edits in a row begin one.
pub const SETTLING: SignedDuration = SignedDuration::from_secs(1);

/// All that the plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The list as accepted.
    pub list: AcceptedList<'a>,
    /// When the list was last edited.
    pub edited_at: Option<Timestamp>,
    /// The value of the annotation that asks for a refresh.
    pub refresh_request: Option<&'a str>,
    /// The list's DaemonSets.
    pub generations: &'a [Generation],
    /// Who has what.
    pub coverage: &'a Coverage,
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
    /// What to write, in this order: new generations come before old ones go.
    pub actions: Vec<Action>,
    /// What must wait, in words for the user.
    pub waiting: Vec<String>,
    /// When to look again, if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// One write to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make a new generation.
    Create {
        /// It.
        daemon_set: Box<DaemonSet>,
        /// Why.
        cause: Cause,
    },
    /// Put back what somebody else changed.
    Repair {
        /// As it should be.
        daemon_set: Box<DaemonSet>,
    },
    /// Delete a generation that is needed nowhere.
    Delete {
        /// Its name.
        name: String,
        /// Its uid: another DaemonSet of that name is not meant.
        uid: String,
    },
}

/// Why a generation is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The group has none, because it is new or because its own was deleted.
    Missing,
    /// The group's images or nodes were edited.
    Edited,
    /// A refresh was asked for.
    Requested,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it has none yet",
            Self::Edited => "its images or nodes were edited",
            Self::Requested => "a refresh was asked for",
        })
    }
}

/// Decides what to do.
pub fn plan(facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    let mut live: Vec<&Generation> = facts.generations.iter().filter(|generation| !generation.deleting).collect();
    live.sort_by_key(|generation| generation.newest_first());
    for group in &facts.list.config.groups {
        plan_group(facts, group, &live, &mut plan);
    }
    retire(facts, &live, &mut plan);
    plan
}

/// The newest generation of a group, if it is what the group now asks for.
fn current<'a>(facts: &Facts, group: &Group, live: &[&'a Generation]) -> Result<&'a Generation, Cause> {
    let newest = live.iter().find(|generation| generation.group == group.name.as_str()).ok_or(Cause::Missing)?;
    let record = newest.record.as_ref().ok_or(Cause::Edited)?;
    let named = daemon_set::name(facts.list, group, record) == newest.name;
    if record.content != content_hash(group) || !named {
        return Err(Cause::Edited);
    }
    match facts.refresh_request {
        Some(request) if record.refresh_request.as_deref() != Some(request) => Err(Cause::Requested),
        _ => Ok(newest),
    }
}

fn plan_group(facts: &Facts, group: &Group, live: &[&Generation], plan: &mut Plan) {
    match current(facts, group, live) {
        Ok(current) => plan.actions.extend(repair(facts, group, current)),
        Err(cause) => begin_round(facts, group, cause, live, plan),
    }
}

fn begin_round(facts: &Facts, group: &Group, cause: Cause, live: &[&Generation], plan: &mut Plan) {
    let own = live.iter().filter(|generation| generation.group == group.name.as_str()).count();
    let settled_at = facts.edited_at.and_then(|edited| edited.checked_add(SETTLING).ok());
    if let (Cause::Edited, Some(settled_at)) = (cause, settled_at)
        && facts.now < settled_at
    {
        plan.wake_at = plan.wake_at.into_iter().chain([settled_at]).min();
        return;
    }
    if own >= MAX_GENERATIONS {
        plan.waiting
            .push(format!("group {}: {own} generations are still moving, so the newest change waits", group.name));
        return;
    }
    let record = Record {
        content: content_hash(group),
        epoch: whole_seconds(facts.now),
        spread_seconds: facts.list.config.pull_rate.spread_seconds(matching_nodes(facts, group)),
        holder_image: facts.settings.holder_image.clone(),
        format: FORMAT,
        refresh_request: facts.refresh_request.map(str::to_owned),
    };
    let daemon_set = daemon_set::build(facts.list, group, &record, facts.settings);
    if live.iter().any(|generation| Some(&generation.name) == daemon_set.metadata.name.as_ref()) {
        // The same content within the same second: the next second gives it another name.
        plan.wake_at = plan.wake_at.into_iter().chain([facts.now + SETTLING]).min();
        return;
    }
    plan.actions.push(Action::Create { daemon_set: Box::new(daemon_set), cause });
}

fn repair(facts: &Facts, group: &Group, current: &Generation) -> Option<Action> {
    let record = current.record.as_ref().filter(|record| record.format == FORMAT)?;
    let daemon_set = daemon_set::build(facts.list, group, record, facts.settings);
    current.altered.then(|| Action::Repair { daemon_set: Box::new(daemon_set) })
}

fn retire(facts: &Facts, live: &[&Generation], plan: &mut Plan) {
    let current: Vec<&str> = (facts.list.config.groups.iter())
        .filter_map(|group| live.iter().find(|generation| generation.group == group.name.as_str()))
        .map(|generation| generation.name.as_str())
        .collect();
    if live.iter().all(|generation| current.contains(&generation.name.as_str())) {
        return;
    }
    let need = Need::new(facts.list.config, facts.coverage.pods_of(facts.list.label), facts.nodes);
    for (index, generation) in live.iter().enumerate() {
        let retiring = !current.contains(&generation.name.as_str());
        if retiring && need.nodes_that_need(generation, &live[..index]).is_empty() {
            plan.actions.push(Action::Delete { name: generation.name.clone(), uid: generation.uid.clone() });
        }
    }
}

fn matching_nodes(facts: &Facts, group: &Group) -> usize {
    facts.nodes.unwrap_or_default().iter().filter(|node| node.takes(&group.placement)).count()
}

/// The epoch in whole seconds, as holders count them: they know no time before 1970, which a clock without a battery may
/// well show.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second().max(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}
