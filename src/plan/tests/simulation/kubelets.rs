//! The kubelets of the simulated cluster.

use std::collections::BTreeSet;

use super::Simulation;
use super::pods::{Container, Registry, State};

impl Simulation {
    /// Every kubelet that is ready tries one more image of each pod, and retries those that failed.
    pub fn pull(&mut self) {
        let ready: BTreeSet<&str> = self.nodes.iter().filter(|it| it.ready).map(|it| it.name.as_str()).collect();
        let mut registry = Registry {
            unavailable: &self.unavailable,
            tags: &self.tags,
            tags_on: &self.tags_on,
            disks: &mut self.disks,
            asked: &mut self.asked,
        };
        let unservable = &self.without_own_image;
        for pod in self.pods.iter_mut().filter(|it| it.bound && ready.contains(it.node.as_str())) {
            let has_not_begun = pod.containers.iter().all(|it| it.state == State::Waiting);
            pod.init_fails = has_not_begun && unservable.contains(&(pod.own_image.clone(), pod.node.clone()));
            if pod.init_fails {
                continue;
            }
            let next = pod.containers.iter().position(|it| it.state == State::Waiting);
            for (index, container) in pod.containers.iter_mut().enumerate() {
                if matches!(container.state, State::HeldBack | State::Failed | State::Exited) || Some(index) == next {
                    container.start(&pod.node, &mut registry, pod.always_pulls);
                }
            }
        }
        for check in self.tag_checks.iter_mut().filter(|check| ready.contains(check.node.as_str())) {
            for container in check.pod.iter_mut().flatten().filter(|it| it.state != State::Running) {
                container.start(&check.node, &mut registry, false);
            }
        }
    }

    /// The node's power fails. When it is back, it has the same pods without containers.
    pub fn reboot(&mut self, node: &str) {
        for pod in self.pods.iter_mut().filter(|pod| pod.node == node) {
            pod.not_ready_since = Some(self.now);
            pod.containers.iter_mut().for_each(Container::vanish);
        }
    }
}
