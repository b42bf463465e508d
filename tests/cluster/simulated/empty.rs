//! A list that has no images yet.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::metrics::{scrape, value};
use super::trial;
use super::wait::wait;
use crate::controller::Controller;
use crate::trial::eventually;

const PROBLEMS: &str = "kube-prepull.io/problems";

/// As the chart writes it with this value for the images.
fn data(images: &str) -> Value {
    json!({"IMAGES": images, "DAEMONSET_NAME": "puller", "CACHING_INTERVAL_HOURS": "1"})
}

#[tokio::test]
async fn a_new_list_without_images_is_no_failure_and_removing_all_images_later_is_one() {
    let trial = trial("empty").await;
    let controller = Controller::start(&trial).await;
    trial.write_data("tools", data("")).await;
    let list = trial.validated("tools", "empty").await;
    assert!(!list.annotations().contains_key(PROBLEMS), "{:?}", list.annotations());
    let event = eventually("the Event", async || trial.events("ListEmpty").await.pop()).await;
    assert_eq!(event.type_.as_deref(), Some("Normal"));
    assert!(event.note.unwrap().ends_with("add some to the key IMAGES, as name=image;name=image"));
    let status = trial.status();
    assert_eq!((&status["lists"][0]["state"], &status["warm"]), (&json!("empty"), &json!(true)), "{status}");
    let (code, said) = wait(&trial, &["tools"]).await;
    assert!(code == Some(0) && said.contains("has no images yet, so there is nothing to wait for"), "{said}");
    let (code, said) = wait(&trial, &["tools", "--image", "nginx:1.27"]).await;
    assert!(code == Some(2) && said.contains("nginx:1.27 is not on the list, which has no images yet"), "{said}");
    let samples = eventually("the list's series", async || {
        Some(scrape(&controller)).filter(|it| value(it, r#"list_rejections_total{list="tools"}"#) == Some(0.0))
    })
    .await;
    assert_eq!(value(&samples, r#"list_accepted{list="tools"}"#), None, "the alert needs a 0");
    assert!(trial.events("ListRejected").await.is_empty() && trial.revisions().await.is_empty());

    trial.write_data("tools", data("web=nginx:1.27")).await;
    trial.validated("tools", "accepted").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    assert_eq!(trial.reported("ListAccepted").await, "accepted: 1 image in 1 group");

    trial.write_data("tools", data("")).await;
    let list = trial.validated("tools", "rejected").await;
    assert!(list.annotations()[PROBLEMS].contains("this list has no image"));
    let note = trial.reported("ListRejected").await;
    assert!(note.starts_with("this edit is rejected; the version accepted at 2"), "{note}");
    assert!(note.contains("Z stays in effect: IMAGES: this list has no image"), "{note}");
    let (code, said) = wait(&trial, &["tools"]).await;
    assert!(code == Some(1) && said.contains("is rejected; the version accepted at 2"), "{said}");
    let after = trial.settled_on(&["nginx:1.27"]).await;
    assert_eq!((before.metadata.uid, before.metadata.generation), (after.metadata.uid, after.metadata.generation));
}

#[tokio::test]
async fn a_new_list_that_is_rejected_claims_nothing_to_be_in_effect() {
    let trial = trial("emptybad").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [Bad]").await;
    trial.validated("tools", "rejected").await;
    let note = trial.reported("ListRejected").await;
    assert!(note.starts_with("this edit is rejected, and nothing was changed: "), "{note}");
    let (code, said) = wait(&trial, &["tools"]).await;
    assert!(code == Some(1) && said.contains("is rejected; no version of it was accepted before:"), "{said}");
}
