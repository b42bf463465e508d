use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

/// The number of the one generation there is, once it is at least `least`.
async fn generation(trial: &Trial, least: u32) -> u32 {
    eventually(&format!("generation {least}"), async || {
        let found = trial.daemon_sets().await;
        let number: u32 = found.first()?.annotations().get("kube-prepull.io/revision")?.parse().ok()?;
        (found.len() == 1 && number >= least).then_some(number)
    })
    .await
}

/// When the one generation there is was made.
async fn began(trial: &Trial) -> Timestamp {
    trial.daemon_sets().await[0].metadata.creation_timestamp.clone().unwrap().0
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
    // The API server's times are of whole seconds.
    assert!(after >= SignedDuration::from_secs(59), "{after:#}");
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
    trial.judged("other", "rejected").await;
    assert_eq!(generation(&trial, 2).await, 2, "one missed tick is one round");
}

#[tokio::test]
async fn in_the_mode_recreate_the_daemon_set_goes_before_another_comes() {
    let trial = trial("recreate").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\nrefresh: {every: 24h, mode: Recreate}\n").await;
    assert_eq!(generation(&trial, 1).await, 1);
    trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
    eventually("the Event", async || trial.events("Recreating").await.pop()).await;
    trial.settled_on(&["nginx:1.27"]).await;
}
