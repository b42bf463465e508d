//! Whether a list was accepted, as it is written on the list itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ObjectMeta;
use sha2::{Digest, Sha256};

use super::labels;
use crate::list::{ListData, Parsed, Problem};

/// The most bytes of problems that are written on a list; `kube-prepull validate` prints all of them.
const MAX_PROBLEMS: usize = 16 * 1024;

/// What is written on a list about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the list was accepted.
    pub accepted: bool,
    /// The hash of the data that this is about.
    pub data_hash: String,
    /// What was found, a line each; empty where nothing was.
    pub problems: String,
}

impl Verdict {
    /// The verdict on a list.
    pub fn new(list: &ListData, parsed: &Parsed) -> Self {
        Self {
            accepted: parsed.config.is_some(),
            data_hash: data_hash(&list.data),
            problems: problem_lines(&parsed.problems),
        }
    }

    /// Whether exactly this is written on the list already.
    pub fn stands_on(&self, metadata: &ObjectMeta) -> bool {
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(labels::STATE));
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        label.map(String::as_str) == Some(self.state())
            && annotation(labels::DATA_HASH) == Some(&self.data_hash)
            && annotation(labels::PROBLEMS).map_or("", String::as_str) == self.problems
    }

    /// The part of the ConfigMap that says it, to be applied on the server. It names the uid, so that a list that is
    /// deleted meanwhile is not made anew.
    pub fn patch(&self, metadata: &ObjectMeta) -> ConfigMap {
        let mut annotations = BTreeMap::from([(labels::DATA_HASH.to_owned(), self.data_hash.clone())]);
        if !self.problems.is_empty() {
            annotations.insert(labels::PROBLEMS.to_owned(), self.problems.clone());
        }
        ConfigMap {
            metadata: ObjectMeta {
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                labels: Some(BTreeMap::from([(labels::STATE.to_owned(), self.state().to_owned())])),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn state(&self) -> &'static str {
        if self.accepted { "accepted" } else { "rejected" }
    }
}

/// The hash of a list's data: SHA-256 in hexadecimal of the JSON object with sorted keys.
pub fn data_hash(data: &BTreeMap<String, String>) -> String {
    // A map of texts is always JSON.
    let json = serde_json::to_vec(data).unwrap_or_else(|error| unreachable!("{error}"));
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn problem_lines(problems: &[Problem]) -> String {
    let mut text = String::new();
    for (index, problem) in problems.iter().enumerate() {
        let line = problem.to_string();
        if text.len() + line.len() > MAX_PROBLEMS {
            text.push_str(&format!("… and {} more", problems.len() - index));
            break;
        }
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}
