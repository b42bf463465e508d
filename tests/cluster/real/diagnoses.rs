//! What `status` and Events say of an image is read by operation: a message of each, as kubelet, containerd and runc produce it.
//!
//! They take minutes, so `make test-faults` runs them.

use serde_json::{Value, json};
use test_bed::real::Fault;
use test_bed::{Image, Layer};

use super::content;
use super::faults::{HEALING, Outage};
use crate::trial::within;

/// What `status` says first of the nodes that lack an image, once it says this of the cause.
async fn behind(outage: &Outage, image: &str, cause: &str) -> Value {
    let mut last = Value::Null;
    within(HEALING, &format!("{image}: {cause}"), async || {
        let report = outage.real.trial.status();
        let groups = report["lists"][0]["groups"].as_array()?.iter();
        let mut images = groups.flat_map(|group| group["images"].as_array().into_iter().flatten());
        let image = images.find(|it| it["reference"].as_str().is_some_and(|it| it.ends_with(image)))?;
        let behind = image["behind"][0].clone();
        if behind != last {
            eprintln!("{image}: {behind:#}", image = image["reference"]);
            last = behind.clone();
        }
        behind["cause"].as_str()?.contains(cause).then_some(behind)
    })
    .await
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_failure_is_explained_by_the_operation_that_failed() {
    let outage = Outage::begin("diagnoses").await;
    let (real, registry) = (&outage.real, outage.real.bed.registry().unwrap());
    let layer = |seed: u64| Layer::new().random("/content", seed, 64 << 10);
    outage.push("tokenless:1", "tokenless");
    outage.faulty.set(Fault::NoToken);
    let incomplete = Image::from_scratch().layer(layer(0xf17c));
    real.push("incomplete:1", &incomplete);
    registry.lose_layers(&real.reference("incomplete:1"), &incomplete).unwrap();
    real.push("cut:1", &Image::from_scratch().layer(layer(0xc07)).cut());
    real.push("mount:1", &content("mount").volume("/content"));
    real.push("start:1", &content("start").volume("/"));
    let images = [
        real.reference("unknown:1"),
        real.reference_at(outage.faulty.name(), "tokenless:1"),
        real.reference("incomplete:1"),
        real.reference("cut:1"),
        real.reference("mount:1"),
        real.reference("start:1"),
    ];
    let groups =
        images.iter().enumerate().map(|(number, image)| json!({"name": format!("g{number}"), "images": [image]}));
    real.trial.write_list("tools", &json!({"groups": groups.collect::<Vec<_>>()}).to_string()).await;

    for (image, state, cause, remedy) in [
        ("/unknown:1", "failed", "no such image or tag from registry.test", "check the reference"),
        ("/tokenless:1", "failed", "wants credentials, and the node asked without any", "imagePullSecrets"),
        ("/incomplete:1", "failed", "the image is incomplete at", "push the image again"),
        ("/cut:1", "failed", "a layer cannot be unpacked", "wait"),
        ("/mount:1", "cannotStart", "a VOLUME of the image is a file", "VOLUME"),
        ("/start:1", "cannotStart", "does not find /proc in the container", "VOLUME"),
    ] {
        let behind = behind(&outage, image, cause).await;
        assert_eq!(behind["state"], state, "{behind:#}");
        let said = behind["remedy"].as_str().unwrap_or_default();
        assert!(remedy.split('|').any(|remedy| said.contains(remedy)), "{behind:#}");
        let event = within(HEALING, &format!("an Event about {image}"), async || {
            let notes = real.trial.events("ImageFailing").await.into_iter().filter_map(|event| event.note);
            notes.into_iter().find(|note| note.contains(image) && note.contains(cause))
        })
        .await;
        assert!(event.contains(behind["remedy"].as_str().unwrap()), "the remedy comes before the message: {event}");
    }
}

/// Five pulls, of which the kubelet allows one a second. It tries the others again after ten seconds, after twenty, and so on. Each is
/// a pod's of its own: those of one pod follow one another, and a container starts in between, which may take longer than a second.
#[tokio::test]
#[ignore = "make test-faults"]
async fn pulls_that_the_kubelet_holds_back_are_pulling_and_no_failure() {
    let outage = Outage::on(super::RealTrial::begin_alone("held-back").await).await;
    // So the node has the holder's image.
    outage.hold("first:1", "first").await;
    let _slow = super::faults::OtherKubelet::of(
        &outage.real.nodes[1],
        &[("registryPullQPS", json!(1)), ("registryBurst", json!(1))],
    );
    let names: Vec<String> = (0..5).map(|number| format!("image-{number}:1")).collect();
    let digests: Vec<_> = names.iter().map(|name| outage.push(name, name)).collect();
    let images = names.iter().map(|name| outage.real.reference_at(outage.faulty.name(), name));
    let groups = images.enumerate().map(|(number, image)| json!({"name": format!("g{number}"), "images": [image]}));
    let list = json!({"groups": groups.collect::<Vec<_>>()});
    outage.real.trial.write_list("tools", &list.to_string()).await;
    within(HEALING, "status to say that a kubelet limits its pulls", async || {
        let report = outage.real.trial.status();
        let groups = report["lists"][0]["groups"].as_array()?.iter();
        let images = groups.flat_map(|group| group["images"].as_array().into_iter().flatten());
        let behind = images.flat_map(|image| image["behind"].as_array().into_iter().flatten());
        let held_back: Vec<&Value> =
            behind.filter(|it| it["cause"].as_str().is_some_and(|it| it.contains("registryPullQPS"))).collect();
        assert!(held_back.iter().all(|it| it["state"] == "pulling"), "{held_back:?}");
        (!held_back.is_empty()).then_some(())
    })
    .await;
    outage.await_held(&digests.iter().collect::<Vec<_>>()).await;
    assert!(outage.real.trial.events("ImageFailing").await.is_empty());
}
