//! What shows only when a minute has passed: by their name these tests are among the first, and others run meanwhile.
//!
//! - [`foreign`]: names that are taken
//! - [`retries`]: what is tried again
//! - [`waits`]: what waits

mod foreign;
mod retries;
mod waits;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube_prepull::naming::labels;

use super::trial;
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::tag_checks::number;
use crate::trial::{SOON, Trial, eventually, within};

/// The number of the one generation there is, once it is at least `least`.
async fn generation(trial: &Trial, least: u32) -> u32 {
    eventually(&format!("generation {least}"), async || {
        let found = trial.daemon_sets().await;
        let number = number(found.first()?);
        (found.len() == 1 && number >= least).then_some(number)
    })
    .await
}

/// The number of the newest generation, and when it began, once it is at least `least`: also while an older one is still there.
async fn newest(trial: &Trial, least: u32) -> (u32, Timestamp) {
    eventually(&format!("generation {least} to begin"), async || {
        let newest = trial.daemon_sets().await.into_iter().max_by_key(number)?;
        let began: Timestamp = newest.annotations()[labels::EPOCH].parse().unwrap();
        Some((number(&newest), began)).filter(|(number, _)| *number >= least)
    })
    .await
}

/// When the one generation there is began.
async fn began(trial: &Trial) -> Timestamp {
    trial.daemon_sets().await[0].annotations()[labels::EPOCH].parse().unwrap()
}

/// Since the generation of that number began, there was no more than one for each minute that has passed.
async fn at_most_one_a_minute(trial: &Trial, number: u32, since: Timestamp) {
    let now = generation(trial, number).await;
    let passed = began(trial).await.duration_since(since);
    assert!(passed >= SignedDuration::from_mins((now - number).into()), "{} more after {passed:#}", now - number);
}

const EVERY_MINUTE: &str = "images: [nginx:1.27]\nrefresh: {every: 1m, mode: Always}\n";

#[tokio::test]
async fn a_refresh_is_due_after_the_interval() {
    let trial = trial("due").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", EVERY_MINUTE).await;
    generation(&trial, 1).await;
    let first = began(&trial).await;
    generation(&trial, 2).await;
    at_most_one_a_minute(&trial, 1, first).await;
}

#[tokio::test]
async fn a_refresh_that_was_missed_is_made_up_once() {
    let trial = trial("missed").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", EVERY_MINUTE).await;
    generation(&trial, 1).await;
    controller.kill();
    // Nothing but time makes a tick: two of them pass while no controller runs.
    let due = began(&trial).await + SignedDuration::from_secs(125);
    within(SOON * 2, "two ticks to be missed", async || (Timestamp::now() > due).then_some(())).await;
    let controller = Controller::start(&trial).await;
    // A slow rollout may last until the next tick.
    let (made_up, since) = newest(&trial, 2).await;
    controller.has_reconciled(&trial, "tools").await;
    assert_eq!(made_up, 2, "two missed ticks are one rollout");
    at_most_one_a_minute(&trial, 2, since).await;
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
