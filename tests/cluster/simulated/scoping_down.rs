use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Node;
use kube::api::{ApiResource, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use kube_prepull::plan::generation::node_scope::NodeScope;
use kube_prepull::plan::live::LiveDaemonSet;
use kube_prepull::plan::patch::scope_patch;

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually};

/// The bed's own nodes are called so. Other tests have nodes of theirs come and go meanwhile.
const NODES: &str = "node-0";

/// The uids of the pods that are not about to go, by their nodes.
async fn pods(trial: &Trial) -> BTreeMap<String, String> {
    let live = trial.pods().await.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let node = |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref()?.node_name.clone();
    let placed = live.filter_map(|pod| Some((node(&pod)?, pod.uid()?)));
    placed.filter(|(node, _)| node.starts_with(NODES)).collect()
}

/// Scopes the DaemonSet down, waits until its pods are on these nodes, and shows that none of them was replaced.
async fn scope_down(trial: &Trial, name: &str, node_scope: &NodeScope, expected: &BTreeMap<String, String>) {
    let api = trial.api::<DaemonSet>();
    let resource = ApiResource::erase::<DaemonSet>(&());
    let live: Api<LiveDaemonSet> = Api::namespaced_with(trial.client.clone(), &trial.namespace, &resource);
    let patched = eventually("a patch that the DaemonSet controller does not overtake", async || {
        let patch = Patch::Merge(scope_patch(&live.get(name).await.unwrap(), node_scope));
        match api.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => None,
            patched => Some(patched.unwrap()),
        }
    })
    .await;
    let noted = patched.annotations()["kube-prepull.io/spec-generation"].parse().ok();
    assert_eq!(patched.metadata.generation, noted, "what was noted before");
    eventually(&format!("pods {node_scope:?}"), async || (pods(trial).await == *expected).then_some(())).await;
}

#[tokio::test]
async fn a_scoped_down_daemon_set_leaves_all_other_nodes_and_replaces_no_pod() {
    let trial = trial("scoped").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let name = trial.settled_on(&["nginx:1.27"]).await.name_any();
    let mut expected = eventually("pods on at least three nodes", async || {
        let nodes = Api::<Node>::all(trial.client.clone()).list(&ListParams::default()).await.unwrap();
        let nodes = nodes.into_iter().filter(|node| node.name_any().starts_with(NODES)).count();
        let all = pods(&trial).await;
        (all.len() > 2 && all.len() == nodes).then_some(all)
    })
    .await;
    controller.kill();
    let (left, _) = expected.pop_first().unwrap();
    let without = NodeScope::Everywhere.without(&[left].into());
    scope_down(&trial, &name, &without, &expected).await;
    let kept: BTreeSet<String> = expected.keys().take(2).cloned().collect();
    expected.retain(|node, _| kept.contains(node));
    scope_down(&trial, &name, &NodeScope::Only(kept.clone()), &expected).await;
    scope_down(&trial, &name, &NodeScope::Only(kept), &expected).await;
    scope_down(&trial, &name, &NodeScope::Only(BTreeSet::new()), &BTreeMap::new()).await;
}
