//! Checks each condition of a group, and determines what to report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::failures::MAX_SAMPLE;
use super::observations::Observations;
use super::settled::Settled;
use super::shards::OtherShards;
use super::transition::transition;
use crate::coverage::{EVICTION_LOOP_WINDOW, Node};
use crate::list::config::Group;
use crate::plan::context::Context;
use crate::plan::daemon_set;
use crate::plan::decision::{ConditionReport, Finding, Plan};
use crate::plan::generation::conditions::{Condition, Extent, ReportedConditions};
use crate::plan::generation::exclusion::Exclusion;
use crate::plan::generation::{Generation, Record};
use crate::plan::generations::Generations;
use crate::plan::refusals::{RefusedOn, refused_on};

/// Plans what to report about a group.
pub fn plan<'a>(context: &Context<'a>, group: &Group, newest: &Generation, generations: &Generations, plan: &mut Plan) {
    let exclusion = Exclusion::of(newest, group, context.pods_of(newest));
    let observations = Observations::of(context, group, newest, &exclusion);
    let others = OtherShards::of(context, group, generations, plan);
    let reported = newest.reported.clone();
    let mut check = Check { context, group, others, reported, findings: Vec::new(), wake_at: None };
    check.init_failing(newest, &observations);
    check.failing(&observations);
    check.evicted(generations);
    check.always_pulled(newest);
    check.no_nodes();
    check.without_user_namespaces();
    check.excluded(newest, &exclusion);
    check.refused(newest, generations, &exclusion);
    check.complete(newest, generations, &observations);
    let Check { reported, findings, wake_at, .. } = check;
    wake_at.into_iter().for_each(|at| plan.wake_up_at(at));
    if reported != newest.reported || !findings.is_empty() {
        plan.condition_reports.push(ConditionReport {
            findings,
            daemon_set: newest.name.clone(),
            uid: newest.uid.clone(),
            reported,
        });
    }
}

/// The checks of a group's conditions.
struct Check<'f, 'a> {
    context: &'f Context<'a>,
    group: &'f Group,
    others: OtherShards<'f>,
    reported: ReportedConditions,
    findings: Vec<Finding>,
    wake_at: Option<Timestamp>,
}

impl<'a> Check<'_, 'a> {
    /// Compares a condition with what was reported. Returns what it has begun and ended for.
    fn of(
        &mut self,
        condition: Condition,
        seen: BTreeMap<String, Extent>,
        lasts: impl Fn(&str, &Extent) -> bool,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let transition = transition(self.reported.conditions.get(&condition), seen, lasts, self.context.now);
        self.wake_at = self.wake_at.into_iter().chain(transition.wake_at).min();
        let says_nothing = transition.begun.is_empty() && transition.over.is_empty();
        let paused_until = self.others.paused_until(condition, self.context.now).filter(|_| !says_nothing);
        if paused_until.is_some() {
            self.wake_at = self.wake_at.into_iter().chain(paused_until).min();
            return Default::default();
        }
        match transition.reported {
            None => {}
            Some(reported) => drop(self.reported.conditions.insert(condition, reported)),
        }
        (transition.begun, transition.over)
    }

    /// Leaves out what was reported of another shard and would be the same for this one. Once it is over there and not here, it is reported.
    fn unreported(&self, condition: Condition, mut seen: BTreeMap<String, Extent>) -> BTreeMap<String, Extent> {
        let own = self.reported.conditions.get(&condition);
        let is_own = |of: &str| own.is_some_and(|own| own.extents.contains_key(of));
        seen.retain(|of, extent| is_own(of) || !self.others.have_reported(condition, of, extent));
        seen
    }

    fn init_failing(&mut self, newest: &Generation, observations: &Observations) {
        let lasts = |_: &str, extent: &Extent| observations.init_may_still_fail(&extent.sample);
        let stored = self.reported.clone();
        let seen = observations.init_failing(stored.conditions.get(&Condition::InitFailing));
        let extents = seen.clone();
        let (mut begun, mut over) = self.of(Condition::InitFailing, seen, lasts);
        // All shards have the same init containers.
        begun.retain(|it| !extents.get(it).is_some_and(|of| self.others.have_reported(Condition::InitFailing, it, of)));
        over.retain(|container| !self.others.still_have(Condition::InitFailing, container));
        let (group, daemon_set) = (self.group.name.to_string(), newest.name.clone());
        let failing = |container: &String| observations.failing_init(container, stored.init_cause_of(container));
        let containers: Vec<_> = begun.iter().filter_map(failing).collect();
        if !containers.is_empty() {
            let (group, daemon_set) = (group.clone(), daemon_set.clone());
            self.findings.push(Finding::InitContainersFailing { group, daemon_set, containers });
        }
        if !over.is_empty() {
            let containers = over.into_iter().collect();
            self.findings.push(Finding::InitContainersRecovered { group, daemon_set, containers });
        }
    }

    fn failing(&mut self, observations: &Observations) {
        let group = self.group;
        let lasts = |image: &str, extent: &Extent| observations.may_still_fail(image, &extent.sample);
        let stored = self.reported.clone();
        let seen = observations.failing(stored.conditions.get(&Condition::Failing));
        self.wake_at = self.wake_at.into_iter().chain(observations.failures_count_at).min();
        let (begun, over) = self.of(Condition::Failing, seen, lasts);
        if !begun.is_empty() {
            let images = begun
                .iter()
                .filter_map(|image| observations.failing_image(image, reference(group, image), stored.cause_of(image)));
            self.findings.push(Finding::ImagesFailing {
                group: group.name.to_string(),
                images: images.collect(),
                count: begun.len(),
                of: group.images.len(),
            });
        }
        // An image that was removed from the list is reported as part of the edit.
        let listed = |image: &&String| group.images.iter().any(|it| it.name.as_str() == image.as_str());
        let references: Vec<String> = over.iter().filter(listed).map(|image| reference(group, image)).collect();
        if !references.is_empty() {
            self.findings.push(Finding::ImagesRecovered { group: group.name.to_string(), references });
        }
    }

    fn evicted(&mut self, generations: &Generations) {
        let (group, now) = (self.group, self.context.now);
        let needed: BTreeSet<&str> = generations.needed_of(group).map(|it| it.name.as_str()).collect();
        let loops = self.context.coverage.eviction_loops(now).filter(|it| needed.contains(it.generation));
        let extent = |last: Timestamp| Extent {
            nodes: 1,
            until: last.checked_add(EVICTION_LOOP_WINDOW).ok(),
            ..Extent::default()
        };
        let seen = loops.map(|it| (it.node.to_owned(), extent(it.last))).collect();
        let lasts = |_: &str, extent: &Extent| extent.until.is_some_and(|until| now < until);
        let (nodes, _) = self.of(Condition::EvictionLoop, seen, lasts);
        if !nodes.is_empty() {
            self.findings.push(Finding::EvictionLoop { group: group.name.to_string(), nodes });
        }
    }

    fn always_pulled(&mut self, newest: &Generation) {
        let overridden = newest.is_overridden_in_any(self.context.pods_of(newest));
        if self.has_begun(Condition::AlwaysPullEnforced, overridden.then(Extent::default)) {
            self.findings.push(Finding::AlwaysPullEnforced { group: self.group.name.to_string() });
        }
    }

    fn no_nodes(&mut self) {
        let placement = &self.group.placement;
        let any = self.context.nodes.is_none_or(|nodes| nodes.iter().any(|node| node.takes(placement)));
        if self.has_begun(Condition::NoNodes, (!any).then(Extent::default)) {
            self.findings.push(Finding::NoNodes { group: self.group.name.to_string() });
        }
    }

    /// Their kubelets refuse to start the pods, and say so in Events of the pods only.
    fn without_user_namespaces(&mut self) {
        let group = self.group;
        let is_asked = |node: &&Arc<Node>| !group.host_users && node.takes(&group.placement);
        let lacking =
            self.context.nodes.into_iter().flatten().filter(is_asked).filter(|it| it.lacks_user_namespaces(group));
        let nodes: BTreeSet<String> = lacking.map(|node| node.name.clone()).collect();
        let extent = Extent { nodes: nodes.len(), ..Extent::default() };
        if self.has_begun(Condition::UserNamespacesMissing, (!nodes.is_empty()).then_some(extent)) {
            self.findings.push(Finding::UserNamespacesMissing { group: group.name.to_string(), nodes });
        }
    }

    fn excluded(&mut self, newest: &Generation, exclusion: &Exclusion<'a>) {
        let (context, placement) = (self.context, &self.group.placement);
        let excluded: Vec<(&str, &str)> = match context.nodes {
            Some(_) if !exclusion.is_possible() => Vec::new(),
            Some(nodes) => {
                let selected = nodes.iter().filter(|node| node.takes(placement));
                selected.filter_map(|node| Some((exclusion.on(node)?, node.name.as_str()))).collect()
            }
            None => {
                let own = context.pods_of(newest);
                own.filter_map(|pod| Some((exclusion.of_pod(pod)?, pod.target.as_deref()?))).collect()
            }
        };
        let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (label, node) in excluded {
            nodes.entry(label.to_owned()).or_default().insert(node.to_owned());
        }
        let extent = |nodes: &BTreeSet<String>| Extent { nodes: nodes.len(), ..Extent::default() };
        let seen = nodes.iter().map(|(label, nodes)| (label.clone(), extent(nodes))).collect();
        let seen = self.unreported(Condition::NodesExcluded, seen);
        // Until a new pod shows that admission adds it no more, or the nodes have the label.
        let (begun, _) = self.of(Condition::NodesExcluded, seen, |_, _| !exclusion.is_known());
        nodes.retain(|label, _| begun.contains(label));
        if !nodes.is_empty() {
            self.findings.push(Finding::NodesExcluded {
                namespace: context.list.namespace.to_owned(),
                group: self.group.name.to_string(),
                daemon_set: newest.name.clone(),
                nodes,
            });
        }
    }

    fn refused(&mut self, newest: &Generation, generations: &Generations, exclusion: &Exclusion) {
        let (context, group) = (self.context, self.group);
        let RefusedOn { nodes, certain, wake_at } = refused_on(newest, group, context, generations, exclusion);
        self.wake_at = self.wake_at.into_iter().chain(wake_at).min();
        let sample = nodes.iter().take(MAX_SAMPLE).map(|node| (*node).to_owned()).collect();
        let extent = Extent { nodes: nodes.len(), sample, ..Extent::default() };
        if self.has_begun(Condition::PodsRefused, (!nodes.is_empty()).then_some(extent)) {
            let pod =
                newest.record.as_ref().map(|record| daemon_set::pod(context.list, group, record, context.settings));
            let without_pod = |known: &'a [Arc<Node>]| {
                let without_pod = known.iter().filter(|node| nodes.contains(node.name.as_str()));
                without_pod.map(|node| node.labels.clone()).collect()
            };
            self.findings.push(Finding::PodsRefused {
                group: group.name.to_string(),
                daemon_set: newest.name.clone(),
                labels: context.nodes.map(without_pod),
                nodes: nodes.into_iter().map(str::to_owned).collect(),
                pod: pod.map(Box::<Pod>::new),
                certain,
            });
        }
    }

    /// Whether a condition of the whole group has begun, or now affects at least twice as many nodes.
    fn has_begun(&mut self, condition: Condition, seen: Option<Extent>) -> bool {
        let seen = self.unreported(condition, seen.into_iter().map(|extent| (String::new(), extent)).collect());
        let (begun, _) = self.of(condition, seen, |_, _| false);
        !begun.is_empty()
    }

    /// Reports the end of a rollout: as complete only if all nodes hold all images, now or later.
    fn complete(&mut self, newest: &Generation, generations: &Generations, observations: &Observations) {
        let Some(record) = &newest.record else { return };
        if self.reported.complete && !self.reported.stalled {
            let awaits_shards = self.reported.awaits_shards;
            let awaited = awaits_shards.then(|| self.completed(newest, record, observations.nodes_with_all()));
            return self.findings.extend(awaited);
        }
        let alone = generations.needed_of(self.group).all(|generation| generation.name == newest.name);
        let settled = match alone {
            true => observations.settled(record),
            false => Settled::No(observations.pods_expected_at(record)),
        };
        if let Settled::No(later) = settled {
            let later = later.filter(|at| self.context.now < *at);
            self.wake_at = self.wake_at.into_iter().chain(later).min();
            return;
        }
        let (nodes, nodes_with_all) = (observations.nodes(), observations.nodes_with_all());
        let has_all = settled == Settled::All && nodes == nodes_with_all;
        // Failures are reported first, and once.
        if !has_all && self.has_unreported_failures(observations) {
            return;
        }
        // What pods that could not try may find on their nodes is not known.
        if settled == Settled::All && !self.reported.complete {
            self.reported.complete = true;
            self.reported.latest_pod = observations.latest_pod();
        }
        if !has_all && self.reported.stalled {
            return;
        }
        self.reported.stalled = !has_all;
        self.findings.push(match has_all {
            true => self.completed(newest, record, nodes),
            false => Finding::RolloutStalled {
                group: self.group.name.to_string(),
                daemon_set: newest.name.clone(),
                took: self.since(record),
                images: self.group.images.len(),
                nodes,
                nodes_with_all,
            },
        });
    }

    fn completed(&self, newest: &Generation, record: &Record, nodes: usize) -> Finding {
        Finding::RolloutComplete {
            group: self.group.name.to_string(),
            daemon_set: newest.name.clone(),
            took: self.since(record),
            images: self.group.images.len(),
            nodes,
        }
    }

    fn since(&self, record: &Record) -> SignedDuration {
        let took = self.context.now.duration_since(record.epoch).max(SignedDuration::ZERO);
        SignedDuration::from_secs(took.as_secs())
    }

    fn has_unreported_failures(&self, observations: &Observations) -> bool {
        let reported = |condition| self.reported.conditions.get(&condition);
        let failing = observations.failing(reported(Condition::Failing));
        let init_failing = observations.init_failing(reported(Condition::InitFailing));
        let is_unreported = |condition| reported(condition).is_none_or(|reported| reported.extents.is_empty());
        !failing.is_empty() && is_unreported(Condition::Failing)
            || !init_failing.is_empty() && is_unreported(Condition::InitFailing)
    }
}

fn reference(group: &Group, image: &str) -> String {
    let listed = group.images.iter().find(|it| it.name.as_str() == image);
    listed.map_or("", |it| it.reference.as_str()).to_owned()
}
