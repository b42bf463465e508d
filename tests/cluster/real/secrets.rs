//! Private images: pull secrets that are right, missing, or wrong.
//!
//! They take minutes, so `make test-faults` runs them.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::faults::{HEALING, Outage};
use super::workloads::{private, pull_secret};

fn secret(outage: &Outage, password: &str) -> Value {
    pull_secret("pull", outage.faulty.name(), password)
}

async fn change_password(outage: &Outage, password: &str) {
    let data = json!({"stringData": secret(outage, password)["stringData"]});
    outage.real.trial.api::<Secret>().patch("pull", &PatchParams::default(), &Patch::Merge(data)).await.unwrap();
}

async fn list_of_private(outage: &Outage) {
    let images = json!([outage.real.reference_at(outage.faulty.name(), "one:1")]);
    let group = format!(
        "groups: [{{name: private, images: {images}, imagePullSecrets: [pull]}}]\nrefresh: {{every: 24h, mode: Always}}\n"
    );
    outage.real.trial.write_list("tools", &group).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn private_images_arrive_with_the_secret_of_their_group_and_not_without() {
    let outage = Outage::begin("private").await;
    let one = outage.push("one:1", "one");
    outage.faulty.set(private());
    outage.real.trial.create::<Secret>(secret(&outage, "right")).await;
    outage.list(&["one:1"], "groups: []\n").await;
    outage.failing("1").await;
    list_of_private(&outage).await;
    outage.await_held(&[&one]).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_secret_that_becomes_wrong_releases_nothing_and_all_recovers_when_it_is_right_again() {
    let outage = Outage::begin("wrong").await;
    let one = outage.push("one:1", "one");
    outage.faulty.set(private());
    outage.real.trial.create::<Secret>(secret(&outage, "right")).await;
    list_of_private(&outage).await;
    outage.await_held(&[&one]).await;
    let watch = outage.real.watch(&[&[one.as_str()]]);
    change_password(&outage, "wrong").await;
    outage.refresh("wrong").await;
    outage.failing("2").await;
    let reported = outage.real.trial.reported_within(HEALING, "ImageFailing").await;
    let image = outage.real.reference_at(outage.faulty.name(), "one:1");
    assert!(reported.starts_with("group private: 1 of 1 image cannot be held: "), "{reported}");
    assert!(reported.contains(&format!("{image} cannot be pulled on node")) && reported.contains("401"), "{reported}");
    let status = outage.real.trial.status();
    assert_eq!(status["warm"], true, "it is held: {status:#}");
    let kept = &status["lists"][0]["groups"][0]["images"][0]["heldByOlder"][0];
    assert_eq!(kept["state"], "failed", "{status:#}");
    assert!(kept["message"].as_str().unwrap().contains("401"), "{kept:#}");
    change_password(&outage, "right").await;
    outage.settled("2").await;
    watch.assert_no_gap();
    assert!(outage.real.trial.reported_within(HEALING, "ImageRecovered").await.ends_with(&image));
    // Two nodes fail one after the other: that is reported at most twice.
    assert!(outage.real.trial.events("ImageFailing").await.len() <= 2);
}
