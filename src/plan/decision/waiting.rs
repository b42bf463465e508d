//! What waits.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::coverage::Shortage;

/// Something that cannot be done yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// A rollout waits because the group already has the maximum number of moving generations.
    Generations {
        /// The group to roll out.
        group: String,
        /// Whether a refresh waits, rather than an edit.
        refresh: bool,
        /// How many of its generations are moving.
        moving: usize,
        /// Nodes that keep an older generation because no pod of a newer one can run there.
        unavailable: BTreeSet<String>,
    },
    /// A refresh waits because the group's last rollout has a date in the future.
    Clock {
        /// The group to refresh.
        group: String,
        /// That date: scheduled refreshes continue then.
        until: Timestamp,
    },
    /// A tag check waits because no node can run it.
    TagCheck {
        /// The group to check.
        group: String,
        /// Name of the group's newest DaemonSet.
        daemon_set: String,
        /// The architectures without such a node; empty if nodes do not report one.
        architectures: Vec<String>,
    },
    /// A new pod waits because its node has no capacity for it beside the old pod.
    Capacity {
        /// The group of the new pod.
        group: String,
        /// Name of the DaemonSet that the new pod belongs to.
        daemon_set: String,
        /// One of the nodes. Which ones are affected changes all the time.
        node: String,
        /// The resource that is short.
        shortage: Shortage,
        /// Whether the old pod stays there, because several new ones would replace it and need more than it would free.
        old_stays: bool,
    },
    /// A DaemonSet of kubernetes-image-puller holds no image of any list, so no list adopts it.
    Unadopted {
        /// Name of the DaemonSet.
        daemon_set: String,
    },
}
