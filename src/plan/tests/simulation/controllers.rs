//! The controllers of the simulated cluster: DaemonSet controller, garbage collector and scheduler.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Simulation;
use super::daemon_sets::{name, placement};
use super::pods::{Checking, Pod};
use crate::coverage::Node;

impl Simulation {
    pub(super) fn start_check(&mut self, daemon_set: &DaemonSet) {
        let taken = self.tag_checks.iter().map(|it| &it.daemon_set).chain(&self.daemon_sets).map(name);
        assert!(taken.into_iter().all(|taken| taken != name(daemon_set)), "the name is taken");
        let placement = placement(daemon_set);
        let nodes: Vec<&Node> = self.nodes.iter().filter(|node| node.takes(&placement)).collect();
        let node = match nodes[..] {
            [node] => node.name.clone(),
            // Without the right to read nodes, the controller does not know about taints.
            [] if !self.may_read_nodes => String::new(),
            _ => panic!("it is for {} nodes", nodes.len()),
        };
        let available = nodes.iter().all(|node| node.is_available());
        assert!(available || !self.may_read_nodes, "{node} cannot take it");
        let created = self.now + self.server_ahead;
        self.tag_checks_made += 1;
        let check =
            Checking { uid: self.uid(), daemon_set: daemon_set.clone(), created, node, deleting: false, pod: None };
        self.tag_checks.push(check);
        self.run_checks();
    }

    /// The DaemonSet controller and the garbage collector for tag checks. A deleted DaemonSet disappears after its pod,
    /// which stays as long as its node is lost.
    pub(super) fn run_checks(&mut self) {
        let Self { tag_checks, nodes, pods_refused, .. } = self;
        for check in tag_checks.iter_mut() {
            match nodes.iter().find(|node| node.name == check.node) {
                None => check.pod = None,
                Some(node) if check.deleting && node.ready => check.pod = None,
                Some(_) if check.deleting => {}
                Some(node) if check.pod.is_none() && !*pods_refused && node.takes(&placement(&check.daemon_set)) => {
                    check.pod = Some(check.containers());
                }
                Some(_) => {}
            }
        }
        tag_checks.retain(|check| !check.deleting || check.pod.is_some());
    }

    pub(super) fn store(&mut self, daemon_set: &DaemonSet) {
        assert!(self.daemon_sets.iter().all(|it| it.metadata.name != daemon_set.metadata.name), "the name is taken");
        let mut stored = daemon_set.clone();
        stored.metadata.uid = Some(self.uid().to_string());
        stored.metadata.generation = Some(1);
        stored.metadata.creation_timestamp = Some(Time(self.now + self.server_ahead));
        self.daemon_sets.push(stored);
        self.created += 1;
    }

    /// The DaemonSet controller and the garbage collector. A deleted pod on a node that is not ready stays until the
    /// node is back.
    pub fn place_pods(&mut self) {
        let Self { daemon_sets, nodes, pods, .. } = self;
        pods.retain_mut(|pod| {
            let daemon_set = daemon_sets.iter().find(|it| name(it) == pod.daemon_set);
            let Some(node) = nodes.iter().find(|node| node.name == pod.node) else { return false };
            pod.deleting |= !daemon_set.is_some_and(|daemon_set| stays_on(daemon_set, node));
            !(pod.deleting && node.ready)
        });
        let mut left = if self.pods_refused { 0 } else { self.pods_at_once };
        for daemon_set in &self.daemon_sets.clone() {
            for node in &self.nodes.clone() {
                let there = self.pods.iter().any(|pod| pod.daemon_set == name(daemon_set) && pod.node == node.name);
                if !there && left > 0 && node.takes(&placement(daemon_set)) && self.is_known_to_fit(node) {
                    left -= 1;
                    let (uid, created) = (self.uid(), self.now + self.server_ahead);
                    let (mirrored, always_pulls) = (self.mirrored, self.always_pulls);
                    let mut pod = Pod { mirrored, always_pulls, ..Pod::waiting(daemon_set, &node.name, uid, created) };
                    pod.node_selector.extend(self.namespace_selector.clone());
                    self.pods.push(pod);
                }
            }
        }
        self.run_checks();
        self.count();
        self.schedule();
    }

    /// Kubernetes' DaemonSet controller does not know what admission adds to pods.
    fn is_known_to_fit(&self, node: &Node) -> bool {
        !self.controller_knows_selector || matches(&self.namespace_selector, node)
    }

    /// The DaemonSet controller updates the status of the DaemonSets that it processes, which it does whenever their
    /// pods change.
    fn count(&mut self) {
        let nodes: Vec<Node> = self.nodes.iter().filter(|node| self.is_known_to_fit(node)).cloned().collect();
        let Self { daemon_sets, pods, counted, .. } = self;
        for daemon_set in daemon_sets {
            let own = pods.iter().filter(|pod| pod.daemon_set == name(daemon_set));
            let own = own.map(|pod| (pod.uid, pod.deleting)).collect();
            let before = counted.insert(name(daemon_set), own);
            if before.as_ref() != counted.get(&name(daemon_set)) || is_processed(daemon_set, &nodes, pods) {
                daemon_set.status = Some(status(daemon_set, &nodes, pods));
            }
        }
    }

    /// The scheduler.
    fn schedule(&mut self) {
        for node in &self.nodes {
            let capacity = self.capacity.get(&node.name).copied().unwrap_or(usize::MAX);
            let cpu = self.cpu.get(&node.name).copied().unwrap_or(usize::MAX);
            let (bound, waiting): (Vec<_>, Vec<_>) =
                self.pods.iter_mut().filter(|pod| pod.node == node.name).partition(|pod| pod.bound);
            let (fitting, excluded): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|pod| matches(&pod.node_selector, node));
            excluded.into_iter().for_each(|pod| pod.is_excluded = true);
            let mut slots = capacity.saturating_sub(bound.len());
            let mut cpu = cpu.saturating_sub(bound.iter().map(|pod| pod.containers.len()).sum());
            for pod in fitting {
                pod.lacks_cpu = slots > 0 && pod.containers.len() > cpu;
                pod.bound = slots > 0 && !pod.lacks_cpu;
                if pod.bound {
                    (slots, cpu) = (slots - 1, cpu - pod.containers.len());
                }
            }
        }
    }
}

/// Whether the node has these labels.
fn matches(selector: &BTreeMap<String, String>, node: &Node) -> bool {
    selector.iter().all(|(key, value)| node.labels.get(key) == Some(value.as_str()))
}

/// Whether the DaemonSet controller processes the DaemonSet because of its nodes: `syncNodeUpdate` in
/// `k8s.io/kubernetes/pkg/controller/daemon/daemon_controller.go`. A taint that lets existing pods stay is not enough.
fn is_processed(daemon_set: &DaemonSet, nodes: &[Node], pods: &[Pod]) -> bool {
    let Some(status) = &daemon_set.status else { return true };
    let name = name(daemon_set);
    // If it could not create all pods, it retries (`processNextWorkItem` in the DaemonSet controller).
    let failed = status.current_number_scheduled < status.desired_number_scheduled;
    failed
        || status.observed_generation != daemon_set.metadata.generation
        || nodes.iter().any(|node| match pods.iter().any(|pod| pod.daemon_set == name && pod.node == node.name) {
            true => !stays_on(daemon_set, node) || status.number_misscheduled > 0,
            false => node.takes(&placement(daemon_set)),
        })
}

/// The status that the DaemonSet controller writes.
fn status(daemon_set: &DaemonSet, nodes: &[Node], pods: &[Pod]) -> DaemonSetStatus {
    let name = name(daemon_set);
    let has_pod = |node: &&Node| pods.iter().any(|pod| pod.daemon_set == name && pod.node == node.name);
    let placement = placement(daemon_set);
    let (desired, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.takes(&placement));
    let count = |nodes: usize| nodes.try_into().expect("few nodes");
    DaemonSetStatus {
        observed_generation: daemon_set.metadata.generation,
        desired_number_scheduled: count(desired.len()),
        current_number_scheduled: count(desired.into_iter().filter(has_pod).count()),
        number_misscheduled: count(others.into_iter().filter(has_pod).count()),
        ..DaemonSetStatus::default()
    }
}

/// Whether a pod may stay on the node. A taint with the effect `NoSchedule` only keeps new pods off.
fn stays_on(daemon_set: &DaemonSet, node: &Node) -> bool {
    let mut node = node.clone();
    node.taints.retain(|taint| taint.effect == "NoExecute");
    node.takes(&placement(daemon_set))
}
