//! The nodes that are behind, by cause.

use std::collections::{BTreeMap, BTreeSet};

use crate::status::report::{GroupReport, ImageReport, NodesBehind};
use crate::summary::node_state::NodeState;
use crate::text::CleanText;

/// Nodes that lack the same images for the same cause.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The state of the images there.
    pub state: NodeState,
    /// Why, in a few words.
    pub why: String,
    /// What to do about it.
    pub remedy: Option<&'a str>,
    /// The whole message, if there is one.
    pub message: Option<&'a str>,
    /// The nodes, by name.
    pub nodes: Vec<&'a str>,
    /// The images, in the order of the list.
    pub images: Vec<&'a str>,
}

/// Nodes with the same cause for the same image.
#[derive(Default)]
struct SameCause<'a> {
    nodes: BTreeSet<&'a str>,
    reasons: BTreeSet<&'a str>,
    message: Option<&'a str>,
}

/// The nodes of a group that are behind, or the nodes that `of` selects instead. The worst cause comes first.
///
/// Nodes are grouped by cause, because a kubelet alternates between `ErrImagePull` and `ImagePullBackOff` for the same failure.
/// Images that lack on the same nodes for the same cause share a line.
pub fn lines(group: &GroupReport, of: fn(&ImageReport) -> &[NodesBehind]) -> Vec<Line<'_>> {
    let mut lines: BTreeMap<_, Line> = BTreeMap::new();
    for image in &group.images {
        let mut causes: BTreeMap<_, SameCause> = BTreeMap::new();
        for behind in of(image) {
            let same = causes.entry((behind.state, &behind.cause, behind.remedy.as_deref())).or_default();
            same.nodes.extend(behind.nodes.iter().map(CleanText::as_str));
            same.reasons.extend(behind.reason.as_deref());
            same.message = same.message.or(behind.message.as_deref());
        }
        for ((state, cause, remedy), SameCause { nodes, reasons, message }) in causes {
            // Without a reason of the kubelet's, the state is the reason. What is still being pulled has not failed.
            let reason = reasons.last().filter(|_| state != NodeState::Pulling);
            let reason = reason.map_or_else(|| state.to_string(), |reason| (*reason).to_owned());
            let why = if cause.is_empty() { reason } else { format!("{reason}: {cause}") };
            let line = lines.entry((state, why.clone(), nodes.clone())).or_insert_with(|| {
                let (nodes, images) = (nodes.into_iter().collect(), Vec::new());
                Line { state, why, remedy, message, nodes, images }
            });
            line.images.push(&image.reference);
        }
    }
    lines.into_values().collect()
}

/// The worst reason why nodes lack an image, in one word.
pub fn worst(behind: &[NodesBehind]) -> String {
    let Some(worst) = behind.first() else { return String::new() };
    // Of a failing init container, the reason is about another image than the one in whose row it would stand.
    let is_shown = !matches!(worst.state, NodeState::InitFailed | NodeState::Pulling);
    let reason = worst.reason.as_deref().filter(|_| is_shown);
    reason.map_or_else(|| worst.state.to_string(), str::to_owned)
}
