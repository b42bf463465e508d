//! What is told of a group besides what is done: images that cannot be held, holders that are evicted again and again, pods
//! that are refused, a group that matches no node, and that a rollout is done.
//!
//! ```text
//! pods, nodes, evictions ─► [`observations`] ─► what is wrong now ─┐
//!                    on the newest generation: Told ────────┴─► [`reported`] ─► what is messages ─► told, and noted there
//! ```
//! What has been told is noted on the newest generation's DaemonSet, so a restart tells nothing twice and forgets nothing.

mod observations;
mod reported;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use observations::Observations;
use reported::{Extent, ReportedCondition, change};
use serde::{Deserialize, Serialize};

use super::action::Finding;
use super::capacity::refused_on;
use super::daemon_set;
use super::generation::Generation;
use super::generations::Generations;
use super::rollouts::{Context, Plan};
use crate::coverage::EVICTION_LOOP_WINDOW;
use crate::list::config::Group;
use crate::messages::first_few;

/// Where all of what is told in part stands.
const REST: &str = " (`kubectl prepull status` has all)";

/// What has been told of a group, as it is noted on its newest generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReportedConditions {
    /// That the rollout is done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// When the latest of its pods had been created by then. Any later one is the replacement of another, or a new node's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_pod: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reported: BTreeMap<Condition, ReportedCondition>,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Condition {
    /// Images are not held by the newest generation; by the names of their containers.
    Failing,
    /// Holders are evicted again and again; by node.
    Evicted,
    /// Admission makes every pod pull always.
    AlwaysPullEnforced,
    /// No node matches.
    NoNodes,
    /// Pods are refused.
    Refused,
}

/// What there is to tell of a group, and what is noted then.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionReport {
    /// What is told.
    pub findings: Vec<Finding>,
    /// The name of the DaemonSet that it is noted on.
    pub daemon_set: String,
    /// Its uid.
    pub uid: String,
    /// What has been told then.
    pub reported: ReportedConditions,
}

impl ReportedConditions {
    /// Reads the annotation. One that cannot be read says nothing: then it is told again.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The annotation.
    pub fn to_text(&self) -> String {
        // Texts, numbers and maps with names as keys are always JSON.
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// What the next generation of the group is to know: troubles outlive rollouts.
    pub fn for_the_next(&self) -> Self {
        Self { complete: false, latest_pod: None, ..self.clone() }
    }

    /// The nodes on which holders are evicted again and again, with the time of the last eviction that is known.
    pub fn evicted(&self, now: Timestamp) -> impl Iterator<Item = (&str, Timestamp)> {
        let nodes = self.reported.get(&Condition::Evicted).into_iter().flat_map(|reported| &reported.of);
        nodes.filter_map(move |(node, extent)| {
            let until = extent.until.filter(|until| *until > now)?;
            Some((node.as_str(), until.checked_sub(EVICTION_LOOP_WINDOW).ok()?))
        })
    }
}

/// Looks what there is to tell of a group.
pub fn look(context: &Context, group: &Group, newest: &Generation, generations: &Generations, plan: &mut Plan) {
    let observations = Observations::of(context, group, newest);
    let mut condition_report =
        Turns { context, group, reported: newest.reported.clone(), findings: Vec::new(), wake_at: None };
    condition_report.failing(&observations);
    condition_report.evicted(generations);
    condition_report.always_pulled(newest);
    condition_report.no_nodes();
    condition_report.refused(newest, generations);
    condition_report.done(newest, generations, &observations);
    let Turns { reported, findings, wake_at, .. } = condition_report;
    wake_at.into_iter().for_each(|at| plan.wake_up_at(at));
    if reported != newest.reported {
        plan.condition_reports.push(ConditionReport {
            findings,
            daemon_set: newest.name.clone(),
            uid: newest.uid.clone(),
            reported,
        });
    }
}

/// The kinds of trouble, one after the other.
struct Turns<'f, 'a> {
    context: &'f Context<'a>,
    group: &'f Group,
    reported: ReportedConditions,
    findings: Vec<Finding>,
    wake_at: Option<Timestamp>,
}

impl Turns<'_, '_> {
    /// What has begun and what is over of a kind of trouble.
    fn of(
        &mut self,
        condition: Condition,
        seen: BTreeMap<String, Extent>,
        lasts: impl Fn(&str, &Extent) -> bool,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let start_delay = change(self.reported.reported.get(&condition), seen, lasts, self.context.now);
        self.wake_at = self.wake_at.into_iter().chain(start_delay.wake_at).min();
        match start_delay.reported {
            None => {}
            Some(reported) => drop(self.reported.reported.insert(condition, reported)),
        }
        (start_delay.begun, start_delay.over)
    }

    fn failing(&mut self, observations: &Observations) {
        let group = self.group;
        let listed = |image: &str| group.images.iter().any(|it| it.name.as_str() == image);
        let lasts = |image: &str, extent: &Extent| observations.may_fail_still(image, &extent.some);
        let (begun, over) = self.of(Condition::Failing, observations.failing(), lasts);
        if !begun.is_empty() {
            let sentences = begun.iter().filter_map(|image| observations.sentence(image, reference(group, image)));
            self.findings.push(Finding::Failing(format!(
                "group {}: {} of {} images cannot be held: {}; kubelets try again by themselves, every 5 minutes at least, and \
                 what nodes hold from before stays held",
                group.name,
                begun.len(),
                group.images.len(),
                first_few(sentences, "; ", REST)
            )));
        }
        // One that has left the list is told as an edit.
        let healed: Vec<&str> =
            over.iter().filter(|image| listed(image)).map(|image| reference(group, image)).collect();
        if !healed.is_empty() {
            let names = first_few(&healed, ", ", REST);
            self.findings.push(Finding::Healed(format!(
                "group {}: held again wherever a pod of the newest DaemonSet has come to it: {names}",
                group.name
            )));
        }
    }

    fn evicted(&mut self, generations: &Generations) {
        let generations: BTreeSet<&str> = generations.needed_of(self.group).map(|it| it.name.as_str()).collect();
        let eviction_loops =
            self.context.coverage.eviction_loops(self.context.now).filter(|it| generations.contains(it.generation));
        let extent = |last: Timestamp| Extent {
            nodes: 1,
            until: last.checked_add(EVICTION_LOOP_WINDOW).ok(),
            ..Extent::default()
        };
        let seen =
            eviction_loops.map(|eviction_loop| (eviction_loop.node.to_owned(), extent(eviction_loop.last))).collect();
        let now = self.context.now;
        let lasts = |_: &str, extent: &Extent| extent.until.is_some_and(|until| now < until);
        let (begun, _) = self.of(Condition::Evicted, seen, lasts);
        if !begun.is_empty() {
            self.findings.push(Finding::Evicted(format!(
                "group {}: on {} ({}) the holder was evicted again and again within an hour for want of disk, and each time its \
                 images are pulled anew; give them more disk, shorten the list, or keep the group off them by its nodeSelector",
                self.group.name,
                nodes(begun.len()),
                first_few(&begun, ", ", REST)
            )));
        }
    }

    fn always_pulled(&mut self, newest: &Generation) {
        let mut pods = self.context.coverage.pods_of(self.context.list.label);
        let overridden = pods.any(|pod| *pod.generation == *newest.name && newest.is_overridden_in(pod));
        let seen = if overridden { [(String::new(), Extent::default())].into() } else { BTreeMap::new() };
        let (begun, _) = self.of(Condition::AlwaysPullEnforced, seen, |_, _| false);
        if !begun.is_empty() {
            self.findings.push(Finding::AlwaysPullEnforced(format!(
                "group {}: admission makes every pod pull always, as the plugin AlwaysPullImages does, so a pod that is replaced or \
                 restarted while the registry is away holds nothing, though the images are on its node's disk; exempt this \
                 namespace if a policy does it",
                self.group.name
            )));
        }
    }

    fn no_nodes(&mut self) {
        let (context, group) = (self.context, self.group);
        let any = context.nodes.is_none_or(|nodes| nodes.iter().any(|node| node.takes(&group.placement)));
        let seen = if any { BTreeMap::new() } else { [(String::new(), Extent::default())].into() };
        let (begun, _) = self.of(Condition::NoNodes, seen, |_, _| false);
        if !begun.is_empty() {
            self.findings.push(Finding::NoNodes(format!(
                "group {}: no node matches, so its images are held nowhere: nodes have to be Linux, have the labels of its \
                 nodeSelector and affinity and one of its architectures, and every taint of theirs has to be tolerated; as soon as \
                 one matches it is warmed",
                group.name
            )));
        }
    }

    fn refused(&mut self, newest: &Generation, generations: &Generations) {
        let (context, group) = (self.context, self.group);
        let refused = refused_on(newest, group, context, generations);
        self.wake_at = self.wake_at.into_iter().chain(refused.wake_at).min();
        let extent = Extent { nodes: refused.nodes.len(), ..Extent::default() };
        let seen = if refused.nodes.is_empty() { BTreeMap::new() } else { [(String::new(), extent)].into() };
        let (begun, _) = self.of(Condition::Refused, seen, |_, _| false);
        if !begun.is_empty() {
            let note = format!(
                "group {}: the DaemonSet {} gets no pod on {} that it belongs on ({}); nothing is taken away meanwhile",
                group.name,
                newest.name,
                nodes(refused.nodes.len()),
                first_few(&refused.nodes, ", ", REST)
            );
            let pod =
                newest.record.as_ref().map(|record| daemon_set::pod(context.list, group, record, context.settings));
            self.findings.push(Finding::Refused {
                note,
                daemon_set: newest.name.clone(),
                pod: pod.map(Box::<Pod>::new),
            });
        }
    }

    fn done(&mut self, newest: &Generation, generations: &Generations, observations: &Observations) {
        let Some(record) = newest.record.as_ref().filter(|_| !self.reported.complete) else { return };
        let alone = generations.needed_of(self.group).all(|generation| generation.name == newest.name);
        if !alone || !observations.all_settled(record) {
            let later = observations.pods_have_come_at(record).filter(|at| self.context.now < *at);
            self.wake_at = self.wake_at.into_iter().chain(later).min();
            return;
        }
        self.reported.complete = true;
        self.reported.latest_pod = observations.latest_pod();
        let took = self.context.now.duration_since(record.epoch).max(SignedDuration::ZERO);
        let took = SignedDuration::from_secs(took.as_secs());
        let (all, with_all) = (observations.nodes(), observations.nodes_with_all());
        let held_on = match all == with_all {
            true => nodes(all),
            false => format!("{with_all} of {}; kube-prepull status says why not on the others", nodes(all)),
        };
        let images = self.group.images.len();
        self.findings.push(Finding::Done {
            note: format!(
                "group {}: the rollout of the DaemonSet {} is done after {took:#}: {} held on {held_on}",
                self.group.name,
                newest.name,
                if images == 1 { "1 image is".to_owned() } else { format!("{images} images are") },
            ),
            daemon_set: newest.name.clone(),
        });
    }
}

fn reference<'g>(group: &'g Group, image: &str) -> &'g str {
    let listed = group.images.iter().find(|it| it.name.as_str() == image);
    listed.map_or("", |it| it.reference.as_str())
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}
