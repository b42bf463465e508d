//! Nodes that lack a pod of a DaemonSet because something refuses it: an admission webhook, a policy or a quota.
//!
//! As long as pods keep coming, the DaemonSet controller is only slow ([`super::generation::pod_creation`]). It may also pause for some
//! minutes; then a dry run of such a pod succeeds, and that nothing comes is reported only once it has lasted for long. Nodes that
//! admission excludes by a node selector get no pod, or one that fits nowhere; they are reported as such.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use super::decision::{ConditionReport, Finding, Plan};
use super::generation::Generation;
use super::generation::conditions::{Condition, ReportedConditions};
use super::generation::exclusion::Exclusion;
use super::generations::Generations;
use crate::coverage::Node;
use crate::list::config::Group;

/// How much longer than usual a DaemonSet controller may take that is merely slow.
const LONGEST_LAG: SignedDuration = SignedDuration::from_mins(8);

/// The pause after a dry run that succeeded.
pub const CHECK_AGAIN: SignedDuration = SignedDuration::from_mins(2);

/// Nodes without a pod of a DaemonSet although nothing is known to prevent it.
#[derive(Debug, Default)]
pub struct RefusedOn<'a> {
    /// The nodes; empty while it is too early to tell.
    pub nodes: BTreeSet<&'a str>,
    /// Whether none has come for so long that no slowness explains it.
    pub certain: bool,
    /// When to check again.
    pub wake_at: Option<Timestamp>,
}

/// Finds the nodes without a pod of a group's newest generation.
pub fn refused_on<'a>(
    newest: &Generation,
    group: &Group,
    context: &Context<'a>,
    generations: &Generations<'a>,
    exclusion: &Exclusion,
) -> RefusedOn<'a> {
    // A DaemonSet that another client changed may not select any of the nodes.
    if newest.altered.is_some() {
        return RefusedOn::default();
    }
    let pods = || context.pods_of(newest);
    let there: HashSet<&str> = pods().filter_map(|pod| pod.target.as_deref()).collect();
    let takes =
        |node: &Node| node.ready && !node.deleting && node.takes(&group.placement) && exclusion.on(node).is_none();
    let needed = generations.retiring.iter().flat_map(|it| it.needed.nodes.keys().copied());
    let expected: Vec<&str> = match context.nodes {
        // A node that has just joined has no pod yet. If it has a pod of an older generation, it has not just joined.
        Some(nodes) => {
            let needed: HashSet<&str> = needed.collect();
            let old = |node: &&Arc<Node>| there.is_empty() || needed.contains(node.name.as_str());
            let lacks_pod = |node: &&Arc<Node>| !there.contains(node.name.as_str());
            nodes
                .iter()
                .filter(lacks_pod)
                .filter(old)
                .filter(|node| takes(node))
                .map(|node| node.name.as_str())
                .collect()
        }
        // A taint may keep pods off some nodes, but hardly off all.
        None if there.is_empty() => needed.collect(),
        None => Vec::new(),
    };
    let nodes: BTreeSet<&str> = expected.into_iter().filter(|node| !there.contains(node)).collect();
    let youngest = pods().filter_map(|pod| pod.created).max();
    match newest.pods_due_at(youngest, context.now).filter(|_| !nodes.is_empty()) {
        Some(at) if at <= context.now => {
            let certain = at.checked_add(LONGEST_LAG).is_ok_and(|at| at <= context.now);
            RefusedOn { nodes, certain, wake_at: None }
        }
        wake_at => RefusedOn { wake_at, ..RefusedOn::default() },
    }
}

impl Plan {
    /// Leaves out refusals that are not certain, of DaemonSets whose pods the API server would have accepted a moment ago. `checked_at`
    /// says when a dry run succeeded.
    pub fn without_refuted_refusals(
        mut self,
        generations: &[Generation],
        checked_at: impl Fn(&str) -> Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let mut reports = std::mem::take(&mut self.condition_reports);
        reports.retain_mut(|report| {
            let again = checked_at(&report.daemon_set).and_then(|at| at.checked_add(CHECK_AGAIN).ok());
            let Some(again) = again.filter(|again| now < *again) else { return true };
            let before = generations.iter().find(|it| it.name == report.daemon_set).map(|it| &it.reported);
            if !report.leave_out_refusal(before) {
                return true;
            }
            self.wake_up_at(again);
            before.is_none_or(|before| report.reported != *before)
        });
        self.condition_reports = reports;
        self
    }
}

impl ConditionReport {
    /// Leaves out a refusal that is not certain. `before` is what had been reported. Returns whether there was one.
    pub fn leave_out_refusal(&mut self, before: Option<&ReportedConditions>) -> bool {
        let findings = self.findings.len();
        self.findings.retain(|finding| !matches!(finding, Finding::PodsRefused { certain: false, .. }));
        if self.findings.len() == findings {
            return false;
        }
        match before.and_then(|before| before.conditions.get(&Condition::PodsRefused)) {
            Some(reported) => drop(self.reported.conditions.insert(Condition::PodsRefused, reported.clone())),
            None => drop(self.reported.conditions.remove(&Condition::PodsRefused)),
        }
        true
    }
}
