//! Pods and nodes → who has what. Pure.
//!
//! [`Coverage`] is a fold over the changes of pods: it can be driven by plain calls, in any order, and holds no more of a
//! pod than the plan and the user's view need.

mod node;
mod pod;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Toleration;
pub use node::{Node, SlimNode};
pub use pod::{Hold, ImageState, SlimPod};

use crate::plan::labels;

/// Which pod holds what on which node.
#[derive(Debug, Default)]
pub struct Coverage {
    pods: HashMap<String, CoveringPod>,
    /// References and names repeat in every pod; each is kept once.
    texts: HashSet<Arc<str>>,
    /// Tolerations repeat in every pod of a generation.
    tolerations: Vec<Arc<[Toleration]>>,
}

/// A pod of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct CoveringPod {
    /// The list it belongs to (the value of its label).
    pub list: Arc<str>,
    /// The name of the generation's DaemonSet.
    pub generation: Arc<str>,
    /// The node it is bound to, once it is.
    pub node: Option<Arc<str>>,
    /// The node it is made for, whether or not that takes it.
    pub target: Option<Arc<str>>,
    /// What became of it as a whole.
    pub state: PodState,
    /// Whether it is about to go.
    pub deleting: bool,
    /// Taints that did not keep it away from its node.
    pub tolerations: Arc<[Toleration]>,
    /// Its images, in the order in which they are pulled.
    pub images: Vec<CoveredImage>,
}

/// What became of a pod as a whole. The texts are the scheduler's and the kubelet's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PodState {
    /// It is on its way, or on its node: its images say more.
    #[default]
    Live,
    /// No node takes it.
    Unschedulable {
        /// The scheduler's words.
        message: Arc<str>,
    },
    /// It has ended: the kubelet evicted it, or never took it.
    Ended {
        /// The kubelet's word for it, such as `Evicted`.
        reason: Arc<str>,
        /// More words.
        message: Arc<str>,
    },
}

/// One image in one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct CoveredImage {
    /// The name of its container.
    pub name: Arc<str>,
    /// The image as it stands in the pod: as the list spells it, unless admission rewrote it.
    pub reference: Arc<str>,
    /// What became of it.
    pub state: ImageState,
    /// What the runtime says the reference stands for; empty where it has not said so.
    pub image_id: Arc<str>,
}

impl Coverage {
    /// Takes in a pod as it is now. A pod of no generation is left out.
    pub fn apply(&mut self, pod: &SlimPod) {
        let Some(uid) = pod.metadata.uid.clone() else { return };
        match self.covering(pod) {
            Some(covering) => self.pods.insert(uid, covering),
            None => self.pods.remove(&uid),
        };
    }

    /// Takes in that a pod is gone.
    pub fn delete(&mut self, pod: &SlimPod) {
        if let Some(uid) = &pod.metadata.uid {
            self.pods.remove(uid);
        }
    }

    /// The pods of a list.
    pub fn pods_of<'a>(&'a self, list: &'a str) -> impl Iterator<Item = &'a CoveringPod> {
        self.pods.values().filter(move |pod| &*pod.list == list)
    }

    fn covering(&mut self, pod: &SlimPod) -> Option<CoveringPod> {
        let list = pod::label(&pod.metadata, labels::LIST)?;
        let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
        let status = pod.status.clone().unwrap_or_default();
        let images = pod.spec.containers.iter().map(|container| {
            let reported = status.container_statuses.iter().find(|status| status.name == container.name);
            CoveredImage {
                name: self.text(&container.name),
                reference: self.text(&container.image),
                state: pod::image_state(&status, &container.name),
                image_id: self.text(reported.map_or("", |status| &status.image_id)),
            }
        });
        let images = images.collect();
        Some(CoveringPod {
            list: self.text(list),
            generation: self.text(&owner.name),
            node: pod.spec.node_name.as_ref().map(|node| self.text(node)),
            target: pod.spec.target().map(|node| self.text(node)),
            state: self.pod_state(&status),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            tolerations: self.tolerations(&pod.spec.tolerations),
            images,
        })
    }

    fn pod_state(&mut self, status: &pod::PodStatus) -> PodState {
        match status.unschedulable() {
            _ if status.has_ended() => {
                PodState::Ended { reason: self.text(&status.reason), message: self.text(&status.message) }
            }
            Some(message) => PodState::Unschedulable { message: self.text(message) },
            None => PodState::Live,
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    fn tolerations(&mut self, tolerations: &[Toleration]) -> Arc<[Toleration]> {
        if let Some(known) = self.tolerations.iter().find(|known| ***known == *tolerations) {
            return Arc::clone(known);
        }
        let new: Arc<[Toleration]> = tolerations.into();
        self.tolerations.push(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests;
