//! Groups whose pods are to have a user namespace of their own, on nodes that may or may not have them.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::faults::HEALING;
use super::{RealTrial, content};
use crate::trial::within;

/// Whether all nodes say that pods without a RuntimeClass can have user namespaces.
async fn are_supported(real: &RealTrial) -> bool {
    let nodes = Api::<Node>::all(real.trial.client.clone()).list(&ListParams::default()).await.unwrap();
    let supports = |node: Node| {
        let handlers = node.status.and_then(|status| status.runtime_handlers).unwrap_or_default();
        let default = handlers.into_iter().find(|it| it.name.as_deref().unwrap_or_default().is_empty());
        default.and_then(|it| it.features?.user_namespaces) == Some(true)
    };
    nodes.items.into_iter().all(supports)
}

#[tokio::test]
async fn a_group_with_user_namespaces_is_held_or_the_nodes_that_have_none_are_named() {
    let real = RealTrial::begin("userns").await;
    let app = real.push("app:1", &content("app"));
    let _controller = real.controller().await;
    let list = json!({"images": [real.reference("app:1")], "hostUsers": false});
    real.trial.write_list("tools", &list.to_string()).await;
    if are_supported(&real).await {
        real.only_held_everywhere(&[app.as_str()]).await;
        assert_eq!(real.trial.events("UserNamespacesMissing").await.len(), 0);
        return;
    }
    let reported = real.trial.reported_within(HEALING, "UserNamespacesMissing").await;
    assert!(reported.contains("on 2 nodes (node1, node2)") && reported.contains("hostUsers: false"), "{reported}");
    let said = within(HEALING, "the kubelet's own words", async || {
        let events = real.trial.events("FailedCreatePodSandBox").await;
        events.into_iter().find_map(|event| event.note)
    })
    .await;
    assert!(said.contains("user namespaces"), "{said}");

    let list = json!({"images": [real.reference("app:1")]});
    real.trial.write_list("tools", &list.to_string()).await;
    real.only_held_everywhere(&[app.as_str()]).await;
}
