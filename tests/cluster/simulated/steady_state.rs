use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::trial;
use crate::controller::Controller;

/// The part of an audit record that says who asked for what.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    #[serde(default)]
    user_agent: String,
}

/// The controller's requests about a namespace since the log had `from` bytes.
fn requests(log: &Path, from: usize, namespace: &str) -> Vec<Request> {
    let text = std::fs::read_to_string(log).unwrap();
    let records = text[from..].lines().filter_map(|line| serde_json::from_str::<Request>(line).ok());
    let ours = |request: &Request| {
        request.user_agent.starts_with("kube-prepull/") && request.uri.contains(&format!("/namespaces/{namespace}/"))
    };
    records
        .filter(|request| request.stage == "ResponseComplete" || request.stage == "ResponseStarted")
        .filter(ours)
        .collect()
}

/// The one test that has to wait for time to pass: it is about nothing happening.
#[tokio::test]
async fn a_minute_at_steady_state_holds_no_write() {
    let trial = trial("steady").await;
    let log = test_bed::Simulated::running().unwrap().audit_log().unwrap();
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.judged("tools", "accepted").await;
    let before = requests(&log, 0, &trial.namespace);
    assert!(
        before.iter().any(|request| request.verb == "patch"),
        "the log must show the writes that there were: {before:#?}"
    );

    tokio::time::sleep(Duration::from_secs(5)).await;
    let from = std::fs::metadata(&log).unwrap().len() as usize;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut writes = requests(&log, from, &trial.namespace);
    writes.retain(|request| !["get", "list", "watch"].contains(&request.verb.as_str()));
    assert!(writes.is_empty(), "{writes:#?}\n{}", controller.log());
}
