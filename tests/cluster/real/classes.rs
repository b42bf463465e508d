//! Each way in which an image can be missing from a node, and that `status`, the controller's `/status`, its metrics and Events say
//! the same of it as kubelet and containerd.
//!
//! They take minutes, so `make test-faults` runs them.

use k8s_openapi::api::core::v1::{self as core, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_bed::real::Fault;
use test_bed::{Image, Layer, Node};

use super::faults::{HEALING, Outage, StoppedKubelet};
use super::metrics::{pull_failures, value};
use super::{RealTrial, content};
use crate::trial::{eventually, within, within_or_none};

/// What `status` says of one image.
fn said(real: &RealTrial, image: &str) -> Option<Value> {
    let report = real.trial.status();
    let groups = report["lists"].as_array()?.iter().flat_map(|list| list["groups"].as_array().unwrap());
    let mut images = groups.flat_map(|group| group["images"].as_array().unwrap());
    images.find(|it| it["reference"].as_str().unwrap().ends_with(image)).cloned()
}

/// Waits until the controller's `/status` is what the command prints, but for the time, and its metrics count the same nodes.
/// Where they never do, the last of both is shown.
async fn the_controller_says_the_same(outage: &Outage) {
    let mut last = String::new();
    let same = within_or_none(HEALING, async || {
        let (_, served) = outage.controller.get("/status")?;
        let mut served: Value = serde_json::from_str(&served).ok()?;
        let mut printed = outage.real.trial.status();
        for report in [&mut served, &mut printed] {
            report.as_object_mut().unwrap().remove("time").unwrap();
        }
        let counted = counts(outage, &printed);
        last = format!("served: {served}\nprinted: {printed}\nthe metrics count the same as printed: {counted}");
        (served == printed && counted).then_some(())
    });
    let same = same.await;
    assert!(same.is_some(), "waited {HEALING:?} in vain for /status and /metrics to say what status does\n{last}");
}

/// Whether the metrics have the nodes of each image and state that the report of one list has.
fn counts(outage: &Outage, report: &Value) -> bool {
    let groups = report["lists"][0]["groups"].as_array().unwrap().iter();
    let mut images =
        groups.flat_map(|group| group["images"].as_array().unwrap().iter().map(move |image| (group, image)));
    images.all(|(group, image)| {
        let mut states = image["nodes"].as_object().unwrap().iter().filter(|(state, _)| *state != "total");
        states.all(|(state, nodes)| {
            let labels = format!(",group={},image={},state=\"{state}\"", group["name"], image["reference"]);
            value(&outage.controller, "image_nodes", &labels) == nodes.as_f64()
        })
    })
}

/// Waits for an Event that says all of these words, and returns its note.
async fn reported(outage: &Outage, reason: &str, words: &[&str]) -> String {
    outage.real.trial.said_within(HEALING, reason, words).await
}

/// The last words of a message, where the cause stands.
fn end_of(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    words[words.len().saturating_sub(3)..].join(" ")
}

/// The largest size of an image that kubelets report.
async fn size_by_kubelets(outage: &Outage, image: &str) -> Option<i64> {
    let nodes = Api::<core::Node>::all(outage.real.trial.client.clone()).list(&ListParams::default()).await.unwrap();
    let images = nodes.items.into_iter().filter_map(|node| node.status?.images).flatten();
    let named = images.filter(|it| it.names.iter().flatten().any(|name| name.ends_with(image)));
    named.filter_map(|it| it.size_bytes).max()
}

/// Waits until `status` has all nodes behind for that cause, and returns what it says of the first.
async fn behind(outage: &Outage, image: &str, state: &str, cause: &str) -> Value {
    within(HEALING, &format!("{image}: {state}: {cause}"), async || {
        let said = said(&outage.real, image)?;
        let behind: Vec<&Value> = said["behind"].as_array()?.iter().collect();
        let nodes: usize = behind.iter().map(|it| it["nodes"].as_array().unwrap().len()).sum();
        let all =
            behind.iter().all(|it| it["state"] == state && it["cause"].as_str().unwrap_or_default().contains(cause));
        (all && nodes == outage.real.nodes.len()).then(|| behind[0].clone())
    })
    .await
}

/// The kubelets' word and words for an image, of every node.
async fn of_kubelets(outage: &Outage, image: &str) -> Vec<(String, String)> {
    let pods = outage.real.trial.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let statuses =
        pods.iter().filter_map(|pod| pod.status.as_ref()).flat_map(|it| it.container_statuses.iter().flatten());
    let ours = statuses.filter(|status| status.image.ends_with(image));
    let waiting = ours.filter_map(|status| status.state.as_ref()?.waiting.clone());
    waiting.map(|it| (it.reason.unwrap_or_default(), it.message.unwrap_or_default())).collect()
}

/// Asserts that kubelets say what `status` and Events say, and that containerd has no image of that reference. Of an image for other
/// architectures it keeps the index, under the image's name.
async fn agree(outage: &Outage, image: &str, said: &Value) {
    const PULL: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];
    let kubelets = of_kubelets(outage, image).await;
    assert_eq!(kubelets.len(), outage.real.nodes.len(), "{kubelets:?}");
    // They say these alternately.
    assert!(PULL.contains(&said["reason"].as_str().unwrap()), "{said}");
    let cause = end_of(said["message"].as_str().unwrap());
    assert!(
        kubelets.iter().all(|(reason, message)| PULL.contains(&reason.as_str()) && message.contains(&cause)),
        "{cause}: {kubelets:?}"
    );
    reported(outage, "ImageFailing", &[image, "cannot be pulled on node1, node2", &cause]).await;
    for node in &outage.real.nodes {
        let images = node.images().unwrap();
        assert!(
            image == "/foreign:1" || images.iter().all(|it| !it.name.ends_with(image)),
            "{} has {image}",
            node.name()
        );
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn whatever_cannot_be_pulled_or_started_is_reported_everywhere_as_kubelet_and_containerd_have_it() {
    let outage = Outage::begin("classes").await;
    let (real, registry) = (&outage.real, outage.real.bed.registry().unwrap());
    // Kubelets report their largest images only, and other tests have some too.
    let good = real.push("good:1", &Image::from_scratch().layer(Layer::new().random("/content", 1, 1 << 20)));
    outage.push("private:1", "private");
    outage.faulty.set(Fault::Private { credentials: "bm9ib2R5Omtub3dz".to_owned() });
    registry.push_index(&real.reference("foreign:1"), &[content("foreign").architecture("s390x")]).unwrap();
    // A volume is a directory, and the image has a file there.
    let stubborn = real.push("stubborn:1", &content("stubborn").volume("/content"));
    let images = [
        real.reference("good:1"),
        real.reference("missing:1"),
        real.reference_at(outage.faulty.name(), "private:1"),
        "nowhere.invalid/unreachable:1".to_owned(),
        real.reference("foreign:1"),
        real.reference("stubborn:1"),
    ];
    // Events name the first three images of a group, so each has one of its own.
    let groups =
        images.iter().enumerate().map(|(number, image)| json!({"name": format!("g{number}"), "images": [image]}));
    let list = json!({"groups": groups.collect::<Vec<_>>(), "refresh": {"every": "24h", "mode": "Always"}});
    real.trial.write_list("tools", &list.to_string()).await;

    for (image, cause, remedy) in [
        ("/missing:1", "no such image or tag", "check the reference"),
        ("/private:1", "401 from", "imagePullSecrets"),
        ("/unreachable:1", "nowhere.invalid cannot be resolved", "DNS"),
        ("/foreign:1", "the image does not exist for this node's architecture", "architectures"),
    ] {
        let said = behind(&outage, image, "failed", cause).await;
        assert!(said["remedy"].as_str().unwrap().contains(remedy), "{said}");
        agree(&outage, image, &said).await;
    }
    let stuck = behind(&outage, "/stubborn:1", "cannotStart", "a VOLUME of the image is a file").await;
    let cause = end_of(stuck["message"].as_str().unwrap());
    reported(&outage, "ImageFailing", &["/stubborn:1", "was pulled, but does not start on node1, node2", &cause]).await;
    let warm = within(HEALING, "the kubelets' size of an image", async || {
        let size = size_by_kubelets(&outage, "/good:1").await?;
        said(real, "/good:1").filter(|it| it["sizeBytes"] == size)
    })
    .await;
    the_controller_says_the_same(&outage).await;
    let failures = 4 * real.nodes.len();
    assert_eq!(pull_failures(&outage.controller), failures as f64, "once for each pod that cannot pull");
    assert!(real.trial.events("ImageFailing").await.iter().all(|it| !it.note.as_ref().unwrap().contains("/good:1")));
    assert_eq!(warm["nodes"]["warm"], real.nodes.len());
    assert_eq!(warm["digests"]["amd64"][good.as_str()], real.nodes.len(), "{warm}");
    for node in &real.nodes {
        assert_eq!(real.held_on(node.name()), [good.as_str()], "a container of the stubborn image does not run");
        assert!(node.images().unwrap().iter().any(|image| image.digest == stubborn.as_str()), "but it was pulled");
    }
}

/// Writes more into the holder's volume on the node than that may hold, for which the kubelet evicts the pod.
async fn evict(outage: &Outage, node: &Node) {
    let on = ListParams::default().fields(&format!("spec.nodeName={}", node.name()));
    let pod = outage.real.trial.api::<Pod>().list(&on).await.unwrap().items.remove(0);
    let volume = format!("/var/lib/kubelet/pods/{}/volumes/kubernetes.io~empty-dir/holder/much", pod.uid().unwrap());
    node.exec("dd", &["if=/dev/zero", &format!("of={volume}"), "bs=1M", "count=4", "status=none"]).unwrap();
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn nodes_that_are_cordoned_or_away_and_holders_that_are_evicted_are_reported() {
    let outage = Outage::on(RealTrial::begin_alone("awaynodes").await).await;
    let one = outage.hold("one:1", "one").await;
    let real = &outage.real;
    let (node, name) = (&real.nodes[1], real.nodes[1].name());
    let nodes = |state: &str| {
        let said = said(real, "/one:1")?;
        let nodes = said["notCounted"].as_array()?.iter().find(|it| it["state"] == state)?.clone();
        (nodes["nodes"] == json!([name])).then_some(said)
    };

    the_controller_says_the_same(&outage).await;
    let warm = || value(&outage.controller, "list_images_warm", "");
    assert_eq!(warm(), Some(2.0));
    // Else the next holder might be there before anybody has seen it.
    outage.faulty.set(Fault::Silent);
    evict(&outage, node).await;
    let (mut evicted, mut counted) = (None, false);
    within(HEALING, "status and metrics to say that an evicted holder holds nothing", async || {
        counted |= warm() == Some(1.0);
        evicted = evicted.take().or_else(|| {
            let said = said(real, "/one:1")?;
            said["behind"].as_array()?.iter().find(|it| it["nodes"] == json!([name])).cloned()
        });
        (counted && evicted.is_some()).then_some(())
    })
    .await;
    outage.faulty.set(Fault::None);
    let evicted = evicted.unwrap();
    assert!(["displaced", "waiting", "pulling"].contains(&evicted["state"].as_str().unwrap()), "{evicted}");
    outage.await_held(&[&one]).await;
    the_controller_says_the_same(&outage).await;
    assert_eq!(
        real.trial.events("EvictionLoop").await.len(),
        0,
        "it is reported for many nodes that have too little disk"
    );

    real.bed.kubectl(["cordon", name]).unwrap();
    let cordoned = eventually("a cordoned node that is warm to count", async || {
        said(real, "/one:1").filter(|it| it["nodes"]["warm"] == 2 && it["notCounted"] == json!([]))
    })
    .await;
    assert_eq!(cordoned["nodes"]["total"], 2);
    the_controller_says_the_same(&outage).await;
    let two = outage.push("two:1", "two");
    outage.faulty.set(Fault::Closed);
    outage.list(&["one:1", "two:1"], "").await;
    eventually("the image that it lacks not to count there", async || {
        said(real, "/two:1").filter(|it| it["nodes"]["cordoned"] == 1 && it["nodes"]["total"] == 1)
    })
    .await;
    reported(&outage, "ImageFailing", &["/two:1", "cannot be pulled on node1: "]).await;
    the_controller_says_the_same(&outage).await;
    real.bed.kubectl(["uncordon", name]).unwrap();
    outage.faulty.set(Fault::None);
    outage.await_held(&[&one, &two]).await;
    reported(&outage, "ImageRecovered", &["/two:1"]).await;

    let stopped = StoppedKubelet::of(node);
    let away = within(HEALING, "the node to be not ready", async || nodes("notReady")).await;
    assert_eq!((&away["nodes"]["total"], &away["nodes"]["warm"]), (&json!(1), &json!(1)));
    assert!(real.held_on(name).contains(&one.to_string()), "its containers run on");
    the_controller_says_the_same(&outage).await;
    drop(stopped);
    within(HEALING, "the node to be back", async || said(real, "/one:1").filter(|it| it["nodes"]["warm"] == 2)).await;
    the_controller_says_the_same(&outage).await;
}
