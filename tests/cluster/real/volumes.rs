//! What the volumes of images cost on a node, as `docs/performance.md` says.

use serde_json::json;
use test_bed::{Image, Layer, Node};

use super::{RealTrial, content};
use crate::trial::eventually;

const SIZE: usize = 4 << 20;
/// Where containerd has its containers.
const CONTAINERS: &str = "/var/lib/containerd/io.containerd.grpc.v1.cri/containers";

/// The bytes of the copies that containerd has on a node for these containers.
fn copied(node: &Node, containers: &[String]) -> Vec<usize> {
    let copy = |id: &String| {
        let printed = node.exec("du", &["--summarize", "--bytes", &format!("{CONTAINERS}/{id}/volumes")]).ok()?;
        printed.split_whitespace().next()?.parse().ok()
    };
    containers.iter().filter_map(copy).collect()
}

#[tokio::test]
async fn the_content_of_an_images_volume_is_copied_once_for_each_container_and_goes_with_it() {
    let real = RealTrial::begin("volumes").await;
    let data = Image::from_scratch().layer(Layer::new().random("/data/content", 0x70, SIZE)).volume("/data");
    let data = real.push("data:1", &data);
    let app = real.push("app:1", &content("app"));
    let _controller = real.controller().await;
    let groups = ["a", "b"].map(|name| json!({"name": name, "images": [real.reference("data:1")]}));
    real.trial.write_list("tools", &json!({"groups": groups}).to_string()).await;
    let node = &real.nodes[0];
    let ours = || {
        let containers = node.containers().unwrap().into_iter();
        let ours = containers.filter(|it| it.namespace == real.trial.namespace && it.running);
        let of_data = ours.filter(|it| it.digest.as_deref() == Some(data.as_str()));
        of_data.map(|it| it.id).collect::<Vec<_>>()
    };
    let containers = eventually("both groups to hold the image", async || {
        let containers = ours();
        (containers.len() == 2).then_some(containers)
    })
    .await;
    let copies = copied(node, &containers);
    assert_eq!(copies.len(), 2);
    assert!(copies.iter().all(|bytes| (SIZE..SIZE + (64 << 10)).contains(bytes)), "{copies:?}");

    real.trial.write_list("tools", &json!({"images": [real.reference("app:1")]}).to_string()).await;
    real.only_held_everywhere(&[app.as_str()]).await;
    eventually("the copies to be gone", async || copied(node, &containers).is_empty().then_some(())).await;
}
