//! Nodes that a group selects and that its pods cannot run on, because admission adds a node selector to the pods.
//!
//! The plugin PodNodeSelector (`k8s.io/kubernetes/plugin/pkg/admission/podnodeselector`) and OpenShift add the default node
//! selector of the namespace to every pod. Kubernetes' DaemonSet controller does not know it: it creates pods that fit nowhere.
//! OpenShift's does, and creates none, so the selector shows on the pods of other nodes only.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Generation, placement_hash};
use crate::coverage::scheduler::is_excluded;
use crate::coverage::{CoveringPod, Node, PodState};
use crate::list::config::{Group, Placement};

/// The node selectors of a generation's pods, as far as admission added to them.
#[derive(Debug, Default)]
pub struct Exclusion<'a> {
    /// Whether there is a pod that shows what admission adds.
    known: bool,
    /// The group's own node selector.
    own: BTreeMap<String, String>,
    /// The nodes that a pod was scheduled to.
    scheduled: HashSet<&'a str>,
    /// The node selectors of pods that are not scheduled, by node.
    waiting: HashMap<&'a str, &'a str>,
    /// The node selector of the youngest pod, which a new pod would have too.
    youngest: &'a str,
}

impl<'a> Exclusion<'a> {
    /// Reads the `pods` of a group's newest generation. If that was built for another placement, it says nothing about admission.
    pub fn of(newest: &Generation, group: &Group, pods: impl Iterator<Item = &'a CoveringPod>) -> Self {
        let own = &group.placement.node_selector;
        let pods: Vec<&CoveringPod> = pods.filter(|pod| !pod.deleting).collect();
        // Nearly all pods have the same one.
        let selectors: HashSet<&str> = pods.iter().map(|pod| &*pod.node_selector).collect();
        let is_added = selectors.into_iter().any(|selector| added(selector, own).next().is_some());
        let known = !pods.is_empty() && is_built_for(newest, &group.placement);
        if !is_added || !known {
            return Self { known, ..Self::default() };
        }
        let youngest = pods.iter().max_by_key(|pod| (pod.created, &pod.uid));
        let (scheduled, waiting): (Vec<&CoveringPod>, Vec<&CoveringPod>) =
            pods.iter().partition(|pod| pod.node.is_some());
        Self {
            known,
            own: own.clone(),
            scheduled: scheduled.into_iter().filter_map(|pod| pod.target.as_deref()).collect(),
            waiting: waiting
                .into_iter()
                .filter_map(|pod| Some((pod.target.as_deref()?, &*pod.node_selector)))
                .collect(),
            youngest: youngest.map_or("", |pod| &*pod.node_selector),
        }
    }

    /// Whether admission adds anything that may exclude a node.
    pub fn is_possible(&self) -> bool {
        !self.youngest.is_empty() || !self.waiting.is_empty()
    }

    /// Whether there is a pod that shows what admission adds now.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The label that the generation's pod for this node, or a new one, would need there: `key=value`. `None` if admission
    /// does not exclude it.
    pub fn on(&self, node: &Node) -> Option<&'a str> {
        let name = node.name.as_str();
        if !self.is_possible() || self.scheduled.contains(name) {
            return None;
        }
        let selector = self.waiting.get(name).copied().unwrap_or(self.youngest);
        let lacks = |(key, value): (&str, &str)| node.labels.get(key).is_none_or(|label| label != value);
        added(selector, &self.own).find(|entry| entry.split_once('=').is_some_and(lacks))
    }

    /// The same for a pod whose node cannot be read. Its DaemonSet selects the node, so only what was added can exclude it.
    pub fn of_pod(&self, pod: &'a CoveringPod) -> Option<&'a str> {
        let excluded = matches!(&pod.state, PodState::Unschedulable { message } if is_excluded(message));
        let waits = pod.target.as_deref().is_some_and(|node| self.waiting.contains_key(node));
        added(&pod.node_selector, &self.own).next().filter(|_| excluded && waits)
    }
}

/// The entries of a pod's node selector that are not the group's own.
fn added<'s>(selector: &'s str, own: &BTreeMap<String, String>) -> impl Iterator<Item = &'s str> {
    selector.split(',').filter(|entry| {
        entry.split_once('=').is_some_and(|(key, value)| own.get(key).is_none_or(|wanted| wanted != value))
    })
}

fn is_built_for(generation: &Generation, placement: &Placement) -> bool {
    generation.placement.as_ref().is_some_and(|hash| *hash == placement_hash(placement))
}
