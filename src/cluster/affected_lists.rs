//! What a change in the cluster concerns.

use std::sync::Arc;

use crate::coverage::Node;
use crate::list::Config;

/// What changed, and in which namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The namespace whose lists it may concern; `None`: those of all.
    pub namespace: Option<Arc<str>>,
    /// What changed.
    pub what: Changed,
}

impl Change {
    /// A change in one namespace.
    pub fn within(namespace: &Arc<str>, what: Changed) -> Self {
        Self { namespace: Some(Arc::clone(namespace)), what }
    }

    /// A change that may concern the lists of all namespaces.
    pub fn anywhere(what: Changed) -> Self {
        Self { namespace: None, what }
    }
}

/// Which lists have to be reconciled after something changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// One list, by the value of its label.
    List(String),
    /// One list, by the value of its label, because the list itself was edited.
    Edited(String),
    /// The lists that have something to do with a node, which has changed, joined or left.
    Node(NodeChange),
    /// The lists that discover images in a namespace, whose workloads changed.
    Workloads(String),
    /// The lists that select namespaces by labels: those of a namespace changed, or it came or was deleted.
    Namespaces,
    /// The lists that have something to do with a DaemonSet of kubernetes-image-puller, by its name.
    Adoptable(String),
    /// All lists.
    Everything,
}

/// A node before and after a change; `None` if it did not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeChange {
    pub before: Option<Arc<Node>>,
    pub after: Option<Arc<Node>>,
}

impl NodeChange {
    /// The name of the node.
    pub fn name(&self) -> &str {
        self.before.as_ref().or(self.after.as_ref()).map_or("", |node| &node.name)
    }

    /// Whether a group of a list is or was meant for the node. Taints do not count: a plan may depend on one that was added.
    pub fn is_selected_by(&self, config: &Config) -> bool {
        let nodes = || self.before.iter().chain(&self.after);
        config.groups.iter().any(|group| nodes().any(|node| node.is_selected(&group.placement)))
    }
}
