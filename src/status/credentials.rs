//! The part of the report about kubelets that verify pull credentials.

use serde::{Deserialize, Serialize};

use crate::summary::GroupSummary;
use crate::text::CleanText;

/// On how many nodes pods need credentials for what a group pulled, and which ones its holders have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The documentation for users says it.
pub struct CredentialVerification {
    pub nodes: usize,
    pub pull_secrets: Vec<CleanText>,
}

impl CredentialVerification {
    /// `None` if the group has no pull secrets, or if no kubelet of its nodes is known to verify.
    pub fn new(group: &GroupSummary) -> Option<Self> {
        let pull_secrets: Vec<CleanText> = group.group.image_pull_secrets.iter().map(CleanText::of).collect();
        let nodes = group.verifying_nodes();
        (nodes > 0 && !pull_secrets.is_empty()).then_some(Self { nodes, pull_secrets })
    }
}
