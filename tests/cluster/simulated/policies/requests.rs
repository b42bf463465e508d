//! What lists may ask for, and what is reported of a list that asks for more.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::super::trial;
use super::installed::Policies;
use super::{as_controller, controllers_client, holding};
use crate::controller::Controller;
use crate::tag_checks::request;
use crate::trial::{Trial, eventually};

/// The note of the Event about a refusal of this list.
async fn refused(trial: &Trial, list: &str) -> String {
    let event = eventually(&format!("the refusal of {list}"), async || {
        let mut events = trial.events("Refused").await;
        events.retain(|it| it.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(list)));
        events.pop()
    })
    .await;
    event.note.unwrap()
}

#[tokio::test]
async fn what_a_list_may_not_ask_for_is_reported_as_policy_with_its_key_and_concerns_no_other_list() {
    let trial = trial("requests").await;
    let _policies = Policies::install(
        &trial,
        json!({
            "images": ["docker.io/library/*"], "serviceAccounts": ["default"], "imagePullSecrets": ["ours-*"],
            "priorityClasses": ["low"], "tolerations": ["gpu"], "podLabelPrefixes": ["example.com/"],
            "podAnnotationPrefixes": ["example.com/"], "maxResources": {"memory": "64Mi"}, "maxImages": 2,
        }),
    )
    .await;
    let proxy = as_controller(&trial).await;
    // The controller's own policy would reject these lists first.
    let all = "{serviceAccounts: ['*'], priorityClasses: ['*'], podLabels: ['*'], podAnnotations: ['*']}";
    let controller = Controller::start_through_with(&trial, &proxy.kubeconfig, &["--policy-text", all]).await;
    let group = |content: &str| format!("groups: [{{name: g, {content}}}]");
    let cases = [
        (
            "images",
            "images: [evil.test/a:1, evil.test/b:1]",
            "images: evil.test/a is not allowed, nor are 1 more; allowed: ",
        ),
        ("many", "images: [nginx:1, nginx:2, nginx:3]", "images: 3 are more than the allowed 2"),
        ("own", "images: [nginx], serviceAccountName: limited", "serviceAccountName: no list may use limited, "),
        ("account", "images: [nginx], serviceAccountName: builder", "serviceAccountName: builder is not allowed; "),
        ("secrets", "images: [nginx], imagePullSecrets: [ours-a, other]", "imagePullSecrets: other is not allowed; "),
        ("class", "images: [nginx], priorityClassName: high", "priorityClassName: high is not allowed; "),
        (
            "key",
            "images: [nginx], tolerations: [{key: gpux, operator: Exists}]",
            "tolerations: the key gpux is not allowed; ",
        ),
        (
            "all",
            "images: [nginx], tolerations: [{operator: Exists}]",
            "tolerations: a toleration of all taints is not allowed; ",
        ),
        (
            "labels",
            "images: [nginx], podLabels: {app: shop}",
            "podLabels: app is not allowed; allowed prefixes: example.com/",
        ),
        (
            "mesh",
            "images: [nginx], podLabels: {sidecar.istio.io/inject: 'true'}",
            "podLabels: sidecar.istio.io/inject is ",
        ),
        ("notes", "images: [nginx], podAnnotations: {a: b}", "podAnnotations: a is not allowed; "),
        (
            "memory",
            "images: [nginx], resources: {limits: {memory: 1Gi}}",
            "resources: a request or limit of the image nginx ",
        ),
    ];
    for (list, content, _) in &cases {
        trial.write_list(list, &group(content)).await;
    }
    let allowed = "images: [nginx:1.27, library/redis:7], imagePullSecrets: [ours-a], priorityClassName: low, podLabels: {example.com/a: b}, \
                   podAnnotations: {example.com/a: b}, tolerations: [{key: gpu, operator: Exists}], resources: {limits: {memory: 64Mi}}";
    trial.write_list("tools", &group(allowed)).await;
    for (list, _, words) in &cases {
        let said = refused(&trial, list).await;
        let policy =
            format!("refused by the ValidatingAdmissionPolicy kube-prepull-requests.{}: {words}", trial.namespace);
        assert!(said.contains(&policy), "{list}: {said}");
        let (key, _) = words.split_once(':').unwrap();
        assert!(said.ends_with(&format!("; change {key} in the list, or have the policy allow it")), "{list}: {said}");
    }
    trial.settled_on(&["nginx:1.27", "library/redis:7"]).await;
    assert_eq!(controller.get("/readyz").map(|(status, _)| status), Some(200));
    assert!(trial.events("MissingRight").await.is_empty());
}

#[tokio::test]
async fn what_is_held_stays_and_is_still_managed_when_the_policy_or_the_list_changes() {
    let trial = trial("stays").await;
    let policies = Policies::install(&trial, json!({})).await;
    let (_proxy, _controller, held) = holding(&trial).await;
    policies.set(&trial, "kube-prepull-requests", "images", json!(["registry.test/**"])).await;

    // A tag check would be another DaemonSet.
    request(&trial, "one").await;
    let said = refused(&trial, "tools").await;
    assert!(
        said.contains("cannot create the tag check ") && said.contains(": images: docker.io/library/nginx "),
        "{said}"
    );
    trial.write_list("tools", "images: [nginx:1.28]").await;
    eventually("the refusal of the edit", async || {
        trial
            .events("Refused")
            .await
            .iter()
            .any(|it| it.note.as_deref().unwrap_or_default().contains("cannot create the DaemonSet "))
            .then_some(())
    })
    .await;
    let stays = trial.settled_on(&["nginx:1.27"]).await;
    assert_eq!(stays.metadata.uid, held.metadata.uid);

    let own: Api<DaemonSet> = Api::namespaced(controllers_client(&trial).await, &trial.namespace);
    let pod = json!({"nodeSelector": {"a": "b"}, "containers": [{"name": "nginx", "imagePullPolicy": "IfNotPresent"}]});
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": pod}}}));
    let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
    own.patch(&held.name_any(), &parameters, &patch).await.unwrap();
}
