//! The API server ends an expression that costs too much, and refuses the object. The largest that it takes have to pass.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::json;

use super::super::trial;
use super::installed::{Policies, list};
use super::{as_controller, as_new, controllers_client, dry_run, refusal, with};
use crate::controller::Controller;

/// Patterns of which the last one matches.
fn patterns() -> Vec<String> {
    let others = (0..20).map(|number| format!("registry-{number}.example.com/team-{number}/**"));
    others.chain(["docker.io/library/*".to_owned(), "ghcr.io/acme/**".to_owned()]).collect()
}

#[tokio::test]
async fn the_largest_list_and_the_largest_daemon_set_are_within_the_budget() {
    let trial = trial("costs").await;
    let _policies =
        Policies::install(&trial, json!({"images": patterns(), "maxResources": {"memory": "64Mi", "cpu": "1"}})).await;
    let pair = |number: usize| format!("image-number-{number}=ghcr.io/acme/repository-{number}@sha256:{number:064x}");
    let texts: Vec<String> = (0..2_000).map(pair).collect();
    let largest = list(json!({"data": {"IMAGES": texts.join(";\n")}}));
    trial.api::<ConfigMap>().create(&dry_run(), &largest).await.unwrap();
    let mut texts = texts;
    *texts.last_mut().unwrap() = "last=evil.test/it:1".to_owned();
    let refused = list(json!({"data": {"IMAGES": texts.join(";\n")}}));
    let (_, text) = refusal(trial.api::<ConfigMap>().create(&dry_run(), &refused).await, "the last of many");
    assert!(text.starts_with("IMAGES: evil.test/it is not allowed; allowed: "), "{text}");

    let proxy = as_controller(&trial).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let one = trial.settled_on(&["nginx:1.27"]).await;
    controller.kill();
    let container = serde_json::to_value(&one).unwrap()["spec"]["template"]["spec"]["containers"][0].clone();
    let many: Vec<_> = (0..1_500)
        .map(|number| {
            let mut container = container.clone();
            container["name"] = json!(format!("image-number-{number}"));
            container["image"] = json!(format!("ghcr.io/acme/repository-{number}@sha256:{number:064x}"));
            container
        })
        .collect();
    let own: Api<DaemonSet> = Api::namespaced(controllers_client(&trial).await, &trial.namespace);
    let largest = as_new(&with(&one, "/spec/template/spec/containers", json!(many)));
    own.create(&dry_run(), &largest).await.unwrap();
}
