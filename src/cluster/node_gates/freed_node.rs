//! A node that is to be freed.

use std::sync::Arc;

use crate::coverage::Node;
use crate::gate::warmth::NodeWarmth;
use crate::list::config::TaintKey;

/// A node that is to be freed.
pub struct FreedNode {
    /// The node.
    pub node: Arc<Node>,
    /// Its UID.
    pub uid: String,
    /// The taint that is removed.
    pub taint: TaintKey,
    /// The lists whose images are missing, if its time is over.
    pub timed_out: Option<Vec<(String, NodeWarmth)>>,
}
