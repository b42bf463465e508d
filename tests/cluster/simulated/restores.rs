//! What another client does to DaemonSets is undone.
//!
//! - [`alterations`]: what that may be
//! - [`foes`]: somebody who goes on, admission that changes things too, and generations that retire

mod alterations;
mod foes;

use std::collections::{BTreeMap, BTreeSet};

use alterations::Alteration;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::trial::{SOON, Trial, eventually, within};

/// How somebody changes things.
#[derive(Clone, Copy)]
enum Way {
    Patch(&'static str),
    Apply(&'static str),
}

async fn alter(trial: &Trial, name: &str, way: Way, patch: &Value) {
    let api: Api<DaemonSet> = trial.api();
    let altered = match way {
        Way::Patch(manager) => {
            let parameters = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
            api.patch(name, &parameters, &Patch::Strategic(patch.clone())).await
        }
        Way::Apply(manager) => {
            let mut object = patch.clone();
            object["apiVersion"] = json!("apps/v1");
            object["kind"] = json!("DaemonSet");
            object["metadata"] = json!({"name": name});
            api.patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(object)).await
        }
    };
    altered.unwrap_or_else(|error| panic!("{patch}: {error}"));
}

/// An edit that keeps the node's pods away and would have them replaced.
fn no_node() -> Value {
    json!({"spec": {
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "nginx", "image": "evil:1"}]}},
    }})
}

fn spec(daemon_set: &DaemonSet) -> Value {
    serde_json::to_value(&daemon_set.spec).unwrap()
}

/// Waits until the DaemonSet has the spec again that it had before, and that is noted as ours.
async fn restored(trial: &Trial, before: &DaemonSet) -> DaemonSet {
    eventually(&format!("{} to be restored", before.name_any()), async || {
        let after = trial.api::<DaemonSet>().get(&before.name_any()).await.unwrap();
        (spec(&after) == spec(before) && is_noted(&after)).then_some(after)
    })
    .await
}

fn is_noted(daemon_set: &DaemonSet) -> bool {
    let left = daemon_set.annotations().get("kube-prepull.io/spec-generation").and_then(|text| text.parse().ok());
    left == daemon_set.metadata.generation
}

/// What restores were reported, by the DaemonSets.
async fn reported(trial: &Trial) -> BTreeMap<String, String> {
    let events = trial.events("DaemonSetRestored").await.into_iter();
    events.map(|event| (event.related.unwrap().name.unwrap(), event.note.unwrap())).collect()
}

/// Waits until so many DaemonSets have all of their pods that this takes longer than for one.
async fn all_warm(trial: &Trial) {
    within(SOON * 3, "all to be warm", async || (trial.status()["warm"] == true).then_some(())).await;
}

/// A group, and so a DaemonSet, for each of them: the same one would meet longer and longer pauses.
async fn undone(trial: &Trial, way: Way, manager: &str, alterations: &[Alteration]) {
    let _controller = Controller::start(trial).await;
    let placement = "tolerations: [{key: gpu, operator: Exists}], imagePullSecrets: [own]";
    let groups =
        (0..alterations.len()).map(|it| format!("- {{name: g{it}, images: [nginx:1.27, redis:7], {placement}}}\n"));
    trial.write_list("tools", &format!("groups:\n{}", groups.collect::<String>())).await;
    let all = eventually("all DaemonSets", async || {
        let found = trial.daemon_sets().await;
        let groups = found.into_iter().map(|it| (it.labels()["kube-prepull.io/group"].clone(), it));
        let groups: BTreeMap<String, DaemonSet> = groups.collect();
        (groups.len() == alterations.len()).then_some(groups)
    })
    .await;
    all_warm(trial).await;
    let of = |index: usize| &all[&format!("g{index}")];
    for (index, alteration) in alterations.iter().enumerate() {
        alter(trial, &of(index).name_any(), way, &alteration.patch).await;
    }
    for (index, alteration) in alterations.iter().enumerate() {
        let before = of(index);
        let after = restored(trial, before).await;
        assert!(after.metadata.generation > before.metadata.generation, "{} changes something", alteration.of);
        assert_eq!(after.metadata.uid, before.metadata.uid);
    }
    let names: BTreeSet<String> = all.values().map(|it| it.name_any()).collect();
    let reported = eventually("all of them to be reported", async || {
        Some(reported(trial).await).filter(|reported| reported.keys().cloned().collect::<BTreeSet<_>>() == names)
    })
    .await;
    for (index, alteration) in alterations.iter().enumerate() {
        let note = &reported[&of(index).name_any()];
        // The API server does not record who removed a field.
        let who = if alteration.removes { "another client" } else { manager };
        let expected = format!("was changed by {who} and has been restored");
        assert!(note.contains(&expected), "{}: {note}", alteration.of);
    }
    all_warm(trial).await;
    let after: BTreeSet<String> = trial.daemon_sets().await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(after, names, "no rollout begins");
}

#[tokio::test]
async fn every_field_that_a_patch_changes_is_restored() {
    let trial = trial("patched").await;
    undone(&trial, Way::Patch("kubectl-patch"), "kubectl-patch", &alterations::all()).await;
}

#[tokio::test]
async fn every_field_that_an_apply_of_another_manager_changes_is_restored() {
    let trial = trial("applied").await;
    let mut alterations = alterations::all();
    alterations.retain(|alteration| !alteration.removes);
    undone(&trial, Way::Apply("argocd-controller"), "argocd-controller", &alterations).await;
}

#[tokio::test]
async fn a_deleted_daemon_set_is_recreated() {
    let trial = trial("deleted").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.api::<DaemonSet>().delete(&before.name_any(), &DeleteParams::default()).await.unwrap();
    let after = trial.settled_on(&["nginx:1.27"]).await;
    assert_ne!(before.metadata.uid, after.metadata.uid);
}

#[tokio::test]
async fn what_others_have_in_its_metadata_stays() {
    let trial = trial("metadata").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    let theirs = json!({"labels": {"team": "a"}, "annotations": {"theirs.test/note": "b"}});
    let metadata = Patch::Merge(json!({"metadata": theirs}));
    trial.api::<DaemonSet>().patch(&before.name_any(), &PatchParams::default(), &metadata).await.unwrap();
    alter(&trial, &before.name_any(), Way::Patch("kubectl-patch"), &no_node()).await;
    let after = restored(&trial, &before).await;
    assert_eq!((&*after.labels()["team"], &*after.annotations()["theirs.test/note"]), ("a", "b"));
}

#[tokio::test]
async fn while_no_controller_runs_status_names_whoever_changed_it_and_blames_nobody_else() {
    let trial = trial("away").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    eventually("all to be warm", async || (trial.status()["warm"] == true).then_some(())).await;
    controller.kill();
    alter(&trial, &before.name_any(), Way::Patch("kubectl-patch"), &no_node()).await;
    let behind = eventually("all pods to be gone", async || {
        // Of those that are still going, something else is said.
        trial.pods().await.is_empty().then_some(())?;
        let image = trial.status()["lists"][0]["groups"][0]["images"][0].clone();
        (image["nodes"]["warm"] == 0).then(|| image["behind"].clone())
    })
    .await;
    assert_eq!((behind.as_array().unwrap().len(), &behind[0]["reason"]), (1, &json!("Altered")), "{behind}");
    assert_eq!(behind[0]["cause"], "the DaemonSet has no pod there and was changed by kubectl-patch");
    assert!(!behind.to_string().contains("quota"), "{behind}");
    let _controller = Controller::start(&trial).await;
    restored(&trial, &before).await;
    eventually("all to be warm again", async || (trial.status()["warm"] == true).then_some(())).await;
}

#[tokio::test]
async fn a_restore_is_remembered_over_a_restart() {
    let trial = trial("remembered").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    alter(&trial, &before.name_any(), Way::Patch("kubectl-patch"), &no_node()).await;
    let before = restored(&trial, &before).await;
    trial.reported("DaemonSetRestored").await;
    controller.kill();
    let controller = Controller::start(&trial).await;
    trial.write_list("other", "images: [redis:7]").await;
    trial.validated("other", "accepted").await;
    let after = trial.api::<DaemonSet>().get(&before.name_any()).await.unwrap();
    assert_eq!(before.metadata.generation, after.metadata.generation, "{}", controller.log());
    assert_eq!(trial.events("DaemonSetRestored").await.len(), 1);
}
