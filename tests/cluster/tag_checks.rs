//! Requests tag checks, and reads their records.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;
use kube::api::ListParams;
use kube_prepull::naming::labels;
use kube_prepull::plan::generation::tag_check_record::TagCheckRecord;

use super::trial::{SOON, Trial, within};

/// The tag checks, also those that are about to go.
pub async fn tag_checks(trial: &Trial) -> Vec<DaemonSet> {
    trial.api::<DaemonSet>().list(&ListParams::default().labels(labels::TAG_CHECK)).await.unwrap().items
}

/// Asks the list `tools` for a refresh.
pub async fn request(trial: &Trial, value: &str) {
    trial.annotate_list("tools", labels::REFRESH_REQUESTED, value).await;
}

/// What a DaemonSet says of the tag checks.
pub fn tag_check_record(daemon_set: &DaemonSet) -> TagCheckRecord {
    daemon_set.annotations().get(labels::TAG_CHECKS).map(|text| TagCheckRecord::from_text(text)).unwrap_or_default()
}

/// Waits until the request of that value has been answered by a tag check and its DaemonSets go, and returns the newest generation then.
pub async fn answered(trial: &Trial, value: &str) -> DaemonSet {
    // On real nodes it pulls and starts a container for each of the images.
    within(2 * SOON, &format!("the request {value} to be answered"), async || {
        let newest = trial.daemon_sets().await.into_iter().max_by_key(number)?;
        let ended = tag_checks(trial).await.iter().all(|check| check.metadata.deletion_timestamp.is_some());
        (tag_check_record(&newest).answers(value) && ended).then_some(newest)
    })
    .await
}

/// Which generation it is, counted from 1.
pub fn number(daemon_set: &DaemonSet) -> u32 {
    daemon_set.annotations()["kube-prepull.io/revision"].parse().unwrap()
}
