//! What the API server's audit log says of the controller.

use std::path::PathBuf;

use serde::Deserialize;
use test_bed::Simulated;

/// The part of an audit record that says who asked for what.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    stage: String,
    pub verb: String,
    #[serde(rename = "requestURI")]
    pub uri: String,
    #[serde(default)]
    user_agent: String,
}

impl Request {
    pub fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }
}

/// The simulated cluster's log.
pub struct AuditLog(PathBuf);

impl AuditLog {
    pub fn open() -> Self {
        Self(Simulated::running().unwrap().audit_log().unwrap())
    }

    pub fn length(&self) -> usize {
        std::fs::metadata(&self.0).unwrap().len().try_into().unwrap()
    }

    /// The controller's requests about a namespace since the log had `from` bytes.
    pub fn requests(&self, from: usize, namespace: &str) -> Vec<Request> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        let records = text[from..].lines().filter_map(|line| serde_json::from_str::<Request>(line).ok());
        let of_namespace = format!("/namespaces/{namespace}/");
        let ours =
            |request: &Request| request.user_agent.starts_with("kube-prepull/") && request.uri.contains(&of_namespace);
        records.filter(|it| it.stage == "ResponseComplete" || it.stage == "ResponseStarted").filter(ours).collect()
    }
}
