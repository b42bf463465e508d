//! A controller that is killed while it takes up what it has discovered.

use serde_json::json;

use super::discovery::Shop;
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::trial::{eventually, images};

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_discovered_image_whose_controller_is_killed_before_any_request_is_taken_up_by_the_next_one() {
    for request in 1.. {
        assert!(request < 40, "it asks again and again");
        if !is_killed_before(request).await {
            return assert!(request > 4, "a version, two DaemonSets and an Event are written");
        }
    }
}

/// Whether the controller was killed before its request of that number, and the next one did the same.
async fn is_killed_before(request: usize) -> bool {
    let it = Shop::begin(&format!("disckill{request}")).await;
    it.deploy("a", "a:1", json!({})).await;
    it.deploy("b", "b:1", json!({})).await;
    let proxy = Proxy::start(it.list.client.clone()).await;
    let arguments = ["--discover-namespaces", it.shop.namespace.as_str()];
    let mut controller = Controller::start_through_with(&it.list, &proxy.kubeconfig, &arguments).await;
    it.discover(", keepFor: 0s").await;
    it.discovered(&["a:1", "b:1"]).await;
    proxy.kill_before(request, controller.id());
    it.redeploy("a", "a:2").await;
    let killed = eventually("the image to be taken up or the controller to be killed", async || {
        let daemon_sets = it.list.daemon_sets().await;
        let found: Vec<String> = daemon_sets.iter().flat_map(images).collect();
        assert!(found.iter().any(|image| image == "b:1"), "what is still named is released: {found:?}");
        let is_done = found == ["a:2", "b:1"];
        (is_done || controller.has_ended()).then_some(controller.has_ended())
    })
    .await;
    proxy.spare();
    if killed {
        controller = Controller::start_through_with(&it.list, &proxy.kubeconfig, &arguments).await;
    }
    it.discovered(&["a:2", "b:1"]).await;
    drop(controller);
    killed
}
