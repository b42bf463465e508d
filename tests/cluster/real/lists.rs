//! What lists may say, as kubelets and containerd take it.

use serde_json::json;

use super::{RealTrial, content};
use crate::trial::eventually;

#[tokio::test]
async fn images_of_a_registry_with_an_ipv6_address_are_pulled_held_and_reported() {
    let real = RealTrial::begin("ipv6").await;
    // containerd has a configuration that says where to find it, so nothing needs to have the address.
    let registry = real.bed.faulty_registry("[fd00::3]:5000").unwrap();
    let digest = real.push("app:1", &content("app"));
    let _controller = real.controller().await;
    let [app, gone] = ["app:1", "gone:1"].map(|image| real.reference_at(registry.name(), image));
    let list = json!({"images": [app, gone, format!("{}@{digest}", app.trim_end_matches(":1"))]});
    real.trial.write_list("tools", &list.to_string()).await;
    real.only_held_everywhere(&[digest.as_str()]).await;
    let reported = real.trial.reported("ImageFailing").await;
    assert!(reported.contains(&format!("{gone} cannot be pulled on ")), "{reported}");
    let images = eventually("status to count them", async || {
        let status = real.trial.status();
        let images = status["lists"][0]["groups"][0]["images"].as_array()?.clone();
        let warm = |index: usize| images[index]["nodes"]["warm"] == real.nodes.len();
        (warm(0) && warm(2)).then_some(images)
    })
    .await;
    assert_eq!(images[0]["reference"], app.as_str());
    assert_eq!(images[0]["digests"]["amd64"][digest.as_str()], real.nodes.len(), "{:#}", images[0]);
}

/// Hooks read the environment of a container before it starts. There is no GPU here, so what they would do is not shown.
#[tokio::test]
async fn no_container_asks_for_the_gpus_that_its_image_asks_for() {
    let real = RealTrial::begin("gpu").await;
    let asking = |text: &str| content(text).env("NVIDIA_VISIBLE_DEVICES", "all").env("CUDA_VERSION", "12.6");
    let (one, two) = (real.push("cuda:1", &asking("one")), real.push("cuda:2", &asking("two")));
    let _controller = real.controller().await;
    let list = json!({"images": [real.reference("cuda:1"), real.reference("cuda:2")]});
    real.trial.write_list("tools", &list.to_string()).await;
    real.only_held_everywhere(&[one.as_str(), two.as_str()]).await;
    for node in &real.nodes {
        let containers = node.containers().unwrap().into_iter().filter(|it| it.namespace == real.trial.namespace);
        let containers: Vec<_> = containers.collect();
        assert_eq!(containers.len(), 3, "two holders and the init container: {containers:#?}");
        for container in containers {
            let environment = node.environment(&container).unwrap();
            let devices: Vec<_> =
                environment.iter().filter_map(|it| it.strip_prefix("NVIDIA_VISIBLE_DEVICES=")).collect();
            // containerd appends the pod's variables to the image's, and hooks read the last of a name
            // (`github.com/NVIDIA/nvidia-container-toolkit`, `internal/config/image/builder.go`).
            assert_eq!(devices.last(), Some(&"void"), "{}: {environment:?}", container.name);
        }
    }
}
