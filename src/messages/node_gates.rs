//! Words for gates of nodes.

use super::diagnosis::explain;
use super::{Message, Reason, first_few, number, subject_of};
use crate::coverage::ImagesReady;
use crate::gate::NodeWrite;
use crate::gate::condition::{WantedCondition, reason};
use crate::gate::warmth::{BehindImage, NodeWarmth};
use crate::text::CleanText;

/// The most characters of a condition's message. Registries write long ones, and every reader of a Node object gets it.
const MAX_CONDITION: usize = 256;

/// How far a node is, and what it waits for: "2 of 3 images: waiting for app: 401 Unauthorized".
pub fn progress(warmth: &NodeWarmth) -> String {
    let count = format!("{} of {}", warmth.warm, number(warmth.images, "image"));
    match &warmth.behind {
        Some(behind) if !warmth.is_warm() => format!("{count}: waiting for {}", waiting_for(behind)),
        _ => count,
    }
}

fn waiting_for(behind: &BehindImage) -> String {
    let what = explain(behind.state, &behind.reason, &behind.message, &behind.reference).what;
    match what.is_empty() {
        true => behind.name.clone(),
        false => format!("{}: {what}", behind.name),
    }
}

/// What the condition of a node says. It ends with the namespace of the controller: there may be others in the cluster.
pub fn condition(warmth: &NodeWarmth, namespace: &str) -> WantedCondition {
    let is_warm = warmth.is_warm();
    let message = match is_warm {
        true => format!("{} held", number(warmth.images, "image")),
        false => progress(warmth),
    };
    let message = format!("{}{}", CleanText::from(message).shortened(MAX_CONDITION), signature(namespace));
    WantedCondition { is_warm, reason: reason(warmth), message }
}

/// Whether the controller of that namespace has written a condition.
pub fn is_by(condition: &ImagesReady, namespace: &str) -> bool {
    condition.message.ends_with(&signature(namespace))
}

fn signature(namespace: &str) -> String {
    format!(" ({namespace})")
}

/// The same failure for all nodes: whichever it was found on, it is about the right or the policy.
pub fn failure(kind: NodeWrite, message: Message) -> Message {
    let subject = match kind {
        NodeWrite::Taint => "taints of gates",
        NodeWrite::Condition => "conditions of nodes",
    };
    Message { subject: subject.to_owned(), ..message }
}

/// On a node that was freed although images are missing.
pub fn freed_by_timeout(taint: &str, lists: &[(String, NodeWarmth)]) -> Message {
    let of_lists = lists.iter().map(|(list, warmth)| format!("list {list}: {}", progress(warmth)));
    let why = match lists {
        [] => ": no list has a gate with this taint".to_owned(),
        _ => format!(", although images are missing: {}", of_lists.collect::<Vec<_>>().join("; ")),
    };
    let note = format!("removed the taint {taint} because the time of the gate is over{why}");
    Message::new(Reason::NodeFreedByTimeout, subject_of(&taint), note)
}

/// On a list whose images are missing on nodes that were freed all the same.
pub fn nodes_freed_by_timeout(nodes: &[&str], first: &NodeWarmth) -> Message {
    let note = format!(
        "{} freed because the time of the gate is over, although images are missing: {}; on {}, there are {}; correct what keeps the \
         images away, or raise the timeout of the gate",
        if nodes.len() == 1 { "a node was".to_owned() } else { format!("{} nodes were", nodes.len()) },
        first_few(nodes, ", ", ""),
        nodes.first().copied().unwrap_or_default(),
        progress(first),
    );
    Message::new(Reason::NodeFreedByTimeout, subject_of(&nodes), note)
}
