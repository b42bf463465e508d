//! What shows only when a minute has passed: by their name these tests are among the first, and others run meanwhile.
//!
//! - [`foreign`]: names that are taken
//! - [`retries`]: what is tried again

mod foreign;
mod retries;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube_prepull::naming::labels;

use super::trial;
use crate::audit::{AuditLog, Request};
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::tag_checks::number;
use crate::trial::{Trial, eventually};

/// The number of the one generation there is, once it is at least `least`.
async fn generation(trial: &Trial, least: u32) -> u32 {
    eventually(&format!("generation {least}"), async || {
        let found = trial.daemon_sets().await;
        let number = number(found.first()?);
        (found.len() == 1 && number >= least).then_some(number)
    })
    .await
}

/// When the one generation there is began.
async fn began(trial: &Trial) -> Timestamp {
    trial.daemon_sets().await[0].annotations()[labels::EPOCH].parse().unwrap()
}

const EVERY_MINUTE: &str = "images: [nginx:1.27]\nrefresh: {every: 1m, mode: Always}\n";

#[tokio::test]
async fn a_refresh_is_due_after_the_interval() {
    let trial = trial("due").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", EVERY_MINUTE).await;
    generation(&trial, 1).await;
    let first = began(&trial).await;
    assert_eq!(generation(&trial, 2).await, 2);
    let after = began(&trial).await.duration_since(first);
    assert!(after >= SignedDuration::from_mins(1), "{after:#}");
}

#[tokio::test]
async fn a_refresh_that_was_missed_is_made_up_once() {
    let trial = trial("missed").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", EVERY_MINUTE).await;
    generation(&trial, 1).await;
    controller.kill();
    // Nothing but time makes a tick: it passes while no controller runs.
    tokio::time::sleep(Duration::from_secs(62)).await;
    let _controller = Controller::start(&trial).await;
    assert_eq!(generation(&trial, 2).await, 2);
    trial.write_list("other", "images: [Bad]").await;
    trial.validated("other", "rejected").await;
    assert_eq!(generation(&trial, 2).await, 2, "one missed tick is one rollout");
}

#[tokio::test]
async fn a_list_that_gets_no_answer_keeps_no_other_waiting() {
    let trial = trial("silence").await;
    let proxy = Proxy::start(trial.client.clone()).await;
    proxy.be_silent_about("/daemonsets/stuck-");
    let _controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("stuck", "images: [nginx:1.27]").await;
    trial.validated("stuck", "accepted").await;
    trial.write_list("tools", "images: [nginx:1.28]").await;
    trial.settled_on(&["nginx:1.28"]).await;
    proxy.be_silent_about("nothing any more");
    eventually("the other list, once its request has timed out", async || {
        (trial.daemon_sets().await.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_minute_at_steady_state_holds_no_write() {
    let trial = trial("steady").await;
    let log = AuditLog::open();
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.validated("tools", "accepted").await;
    let before = log.requests(0, &trial.namespace);
    assert!(
        before.iter().any(|request| request.verb == "patch"),
        "the log must show the writes that there were: {before:#?}"
    );

    trial.noted_as_reported("complete").await;
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
