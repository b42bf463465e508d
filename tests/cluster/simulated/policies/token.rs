//! What the controller's token is worth beside DaemonSets.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::super::trial;
use super::installed::Policies;
use super::{as_controller, controllers_client, dry_run, refusal};

/// A pod that a restricted namespace lets in.
fn pod() -> Value {
    let security = json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = json!({"name": "it", "image": "it", "securityContext": {
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    json!({"metadata": {"name": "it", "labels": {"app": "it"}}, "spec": {"securityContext": security, "containers": [container]}})
}

#[tokio::test]
async fn the_controllers_account_creates_no_pods_edits_no_lists_and_deletes_nothing_of_others() {
    let trial = trial("token").await;
    let _policies = Policies::install(&trial, json!({})).await;
    let _proxy = as_controller(&trial).await;
    let client = controllers_client(&trial).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &trial.namespace);
    let object: Pod = serde_json::from_value(pod()).unwrap();
    pods.create(&dry_run(), &object).await.unwrap();
    let (policy, text) = refusal(pods.create(&PostParams::default(), &object).await, "a pod");
    assert!(policy == "kube-prepull-pods" && text.contains("dry runs only"), "{text}");
    trial.create::<Pod>(pod()).await;
    let deletion = DeleteParams { dry_run: true, ..DeleteParams::default() };
    assert_eq!(refusal(pods.delete("it", &deletion).await, "deleting a pod").0, "kube-prepull-pods");

    let mut foreign = json!({"metadata": {"name": "foreign"}, "spec": {
        "selector": {"matchLabels": {"app": "it"}}, "template": pod()}});
    foreign["spec"]["template"]["metadata"]["name"] = Value::Null;
    trial.create::<DaemonSet>(foreign).await;
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), &trial.namespace);
    assert_eq!(refusal(daemon_sets.delete("foreign", &deletion).await, "deleting").0, "kube-prepull-holders");
    let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}));
    assert_eq!(refusal(daemon_sets.patch("foreign", &parameters, &patch).await, "patching").0, "kube-prepull-holders");

    trial.write_data("tools", json!({"IMAGES": "a=nginx:1.27"})).await;
    let lists: Api<ConfigMap> = Api::namespaced(client, &trial.namespace);
    let state = json!({"metadata": {"labels": {"kube-prepull.io/state": "accepted"},
                                    "annotations": {"kube-prepull.io/data-hash": "a"}}});
    lists.patch("tools", &parameters, &Patch::Merge(state)).await.unwrap();
    for (patch, field) in [
        (json!({"data": {"IMAGES": "a=evil.test/it:1"}}), "data: "),
        (json!({"immutable": true}), "data: "),
        (json!({"metadata": {"labels": {"kube-prepull.io/image-list": null}}}), "metadata.labels: "),
        (json!({"metadata": {"annotations": {"example.com/a": "b"}}}), "metadata.annotations: "),
        (json!({"metadata": {"finalizers": ["example.com/stay"]}}), "metadata.ownerReferences: "),
    ] {
        let answer = lists.patch("tools", &parameters, &Patch::Merge(patch.clone())).await;
        let (policy, text) = refusal(answer, &patch.to_string());
        assert!(policy == "kube-prepull-states" && text.starts_with(field), "{patch}: {text}");
    }
}
