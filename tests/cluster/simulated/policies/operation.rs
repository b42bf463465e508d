//! The controller with all policies installed.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_prepull::naming::labels;
use serde_json::json;

use super::super::kip::leave_behind;
use super::super::trial;
use super::installed::Policies;
use super::{BREAK_GLASS, admin_of_namespace, as_controller};
use crate::controller::Controller;
use crate::tag_checks::{answered, request};
use crate::trial::eventually;

/// Policies whose variables are as narrow as the lists of these tests allow.
fn narrow() -> serde_json::Value {
    json!({
        "images": ["docker.io/library/*"], "serviceAccounts": ["default"], "imagePullSecrets": [], "priorityClasses": [],
        "tolerations": [], "podLabelPrefixes": [], "podAnnotationPrefixes": [], "maxResources": {"memory": "1Mi", "cpu": "1m"},
    })
}

#[tokio::test]
async fn the_controller_accepts_edits_refreshes_restores_adopts_and_deletes_under_the_narrowest_policies() {
    let trial = trial("operation").await;
    leave_behind(&trial, &["nginx:1.27"]).await;
    let _policies = Policies::install(&trial, narrow()).await;
    let proxy = as_controller(&trial).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.reported("DaemonSetAdopted").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    let live = trial.settled_on(&["nginx:1.27", "redis:7"]).await;
    request(&trial, "one").await;
    answered(&trial, "one").await;

    // In an emergency, people may; the controller restores what it holds.
    let breaker = admin_of_namespace(&trial, &[BREAK_GLASS]).await;
    let daemon_sets = kube::Api::<DaemonSet>::namespaced(breaker, &trial.namespace);
    let patch = Patch::Merge(json!({"spec": {"template": {"spec": {"nodeSelector": {"no": "node"}}}}}));
    daemon_sets.patch(&live.name_any(), &PatchParams::default(), &patch).await.unwrap();
    trial.reported("DaemonSetRestored").await;
    let restored: DaemonSet = trial.api().get(&live.name_any()).await.unwrap();
    assert_eq!(restored.spec.unwrap().template.spec.unwrap().node_selector, None);

    // A group that goes releases what it held; a list that went is missing first.
    trial.write_list("tools", "images: [redis:7]").await;
    trial.settled_on(&["redis:7"]).await;
    trial.api::<ConfigMap>().delete("tools", &DeleteParams::default()).await.unwrap();
    eventually("the list to be noted as missing", async || {
        trial.revisions().await.iter().any(|it| it.annotations().contains_key(labels::MISSING_SINCE)).then_some(())
    })
    .await;
    let longer = json!({"metadata": {"annotations": {labels::MISSING_SINCE: "2020-01-01T00:00:00Z"}}});
    let revision = trial.revisions().await.into_iter().find(|it| it.annotations().contains_key(labels::MISSING_SINCE));
    let client = trial.client_in("admin", &["system:masters", BREAK_GLASS]).await;
    let versions = kube::Api::<k8s_openapi::api::apps::v1::ControllerRevision>::namespaced(client, &trial.namespace);
    versions.patch(&revision.unwrap().name_any(), &PatchParams::default(), &Patch::Merge(longer)).await.unwrap();
    eventually("everything to be gone", async || {
        (trial.daemon_sets().await.is_empty() && trial.revisions().await.is_empty()).then_some(())
    })
    .await;
    let log = controller.log();
    assert!(!log.contains("refused by"), "{log}");
}
