//! Somebody who goes on, admission that changes things too, and generations that retire.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{Way, alter, is_noted, no_node, restored, spec};
use crate::audit::{AuditLog, Request, most_attempts};
use crate::controller::Controller;
use crate::simulated::admission::Mutation;
use crate::simulated::trial;
use crate::trial::{Trial, eventually, images};

/// Somebody who sees to it that a DaemonSet has a node selector of theirs, several times a second, as long as this exists.
struct Operator(tokio::task::JoinHandle<()>);

impl Operator {
    fn start(trial: &Trial, name: &str) -> Self {
        let (api, name) = (trial.api::<DaemonSet>(), name.to_owned());
        let parameters =
            kube::api::PatchParams { field_manager: Some("their-operator".to_owned()), ..Default::default() };
        Self(tokio::spawn(async move {
            loop {
                let selector = json!({"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}});
                drop(api.patch(&name, &parameters, &kube::api::Patch::Merge(selector)).await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The controller's writes to that DaemonSet, attempts and dry runs included.
fn writes(log: &AuditLog, from: usize, trial: &Trial, name: &str) -> Vec<Request> {
    let mut writes = log.requests(from, &trial.namespace);
    writes.retain(|request| request.is_write() && request.uri.contains(&format!("/daemonsets/{name}")));
    writes
}

#[tokio::test]
async fn somebody_who_never_stops_is_named_costs_few_writes_and_holds_nothing_else_up() {
    let trial = trial("contested").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "groups: [{name: a, images: [nginx:1.27]}]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.noted_as_reported("complete").await;
    let log = AuditLog::open();
    let from = log.length();
    let begun = Timestamp::now();
    let operator = Operator::start(&trial, &before.name_any());
    let reported = trial.reported("DaemonSetContested").await;
    assert!(
        reported.starts_with(&format!("their-operator changed the DaemonSet {} again.", before.name_any())),
        "{reported}"
    );
    // What else there is to do of the list does not wait for the next time that this one is restored.
    trial.write_list("tools", "groups: [{name: a, images: [nginx:1.27]}, {name: b, images: [redis:7]}]").await;
    eventually("the other group", async || {
        trial.daemon_sets().await.iter().any(|it| images(it) == ["redis:7"]).then_some(())
    })
    .await;
    let of_our_own = || writes(&log, from, &trial, &before.name_any());
    // It is restored after 0, 1, 3, 7 and 15 seconds, and then after 31.
    let last = "the DaemonSet to be restored after the fifth pause";
    let writes = eventually(last, async || {
        let writes = of_our_own();
        let (first, last) = (writes.first()?.received, writes.last()?.received);
        (last.duration_since(first) >= SignedDuration::from_secs(29)).then_some(writes)
    })
    .await;
    let elapsed = writes.last().expect("a write").received.duration_since(begun);
    let most = most_attempts(elapsed, (0..9).map(|doublings: u32| SignedDuration::from_secs(1 << doublings)));
    let is_restore = |it: &&Request| it.verb == "update" && it.succeeded() && !it.uri.contains("dryRun");
    let restores = writes.iter().filter(is_restore).count();
    assert!(restores <= most, "{restores} restores, at most {most} are expected: {writes:#?}");
    // Each takes a dry run, a write and notes. After a conflict, the dry run and the write are repeated.
    let conflicts = writes.iter().filter(|it| it.code() == 409).count();
    assert!(writes.len() <= 4 * most + 2 * conflicts, "at most {most} restores: {writes:#?}");
    assert!(conflicts <= 10 * most, "{conflicts} conflicts in at most {most} restores: {writes:#?}");
    drop(operator);
    restored(&trial, &before).await;
}

#[tokio::test]
async fn what_admission_adds_is_no_change_and_what_somebody_changes_is_restored_with_it() {
    let trial = trial("admitted").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let made = trial.settled_on(&["nginx:1.27"]).await;
    let expression = r#"[
        JSONPatch{op: "add", path: "/spec/template/spec/containers/0/resources/requests/cpu", value: "7m"}]"#;
    let is_mutated = |spec: &Value| spec["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "7m";
    let _mutation = Mutation::begin(&trial, expression, is_mutated).await;
    // Whoever writes it now lets admission change it; what they change themselves is no part of the spec.
    let name = made.name_any();
    alter(&trial, &name, Way::Patch("kubectl-patch"), &json!({"metadata": {"labels": {"team": "a"}}})).await;
    let mutated = eventually("that to be noted", async || {
        let found = trial.api::<DaemonSet>().get(&name).await.unwrap();
        let changed = found.metadata.generation > made.metadata.generation;
        (changed && is_noted(&found)).then_some(found)
    })
    .await;
    assert!(is_mutated(&spec(&mutated)));
    alter(&trial, &name, Way::Patch("kubectl-edit"), &no_node()).await;
    let after = restored(&trial, &mutated).await;
    let reported = trial.reported("DaemonSetRestored").await;
    assert!(reported.contains("was changed by kubectl-edit"), "{reported}");
    assert_eq!(trial.events("DaemonSetRestored").await.len(), 1, "what admission adds is nobody's change");
    let (log, generation) = (AuditLog::open(), after.metadata.generation);
    let from = log.length();
    for hours in 2..5 {
        trial.write_list("tools", &format!("images: [nginx:1.27]\nrefresh: {{every: {hours}h}}\n")).await;
        trial.validated("tools", "accepted").await;
    }
    let at_rest = trial.api::<DaemonSet>().get(&name).await.unwrap();
    assert_eq!(at_rest.metadata.generation, generation);
    let again: Vec<_> = writes(&log, from, &trial, &name).into_iter().filter(|it| it.verb == "update").collect();
    assert!(again.is_empty(), "{again:#?}\n{}", controller.log());
}

#[tokio::test]
async fn a_change_that_was_undone_already_is_only_noted() {
    let trial = trial("undone").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    let name = before.name_any();
    controller.kill();
    for seconds in [5, 0] {
        let patch = json!({"spec": {"minReadySeconds": seconds}});
        alter(&trial, &name, Way::Patch("kubectl-patch"), &patch).await;
    }
    let changed = trial.api::<DaemonSet>().get(&name).await.unwrap();
    let _controller = Controller::start(&trial).await;
    let after = restored(&trial, &before).await;
    assert_eq!(after.metadata.generation, changed.metadata.generation, "nothing was written but a note");
    assert!(trial.events("DaemonSetRestored").await.is_empty());
}

/// Lets no pod of newer generations come, so that those that are there are needed.
async fn refuse_more_pods(trial: &Trial) {
    let there = eventually("all pods to be there", async || {
        (trial.status()["warm"] == true).then_some(())?;
        Some(trial.pods().await.len())
    })
    .await;
    let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": there.to_string()}}});
    trial.create::<ResourceQuota>(quota).await;
    eventually("the quota to be counted", async || {
        let quota: ResourceQuota = trial.api().get("full").await.unwrap();
        quota.status?.used.filter(|used| used.get("pods").is_some_and(|used| used.0 == there.to_string())).map(drop)
    })
    .await;
}

async fn edit_and_retire(trial: &Trial, list: &str, newest: &[&str]) {
    trial.write_list("tools", list).await;
    eventually(&format!("a DaemonSet of {newest:?}"), async || {
        trial.daemon_sets().await.iter().any(|it| images(it) == newest).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_generation_that_retires_is_restored_too() {
    let trial = trial("retiring").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let old = trial.settled_on(&["nginx:1.27"]).await;
    refuse_more_pods(&trial).await;
    edit_and_retire(&trial, "images: [nginx:1.27, redis:7]", &["nginx:1.27", "redis:7"]).await;
    let patch: Value = json!({"spec": {"template": {"spec": {
        "tolerations": [{"operator": "Exists"}], "containers": [{"name": "nginx", "image": "evil:1"}]}}}});
    alter(&trial, &old.name_any(), Way::Patch("kubectl-patch"), &patch).await;
    restored(&trial, &old).await;
    let reported = trial.reported("DaemonSetRestored").await;
    assert!(reported.contains(&old.name_any()), "{reported}");
}

#[tokio::test]
async fn a_generation_that_nothing_describes_any_more_replaces_no_pod_and_is_reported() {
    let trial = trial("forgotten").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let old = trial.settled_on(&["nginx:1.27"]).await;
    refuse_more_pods(&trial).await;
    // Of lists as long as these, three versions are kept.
    let comment = "x".repeat(40_000);
    for tag in ["1", "2", "3"] {
        let list = format!("# {comment}\nimages: [nginx:1.27, \"redis:{tag}\"]");
        let redis = format!("redis:{tag}");
        edit_and_retire(&trial, &list, &["nginx:1.27", &redis]).await;
    }
    eventually("the first version to be forgotten", async || {
        let kept = trial.revisions().await;
        (kept.len() == 3).then_some(())
    })
    .await;
    let patch = json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}, "minReadySeconds": 5}});
    alter(&trial, &old.name_any(), Way::Patch("kubectl-patch"), &patch).await;
    let reported = trial.reported("DaemonSetNotRestored").await;
    assert!(reported.contains("was changed by kubectl-patch and cannot be restored"), "{reported}");
    let after = eventually("the strategy to be set back", async || {
        let found = trial.api::<DaemonSet>().get(&old.name_any()).await.unwrap();
        (spec(&found)["updateStrategy"]["type"] == "OnDelete").then_some(found)
    })
    .await;
    assert_eq!(spec(&after)["minReadySeconds"], 5, "what it should be is not known");
    assert!(trial.events("DaemonSetRestored").await.is_empty());
}
