//! Many lists in one namespace: none costs another one anything.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::trial;
use crate::audit::{AuditLog, Request};
use crate::controller::Controller;
use crate::nodes::Nodes;
use crate::trial::{Trial, eventually};

/// A list for the trial's own nodes, so that nodes of other trials are none of its business.
fn list(trial: &Trial, image: &str) -> String {
    format!("groups: [{{name: g, images: [\"{image}\"], {}}}]", Nodes::of(trial).placement())
}

fn name(index: usize) -> String {
    format!("list-{index}")
}

/// Writes so many lists, and waits until each has its DaemonSet.
async fn with_lists(trial: &Trial, lists: std::ops::Range<usize>) {
    for index in lists.clone() {
        trial.write_list(&name(index), &list(trial, "nginx:1.27")).await;
    }
    for index in lists {
        trial.validated(&name(index), "accepted").await;
        daemon_set_of(trial, &name(index)).await;
    }
}

async fn daemon_set_of(trial: &Trial, list: &str) -> DaemonSet {
    eventually(&format!("the DaemonSet of {list}"), async || {
        let is_of = |it: &DaemonSet| it.labels().get("kube-prepull.io/list").is_some_and(|of| of == list);
        trial.daemon_sets().await.into_iter().find(is_of)
    })
    .await
}

/// Waits until the controller has nothing left to do: two reconciles of a list are all that happens.
async fn quiet(trial: &Trial, controller: &Controller) {
    eventually("a controller with nothing to do", async || {
        let before = controller.reconciles();
        controller.has_reconciled(trial, &name(0)).await;
        (controller.reconciles() <= before + 4.0).then_some(())
    })
    .await;
}

/// What the controller asks the API server for because of a new list that is rejected: how often what.
async fn requests_of_a_rejected_list(trial: &Trial, list: &str) -> BTreeMap<String, usize> {
    let log = AuditLog::open();
    let from = log.length();
    trial.write_list(list, "images: [Bad]").await;
    trial.validated(list, "rejected").await;
    // The Event comes last.
    eventually("the requests", async || {
        let counts = counts(&log.requests(from, &trial.namespace));
        counts.contains_key("create events").then_some(counts)
    })
    .await
}

/// How often what was asked for. Whether lists are warm is written some seconds later, that of others meanwhile.
fn counts(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let is_late = |request: &&Request| request.verb == "watch" || request.uri.contains("kube-prepull-warm");
    for request in requests.iter().filter(|request| !is_late(request)) {
        *counts.entry(format!("{} {}", request.verb, request.resource())).or_default() += 1;
    }
    counts
}

fn lists_revisions(request: &&Request) -> bool {
    request.verb == "list" && request.resource() == "controllerrevisions"
}

#[tokio::test]
async fn a_list_asks_for_the_same_beside_one_list_and_beside_many() {
    let trial = trial("asks").await;
    let controller = Controller::start(&trial).await;
    with_lists(&trial, 0..1).await;
    quiet(&trial, &controller).await;
    let beside_one = requests_of_a_rejected_list(&trial, "first").await;
    with_lists(&trial, 1..30).await;
    quiet(&trial, &controller).await;
    let log = AuditLog::open();
    let from = log.length();
    assert_eq!(requests_of_a_rejected_list(&trial, "second").await, beside_one);
    trial.write_list(&name(7), &list(&trial, "nginx:1.28")).await;
    trial.validated(&name(7), "accepted").await;
    eventually("the rollout", async || {
        let daemon_set = daemon_set_of(&trial, &name(7)).await;
        daemon_set.annotations().values().any(|it| it.contains("nginx:1.28")).then_some(())
    })
    .await;
    let asked = log.requests(from, &trial.namespace);
    let revisions: Vec<&Request> = asked.iter().filter(lists_revisions).collect();
    assert!(!revisions.is_empty());
    let of_one =
        |request: &&Request| ["second", "list-7"].iter().any(|list| request.uri.contains(&format!("list%3D{list}")));
    assert!(revisions.iter().all(of_one), "an answer has what belongs to one list: {revisions:#?}");
}

#[tokio::test]
async fn of_a_list_that_is_gone_neither_a_worker_nor_a_series_stays_and_it_may_come_back() {
    let trial = trial("gone").await;
    let controller = Controller::start(&trial).await;
    with_lists(&trial, 0..2).await;
    let has_series = || controller.get("/metrics").unwrap().1.contains(r#"list="list-1""#);
    eventually("the list's series", async || has_series().then_some(())).await;
    trial.api::<ConfigMap>().delete("list-1", &DeleteParams::default()).await.unwrap();
    // As if it had been missing for longer than lists are kept.
    eventually("the note that it is missing", async || {
        let found = trial.revisions().await.into_iter().find(|it| it.name_any().starts_with("list-1-"))?;
        found.annotations().contains_key("kube-prepull.io/missing-since").then_some(found)
    })
    .await;
    let revision = trial.revisions().await.into_iter().find(|it| it.name_any().starts_with("list-1-")).unwrap();
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(11);
    let patch = json!({"metadata": {"annotations": {"kube-prepull.io/missing-since": since.to_string()}}});
    let (name_of_revision, parameters) = (revision.name_any(), PatchParams::default());
    trial.api::<ControllerRevision>().patch(&name_of_revision, &parameters, &Patch::Merge(patch)).await.unwrap();
    let ended = || controller.log().lines().any(|line| line.contains("ended worker") && line.contains("list-1"));
    eventually("its worker to end", async || ended().then_some(())).await;
    eventually("its series to be gone", async || (!has_series()).then_some(())).await;
    with_lists(&trial, 1..2).await;
    eventually("the series of the list that came back", async || has_series().then_some(())).await;
}
