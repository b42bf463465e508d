//! What is tried again after a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::ResourceExt;
use serde_json::json;

use super::super::events::note;
use super::super::image_caches::{LIST, one_ready};
use super::super::kubelets::Kubelets;
use super::trial;
use crate::controller::Controller;
use crate::tag_checks::request;
use crate::trial::eventually;

#[tokio::test]
async fn images_that_cannot_be_pulled_are_reported_when_they_begin_to_fail_and_when_they_are_held() {
    let trial = trial("failing").await;
    let broken = Arc::new(AtomicBool::new(true));
    let registry = Arc::clone(&broken);
    let kubelets = Kubelets::start(&trial, &["amd64", "amd64"], move |pull| {
        let fails = pull.image == "broken:1" && registry.load(Ordering::Relaxed);
        (!fails).then(|| format!("{}@sha256:{}", pull.image, "0123456789abcdef".repeat(4)))
    })
    .await;
    let controller = Controller::start(&trial).await;
    let images = "images: [broken:1, fine:1]";
    trial.write_list("tools", &format!("groups: [{{name: g, {images}, {}}}]", kubelets.placement())).await;
    let reported = note(&trial, "ImageFailing").await;
    assert!(reported.starts_with("group g: 1 of 2 images cannot be held: broken:1 cannot be pulled on "), "{reported}");
    assert!(reported.contains("ErrImagePull: manifest unknown"), "{reported}");
    trial.noted_as_reported("failing").await;
    controller.kill();
    broken.store(false, Ordering::Relaxed);
    let _controller = Controller::start(&trial).await;
    let recovered = note(&trial, "ImageRecovered").await;
    assert!(
        recovered.ends_with(": broken:1"),
        "the next controller reports what the one before did not see: {recovered}"
    );
    assert!(trial.events("ImageFailing").await.len() <= 2, "one node at first, perhaps, and then both");
    broken.store(true, Ordering::Relaxed);
    request(&trial, "in vain").await;
    let deferred = note(&trial, "RefreshDeferred").await;
    assert!(
        deferred.contains("the tags of 1 of 2 images could not be checked") && deferred.contains("manifest unknown"),
        "{deferred}"
    );
    broken.store(false, Ordering::Relaxed);
    note(&trial, "RefreshRecovered").await;
    assert_eq!(trial.events("RefreshDeferred").await.len(), 1);
}

#[tokio::test]
async fn a_failure_is_reported_with_its_reason_and_the_last_ready_one_stays() {
    let (it, _controller, first) = one_ready("cachefail").await;
    it.trial.write_list("tools", &LIST.replace("1.27", "1.28")).await;
    let second = it.newest_other_than(&first).await;
    let events = json!([{"type": "Warning", "reason": "PullFailed", "message": "no such manifest: nginx:1.28"}]);
    it.becomes(&second, json!({"phase": "Failed", "progress": "40%", "events": events})).await;
    let reported = it.trial.reported("ImageCacheFailed").await;
    assert!(
        reported.contains("PullFailed: no such manifest") && reported.contains("the next attempt is at"),
        "{reported}"
    );
    let third = eventually("another try", async || {
        let all = it.all().await;
        all.iter().find(|cache| ![first.name_any(), second.name_any()].contains(&cache.name_any())).cloned()
    })
    .await;
    assert_eq!(third.spec.images, second.spec.images);
    let left = it.number(2).await;
    assert!(left.iter().any(|cache| cache.name_any() == first.name_any()), "the ready one stays");
}
