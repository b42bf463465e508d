//! What the API server's audit log says of the controller.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
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
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    object_ref: Option<Object>,
    response_status: Option<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    code: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Object {
    resource: String,
    #[serde(default)]
    namespace: String,
}

impl Request {
    pub fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }

    /// The HTTP status of its answer.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().and_then(|status| status.code).unwrap_or_default()
    }

    /// Whether it was carried out, or would have been without `dryRun`.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code())
    }

    /// Whether a controller of kube-prepull sent it.
    pub fn is_ours(&self) -> bool {
        self.user_agent.starts_with("kube-prepull/")
    }

    /// The resource that it was about, or its path where it was about none.
    pub fn resource(&self) -> &str {
        let path = self.uri.split('?').next().unwrap_or_default();
        self.object_ref.as_ref().map_or(path, |object| &object.resource)
    }

    /// Whether it makes a pod. An eviction is created too, but is no pod, and a dry run makes none.
    pub fn creates_pod(&self) -> bool {
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        self.verb == "create" && path.ends_with("/pods") && !query.contains("dryRun=")
    }

    /// Whether it was about something in that namespace.
    pub fn is_in(&self, namespace: &str) -> bool {
        self.object_ref.as_ref().is_some_and(|object| object.namespace == namespace)
    }

    /// Whether this is the first record of a request: a watch has one when it begins and one when it ends.
    fn is_first_record(&self) -> bool {
        self.stage == if self.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" }
    }
}

/// The most attempts that fit into `time` with these pauses between them. On a slow machine more time passes, and more are allowed.
pub fn most_attempts(time: SignedDuration, pauses: impl Iterator<Item = SignedDuration>) -> usize {
    let ends = pauses.scan(SignedDuration::ZERO, |sum, pause| {
        *sum += pause;
        Some(*sum)
    });
    1 + ends.take_while(|end| *end <= time).count()
}

/// The log of a cluster.
pub struct AuditLog(PathBuf);

impl AuditLog {
    /// The simulated cluster's.
    pub fn open() -> Self {
        Self::of(Simulated::running().unwrap().audit_log().unwrap())
    }

    pub fn of(log: PathBuf) -> Self {
        Self(log)
    }

    pub fn length(&self) -> usize {
        std::fs::metadata(&self.0).unwrap().len().try_into().unwrap()
    }

    /// The controller's requests about a namespace since the log had `from` bytes.
    pub fn requests(&self, from: usize, namespace: &str) -> Vec<Request> {
        self.since(from, namespace, |request| request.is_ours() && request.is_in(namespace))
    }

    /// Such requests of anybody since the log had `from` bytes. Only records with that text in them are decoded: the log has many
    /// megabytes of others.
    pub fn since(&self, from: usize, text: &str, which: impl Fn(&Request) -> bool) -> Vec<Request> {
        let log = std::fs::read(&self.0).unwrap();
        // Its last line may be half written, also within a character.
        let log = String::from_utf8_lossy(&log[from..]);
        let lines = log.lines().filter(|line| line.contains(text));
        let records = lines.filter_map(|line| serde_json::from_str::<Request>(line).ok());
        records.filter(|record| record.is_first_record() && which(record)).collect()
    }
}
