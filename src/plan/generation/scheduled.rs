//! The node counts in the status of a generation's DaemonSet.

use serde::Deserialize;

use crate::slim::{Skipped, Slim};

/// A DaemonSet, deserialized without its spec and most of its status.
pub type SlimDaemonSet = Slim<Skipped, DaemonSetStatus>;

/// The relevant part of a DaemonSet's status. `updateDaemonSetStatus` in
/// `k8s.io/kubernetes/pkg/controller/daemon/daemon_controller.go` writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetStatus {
    /// The `metadata.generation` that the DaemonSet controller has processed.
    pub observed_generation: i64,
    /// How many nodes should have a pod.
    pub desired_number_scheduled: u32,
    /// How many of these have one.
    pub current_number_scheduled: u32,
    /// How many other nodes have one.
    pub number_misscheduled: u32,
}

/// The node counts in a DaemonSet's status, if they apply to its current spec.
///
/// A node with a `NoSchedule` taint that the pods do not tolerate should have no pod. A pod that is already there
/// stays, and counts as misscheduled (`NodeShouldRunDaemonPod`, in the same file).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// How many nodes should have a pod.
    pub desired: u32,
    /// How many other nodes have one: they were tainted later.
    pub misscheduled: u32,
    /// Whether every node that should have a pod has one.
    pub complete: bool,
}

impl Scheduled {
    /// Reads a DaemonSet. Returns `None` if its status applies to an earlier spec.
    pub(super) fn from_daemon_set(daemon_set: &SlimDaemonSet) -> Option<Self> {
        let current = |status: &&DaemonSetStatus| daemon_set.metadata.generation == Some(status.observed_generation);
        let status = daemon_set.status.as_ref().filter(current)?;
        Some(Self {
            desired: status.desired_number_scheduled,
            misscheduled: status.number_misscheduled,
            complete: status.current_number_scheduled == status.desired_number_scheduled,
        })
    }
}
