//! The list that was accepted last stays in effect.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

const MISSING_SINCE: &str = "kube-prepull.io/missing-since";

async fn delete_list(trial: &Trial, name: &str) {
    trial.api::<ConfigMap>().delete(name, &DeleteParams::default()).await.unwrap();
}

/// The note that the list is missing, once it is there.
async fn noted(trial: &Trial) -> ControllerRevision {
    eventually("the note that the list is missing", async || {
        trial.revisions().await.into_iter().find(|revision| revision.annotations().contains_key(MISSING_SINCE))
    })
    .await
}

/// As if the list had been missing for that long.
async fn long_ago(trial: &Trial, minutes: i64) {
    let revision = noted(trial).await.name_any();
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
    let patch = json!({"metadata": {"annotations": {MISSING_SINCE: since.to_string()}}});
    trial.api::<ControllerRevision>().patch(&revision, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn nothing_left(trial: &Trial) {
    eventually("everything to be gone", async || {
        (trial.daemon_sets().await.is_empty() && trial.revisions().await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn while_a_bad_edit_stands_a_deleted_daemon_set_is_recreated_also_after_a_restart() {
    let trial = trial("last-good").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.write_list("tools", "images: [Bad]").await;
    trial.validated("tools", "rejected").await;
    controller.kill();
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.api::<DaemonSet>().delete(&before.name_any(), &DeleteParams::default()).await.unwrap();
    let _controller = Controller::start(&trial).await;
    let after = trial.settled_on(&["nginx:1.27"]).await;
    assert_ne!(before.metadata.uid, after.metadata.uid);
    trial.validated("tools", "rejected").await;
}

#[tokio::test]
async fn a_list_that_is_deleted_and_recreated_loses_nothing() {
    let trial = trial("recreated").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    delete_list(&trial, "tools").await;
    noted(&trial).await;
    let reported = trial.reported("ListMissing").await;
    assert!(reported.contains("its images will be released at"));
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    eventually("the note to go", async || {
        let noted = |revision: &ControllerRevision| revision.annotations().contains_key(MISSING_SINCE);
        (!trial.revisions().await.iter().any(noted)).then_some(())
    })
    .await;
    let after = trial.settled_on(&["nginx:1.27"]).await;
    assert_eq!((before.metadata.uid, before.metadata.generation), (after.metadata.uid, after.metadata.generation));
}

#[tokio::test]
async fn a_list_that_stays_away_is_cleaned_up() {
    let trial = trial("away-list").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\ngroups: [{name: gpu, images: [cuda:12]}]").await;
    eventually("two groups", async || (trial.daemon_sets().await.len() == 2).then_some(())).await;
    delete_list(&trial, "tools").await;
    long_ago(&trial, 9).await;
    // Another list is validated after that change was seen: nine minutes are not enough.
    trial.write_list("other", "images: [Bad]").await;
    trial.validated("other", "rejected").await;
    assert_eq!(trial.daemon_sets().await.len(), 2);
    long_ago(&trial, 10).await;
    nothing_left(&trial).await;
    let reported =
        eventually("the Events", async || Some(trial.events("ListCleanedUp").await).filter(|it| it.len() == 2));
    reported.await;
}

#[tokio::test]
async fn a_list_that_was_deleted_while_the_controller_was_away_is_cleaned_up_too() {
    let trial = trial("away-both").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    controller.kill();
    delete_list(&trial, "tools").await;
    let controller = Controller::start(&trial).await;
    noted(&trial).await;
    assert_eq!(trial.daemon_sets().await.len(), 1, "it is given its time from the moment that its absence is known");
    controller.kill();
    long_ago(&trial, 11).await;
    let _controller = Controller::start(&trial).await;
    nothing_left(&trial).await;
}

#[tokio::test]
async fn a_config_map_that_is_no_list_any_more_counts_as_gone() {
    let trial = trial("unlabelled").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    let patch = json!({"metadata": {"labels": {kube_prepull::list::IMAGE_LIST_LABEL: null}}});
    trial.api::<ConfigMap>().patch("tools", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    long_ago(&trial, 11).await;
    nothing_left(&trial).await;
}

#[tokio::test]
async fn only_a_few_accepted_versions_are_kept() {
    let trial = trial("few").await;
    let _controller = Controller::start(&trial).await;
    for minor in 20..32 {
        trial.write_list("tools", &format!("images: [\"nginx:1.{minor}\"]")).await;
        trial.validated("tools", "accepted").await;
    }
    eventually("ten of them to be left", async || {
        let mut kept = trial.revisions().await;
        kept.sort_by_key(|revision| revision.revision);
        let kept: Vec<_> = kept.iter().map(|revision| revision.data.clone().unwrap().0["data"].to_string()).collect();
        (kept.len() == 10 && kept[9].contains("nginx:1.31")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_two_lists_that_claim_one_name_the_first_keeps_it_until_it_goes() {
    let trial = trial("claims").await;
    let _controller = Controller::start(&trial).await;
    trial.write_data("first", json!({"IMAGES": "a=nginx:1.27", "DAEMONSET_NAME": "puller"})).await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.write_data("second", json!({"IMAGES": "a=redis:7", "DAEMONSET_NAME": "puller"})).await;
    let second = trial.validated("second", "rejected").await;
    let problems = &second.annotations()["kube-prepull.io/problems"];
    assert!(problems.contains("a name that the list \"first\" has; set another DAEMONSET_NAME"), "{problems}");
    assert_eq!(trial.settled_on(&["nginx:1.27"]).await.metadata.uid, before.metadata.uid);
    delete_list(&trial, "first").await;
    long_ago(&trial, 11).await;
    trial.validated("second", "accepted").await;
    trial.settled_on(&["redis:7"]).await;
}
