use std::time::Duration;

use super::trial;
use crate::audit::{AuditLog, Request};
use crate::controller::Controller;
use crate::trial::eventually;

/// The one test that has to wait for time to pass: it is about nothing happening.
#[tokio::test]
async fn a_minute_at_steady_state_holds_no_write() {
    let trial = trial("steady").await;
    let log = AuditLog::open();
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.judged("tools", "accepted").await;
    let before = log.requests(0, &trial.namespace);
    assert!(
        before.iter().any(|request| request.verb == "patch"),
        "the log must show the writes that there were: {before:#?}"
    );

    trial.noted_as_told("done").await;
    let from = eventually("the last write to be logged", async || {
        let from = log.length();
        tokio::time::sleep(Duration::from_secs(2)).await;
        (!log.requests(from, &trial.namespace).iter().any(Request::is_write)).then_some(from)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut writes = log.requests(from, &trial.namespace);
    writes.retain(Request::is_write);
    assert!(writes.is_empty(), "{writes:#?}\n{}", controller.log());
}
