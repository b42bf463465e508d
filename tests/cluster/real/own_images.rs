//! What nodes pull of kube-prepull: a few kilobytes, or the controller's image where no registry has those.

use std::collections::BTreeSet;

use serde_json::json;
use test_bed::real::Watch;
use test_bed::{Image, Layer};

use super::faults::HEALING;
use super::{RealTrial, content};
use crate::controller::Controller;
use crate::trial::eventually;

/// The most bytes that a node may pull of kube-prepull.
const MOST: u64 = 10_000;

/// The image of a controller, which has the holder too, and is as large as a program is.
fn controllers(real: &RealTrial, version: usize) -> Image {
    let program = Layer::new().random("/bin/kube-prepull", version as u64, 1_000_000);
    Image::from_scratch().layer(program.file("/holder", real.bed.holder().unwrap(), 0o755)).entrypoint(&["/holder"])
}

/// The controller of this version, whose image has been pushed.
async fn controller(real: &RealTrial, version: usize) -> Controller {
    let image = real.reference(&format!("own:{version}"));
    real.push(&format!("own:{version}"), &controllers(real, version));
    Controller::start_with(&real.trial, &["--controller-image", &image]).await
}

async fn write_list(real: &RealTrial, images: &[&str]) {
    let images: Vec<_> = images.iter().map(|image| real.reference(image)).collect();
    let list = json!({"images": images, "refresh": {"every": "24h"}});
    real.trial.write_list("tools", &list.to_string()).await;
}

/// How many bytes of kube-prepull's images each node has pulled.
fn pulled(real: &RealTrial) -> Vec<u64> {
    let accesses = real.bed.registry().unwrap().accesses().unwrap();
    let own = format!("{}/own", real.trial.namespace);
    let of_node = |node: &test_bed::Node| {
        let asked = accesses.iter().filter(|access| access.source == node.address() && access.method == "GET");
        let own = asked.filter(|access| access.manifest_of() == Some(&*own) || access.blob_of() == Some(&*own));
        own.map(|access| access.bytes).sum()
    };
    real.nodes.iter().map(of_node).collect()
}

#[tokio::test]
async fn a_node_pulls_less_than_ten_kilobytes_of_kube_prepull() {
    let real = RealTrial::begin("ownsmall").await;
    let app = real.push("app:1", &content("app"));
    // Nodes have the holder as it is, because their sandboxes run it, and would not pull it again.
    let holder = [real.bed.holder().unwrap().as_slice(), real.trial.namespace.as_bytes()].concat();
    real.push("own:1-holder", &Image::of_holder(holder));
    let _controller = controller(&real, 1).await;
    write_list(&real, &["app:1"]).await;
    real.only_held_everywhere(&[app.as_str()]).await;
    let pulled = pulled(&real);
    assert!(pulled.iter().all(|bytes| (1_000..=MOST).contains(bytes)), "{pulled:?}");
    assert!(real.trial.events("HolderImageAbsent").await.is_empty());
}

#[tokio::test]
async fn an_upgrade_where_the_holders_image_was_not_mirrored_moves_no_node_and_serves_the_next_edit() {
    let real = RealTrial::begin("ownmirror").await;
    let [app, more] = ["app:1", "more:1"].map(|image| real.push(image, &content(image)));
    // As before there was an image of the holder.
    let former = real.controller().await;
    write_list(&real, &["app:1"]).await;
    real.only_held_everywhere(&[app.as_str()]).await;
    real.trial.reported_within(HEALING, "RolloutComplete").await;
    let before = real.trial.daemon_sets().await;
    drop(former);

    let controller = controller(&real, 2).await;
    let watch: Watch = real.watch(&[&[app.as_str()]]);
    write_list(&real, &["app:1", "more:1"]).await;
    let reported = real.trial.reported_within(HEALING, "HolderImageAbsent").await;
    let (holder, serves) = (real.reference("own:2-holder"), real.reference("own:2"));
    for words in [&*format!("{holder} cannot be pulled: no such image or tag"), &*serves, "HOLDER_IMAGE"] {
        assert!(reported.contains(words), "{reported}");
    }
    real.only_held_everywhere(&[app.as_str(), more.as_str()]).await;
    watch.assert_no_gap();
    assert!(pulled(&real).iter().all(|bytes| *bytes > 1_000_000), "from the controller's image");
    assert!(real.trial.events("InitContainerFailing").await.is_empty(), "it is repaired before that");

    // The next edit does not try again, with this process or another.
    drop(controller);
    let image = real.reference("own:2");
    let _another = Controller::start_with(&real.trial, &["--controller-image", &image]).await;
    write_list(&real, &["more:1"]).await;
    real.only_held_everywhere(&[more.as_str()]).await;
    assert_eq!(real.trial.events("HolderImageAbsent").await.len(), 1);
    let names = |all: Vec<k8s_openapi::api::apps::v1::DaemonSet>| -> BTreeSet<_> {
        all.into_iter().filter_map(|it| it.metadata.name).collect()
    };
    let before = names(before);
    eventually("the former DaemonSets to be gone", async || {
        before.is_disjoint(&names(real.trial.daemon_sets().await)).then_some(())
    })
    .await;
}
