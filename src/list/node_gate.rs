//! The checks of the node gate, which both formats share.

use std::collections::BTreeSet;

use super::config::{Group, NodeGate, TaintKey};
use super::problem::{Code, Severity, quoted};
use super::reader::{At, Place, Problems};
use super::refresh::interval_within;
use super::{labels, suggest};

/// The fields that the user wrote about the node gate.
#[derive(Debug, Default)]
pub struct NodeGateFields {
    /// The key of a taint.
    pub taint: Option<(Place, String)>,
    /// Whether a node's condition says if the images are there.
    pub condition: Option<bool>,
    /// The names of images.
    pub wait_for: Vec<(Place, String)>,
    /// An interval.
    pub timeout: Option<(Place, String)>,
}

/// Checks all fields, and returns a [`NodeGate`] if they ask for one. `place` is that of the gate as a whole.
pub fn parse(place: &Place, written: NodeGateFields, groups: &[Group], problems: &mut Problems) -> Option<NodeGate> {
    let has_taint = written.taint.is_some();
    let taint = written.taint.and_then(|(place, key)| taint_key(&place, &key, problems));
    let condition = written.condition.unwrap_or_default();
    let wait_for = images(written.wait_for, groups, problems);
    let timeout = written
        .timeout
        .and_then(|written| interval_within(written, &NodeGate::TIMEOUTS, "no node waits for", problems));
    if !has_taint && !condition {
        problems.error(
            place.clone(),
            Code::MissingKey,
            "this gate has neither a taint to remove nor a condition to set",
            "name the taint that new nodes have, or set the condition to true",
        );
        return None;
    }
    Some(NodeGate { taint, condition, wait_for, timeout: timeout.unwrap_or(NodeGate::DEFAULT_TIMEOUT) })
}

fn taint_key(place: &Place, key: &str, problems: &mut Problems) -> Option<TaintKey> {
    if let Err(why) = labels::qualified_name(key) {
        // As kubelets and autoscalers take taints. Only the key matters here.
        let remedy = match key.split_once([':', '=']) {
            Some((key, _)) if labels::qualified_name(key).is_ok() => format!("write only the key of the taint: {key}"),
            _ => labels::KEY_FORM.to_owned(),
        };
        let message = format!("{} is not a taint's key: it {why}", quoted(key));
        problems.error(place.clone(), Code::InvalidName, message, remedy);
        return None;
    }
    let key = TaintKey::new(key);
    if key.is_none() {
        problems.error(
            place.clone(),
            Code::Conflict,
            "this taint is put on nodes and removed from them by Kubernetes itself, for reasons of its own",
            "choose a key of your own, such as startup-taint.cluster-autoscaler.kubernetes.io/images",
        );
    }
    key
}

fn images(named: Vec<(Place, String)>, groups: &[Group], problems: &mut Problems) -> BTreeSet<String> {
    let known: Vec<&str> = groups.iter().flat_map(|group| &group.images).map(|image| image.name.as_str()).collect();
    let names: BTreeSet<&str> = known.iter().copied().collect();
    let mut found = BTreeSet::new();
    for (place, name) in named {
        if names.contains(name.as_str()) {
            found.insert(name);
        } else if problems.is_full() {
            problems.count(Severity::Error);
        } else {
            let message = format!("no image of the list has the name {}", quoted(&name));
            problems.error(place, Code::InvalidValue, message, suggest::value_remedy(&name, &known));
        }
    }
    found
}

/// The names of images in a sequence. It must not be empty: without the key, all images are meant.
pub fn names(at: &At, problems: &mut Problems) -> Vec<(Place, String)> {
    let items = at.some_items("names", "name at least one image, or remove the key for all of them", problems);
    items.iter().filter_map(|item| Some((item.place(), item.text(problems)?.to_owned()))).collect()
}
