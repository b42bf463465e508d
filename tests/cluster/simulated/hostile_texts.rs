//! What nodes, registries and users say is clean wherever people read it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use kube_prepull::text::json::ascii;
use serde_json::json;

use super::trial;
use crate::controller::Controller;
use crate::hostile::{MESSAGE, SIGNATURE, assert_clean, assert_clean_everywhere};
use crate::nodes::{Nodes, unattended};
use crate::trial::{Trial, eventually};

/// Plays a kubelet to which a registry said this.
pub async fn fail_pulls(trial: &Trial, message: &str) {
    let pods: Api<Pod> = trial.api();
    eventually("a pod on the node", async || {
        let pods = trial.pods().await;
        pods.iter().any(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).then_some(())
    })
    .await;
    for pod in trial.pods().await {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": message}});
        let statuses: Vec<_> = containers
            .map(|it| {
                json!({"name": it.name, "image": it.image, "imageID": "", "ready": false, "restartCount": 0, "state": waiting})
            })
            .collect();
        let status = json!({"status": {"phase": "Pending", "containerStatuses": statuses}});
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_registry_says_is_clean_in_status_events_annotations_metrics_and_the_log() {
    let trial = trial("hostile-texts").await;
    let nodes = Nodes::of(&trial);
    nodes.add("one", unattended("amd64")).await;
    let controller = Controller::start(&trial).await;
    let group = format!("groups: [{{name: g, images: ['registry.example/app:1'], {}}}]", nodes.placement());
    trial.write_list("tools", &group).await;
    let url = format!("https://s3.test/blob?X-Amz-Credential={SIGNATURE}&X-Amz-Signature={SIGNATURE}");
    let message =
        format!("failed to open: unexpected status code {url}: 403 Forbidden - Server message: denied: {MESSAGE}");
    fail_pulls(&trial, &message).await;
    trial.reported("ImageFailing").await;
    trial.noted_as_reported("owned").await;
    let shown = assert_clean_everywhere(&trial, &controller).await;
    assert!(shown.contains("https://s3.test/blob?<removed>"), "{shown}");
    assert!(shown.matches("owned").count() > 5, "it is shown, and cleaned: {shown}");
}

#[tokio::test]
async fn what_a_user_writes_is_clean_in_the_problems_of_a_list() {
    let trial = trial("hostilelist").await;
    let controller = Controller::start(&trial).await;
    let key = format!("key {MESSAGE} https://jane:{SIGNATURE}@a.test");
    // YAML has no control characters, except in escapes.
    let text = json!({key.clone(): 1, "images": [format!("a {key}")], "podAnnotations": {"team": key}}).to_string();
    trial.write_list("tools", &ascii(&text)).await;
    let list = trial.validated("tools", "rejected").await;
    trial.reported("ListRejected").await;
    for problem in list.annotations()["kube-prepull.io/problems"].lines() {
        assert_clean("a problem", problem, false);
    }
    let shown = assert_clean_everywhere(&trial, &controller).await;
    assert!(shown.contains("owned"), "{shown}");
}

/// The body of a server-side apply is read as YAML, which has no control characters.
#[tokio::test]
async fn control_characters_of_an_annotation_reach_the_pods() {
    let trial = trial("hostilenote").await;
    let _controller = Controller::start(&trial).await;
    let list = r#"{"images": ["nginx:1.27"], "podAnnotations": {"team": "a\u007f\u009b\ufeffb"}}"#;
    trial.write_list("tools", list).await;
    trial.settled_on(&["nginx:1.27"]).await;
    let template = trial.daemon_sets().await.remove(0).spec.unwrap().template;
    assert_eq!(template.metadata.unwrap().annotations.unwrap()["team"], "a\u{7f}\u{9b}\u{feff}b");
}
