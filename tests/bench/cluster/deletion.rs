//! Deletes lists, and their DaemonSets at once: a deleted list stays in effect for some minutes, which are let pass here.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube_prepull::naming::labels;
use serde_json::json;

use crate::PATIENCE;
use crate::trial::{Trial, within};

/// Longer than a deleted list stays in effect.
const AGO: SignedDuration = SignedDuration::from_hours(1);
/// For how long the last of what was deleted may still be on its way.
const SETTLE: Duration = Duration::from_secs(15);

/// Deletes these lists, and waits until there are only so many DaemonSets.
pub async fn delete(trial: &Trial, lists: impl Iterator<Item = String>, stay: usize) {
    for list in lists {
        trial.api::<ConfigMap>().delete(&list, &DeleteParams::default()).await.unwrap();
    }
    within(PATIENCE, "the DaemonSets of deleted lists to be gone", async || {
        let found = trial.api::<DaemonSet>().list_metadata(&ListParams::default()).await.unwrap();
        if found.items.len() <= stay {
            return Some(());
        }
        let_time_pass(trial).await;
        None
    })
    .await;
    tokio::time::sleep(SETTLE).await;
}

/// As if the lists that were noted as missing had been missing for long.
async fn let_time_pass(trial: &Trial) {
    let (api, now) = (trial.api::<ControllerRevision>(), Timestamp::now());
    let of_lists = ListParams::default().labels(labels::REVISIONS_OF_LISTS);
    for revision in api.list_metadata(&of_lists).await.unwrap().items {
        let since = revision.annotations().get(labels::MISSING_SINCE).and_then(|time| time.parse::<Timestamp>().ok());
        if since.is_some_and(|since| now.duration_since(since) < AGO) {
            let patch = json!({"metadata": {"annotations": {labels::MISSING_SINCE: (now - AGO - AGO).to_string()}}});
            // It goes with its list at any time.
            drop(api.patch_metadata(&revision.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await);
        }
    }
}
