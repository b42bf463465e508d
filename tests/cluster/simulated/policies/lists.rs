//! Who may write lists, and which.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::super::trial;
use super::installed::{Policies, list};
use super::{BREAK_GLASS, admin_of_namespace, dry_run, refusal};

#[tokio::test]
async fn by_default_everybody_writes_lists_and_binary_data_is_refused() {
    let trial = trial("anylist").await;
    let _policies = Policies::install(&trial, json!({})).await;
    let client = admin_of_namespace(&trial, &[]).await;
    let lists: Api<ConfigMap> = Api::namespaced(client, &trial.namespace);
    for data in [
        json!({"IMAGES": "a=nginx:1.27; b = evil.test/it ;"}),
        json!({"images.yaml": "images: [nginx]"}),
        json!({"other": "x"}),
        json!({}),
    ] {
        lists.create(&dry_run(), &list(json!({"data": data}))).await.unwrap();
    }
    let (policy, text) = refusal(lists.create(&dry_run(), &list(json!({"binaryData": {"a": "YQ=="}}))).await, "binary");
    assert!(policy == "kube-prepull-lists" && text.starts_with("binaryData: "), "{text}");
}

#[tokio::test]
async fn restricted_only_the_group_writes_lists_of_the_allowed_images_keys_and_sizes() {
    let trial = trial("narrow-lists").await;
    let _policies = Policies::install(
        &trial,
        json!({
            "listEditorGroups": ["platform"], "configMaps": ["by-name"], "keys": ["images.yaml", "IMAGES", "CACHING_*"],
            "maxBytes": 300, "maxImages": 3,
            "images": ["docker.io/library/*", "ghcr.io/acme/**", "[fd00::3]:5000/app", "localhost:5000/tools/*/it"],
        }),
    )
    .await;
    let editors: Api<ConfigMap> = Api::namespaced(admin_of_namespace(&trial, &["platform"]).await, &trial.namespace);
    let others: Api<ConfigMap> = Api::namespaced(admin_of_namespace(&trial, &[]).await, &trial.namespace);
    let breakers: Api<ConfigMap> = Api::namespaced(admin_of_namespace(&trial, &[BREAK_GLASS]).await, &trial.namespace);
    let create = async |data: Value| editors.create(&dry_run(), &list(json!({"data": data}))).await;
    for allowed in [
        "a=nginx:1.27",
        "a=library/nginx@sha256:aa;b=docker.io/nginx:1; c=index.docker.io/library/nginx:1",
        "a=ghcr.io/acme/app:1;b=GHCR.io:443/acme/team/app@sha256:aa",
        "a=[fd00::3]:5000/app:1;\nb=localhost:5000/tools/x/it:2;\n",
        "nginx",
    ] {
        create(json!({"IMAGES": allowed, "CACHING_MEMORY_LIMIT": "20Mi"}))
            .await
            .unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for (refused, words) in [
        ("a=acme/app:1", "IMAGES: docker.io/acme/app is not allowed; allowed: docker.io/library/*"),
        ("a=nginx;b=evil.test/nginx:1", "IMAGES: evil.test/nginx "),
        ("a=ghcr.io/acme-evil/app:1", "IMAGES: ghcr.io/acme-evil/app "),
        ("a=ghcr.io:5000/acme/app:1", "IMAGES: ghcr.io:5000/acme/app "),
        ("a=ghcrxio/acme/app:1", "IMAGES: docker.io/ghcrxio/acme/app "),
        ("a=localhost:5000/tools/x/y/it:2", "IMAGES: localhost:5000/tools/x/y/it "),
        ("a=nginx;b=nginx;c=nginx;d=nginx", "IMAGES: 4 images are more than the allowed 3"),
    ] {
        let (policy, text) = refusal(create(json!({"IMAGES": refused})).await, refused);
        assert!(policy == "kube-prepull-lists" && text.starts_with(words), "{refused}: {text}");
    }
    for (data, words) in [
        (json!({"images.yaml": "x".repeat(301)}), "data: the list has more than 300 bytes"),
        (json!({"images.yml": "images: [nginx]"}), "data: the key images.yml is not allowed"),
        (json!({"imagesxyaml": ""}), "data: the key imagesxyaml is not allowed"),
    ] {
        let (_, text) = refusal(create(data).await, words);
        assert!(text.starts_with(words), "{text}");
    }

    // Who may write lists, by label and by name.
    let any = list(json!({"data": {"images.yaml": "images: [nginx]"}}));
    let (_, text) = refusal(others.create(&dry_run(), &any).await, "a list of another user");
    assert!(text.starts_with("metadata.labels: only members of platform, kube-prepull:break-glass may"), "{text}");
    let mut unlabelled = any.clone();
    unlabelled.metadata.labels = None;
    others.create(&dry_run(), &unlabelled).await.unwrap();
    unlabelled.metadata.name = Some("by-name".to_owned());
    refusal(others.create(&dry_run(), &unlabelled).await, "a list by name");
    breakers.create(&dry_run(), &list(json!({"data": {"x": "y".repeat(400)}}))).await.unwrap();
    editors.create(&PostParams::default(), &any).await.unwrap();
    let parameters = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = async |patch: Value| others.patch("trying", &parameters, &Patch::Merge(patch)).await;
    patch(json!({"metadata": {"annotations": {"a": "b"}}})).await.unwrap();
    refusal(patch(json!({"data": {"images.yaml": "images: [redis]"}})).await, "an edit");
    refusal(patch(json!({"metadata": {"labels": {"kube-prepull.io/image-list": null}}})).await, "no label");
}
