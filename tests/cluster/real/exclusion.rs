//! A namespace whose default node selector excludes a node that holds images.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use super::{RealTrial, content};
use crate::simulated::exclusion::select_by_default;
use crate::trial::eventually;

/// A label of one node, which goes with the test.
struct Label<'r> {
    real: &'r RealTrial,
    key: String,
}

impl<'r> Label<'r> {
    fn on(real: &'r RealTrial, node: &str) -> Self {
        let key = format!("kube-prepull.test/{}", real.trial.namespace);
        real.bed.kubectl(["label", "node", node, &format!("{key}=yes")]).unwrap();
        Self { real, key }
    }
}

impl Drop for Label<'_> {
    fn drop(&mut self) {
        let _ = self.real.bed.kubectl(["label", "nodes", "--all", &format!("{}-", self.key)]);
    }
}

fn image(report: &Value, index: usize) -> &Value {
    &report["lists"][0]["groups"][0]["images"][index]
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_node_that_the_namespaces_default_node_selector_excludes_keeps_what_it_holds() {
    let real = RealTrial::begin("excludednode").await;
    let (old, new) = (real.push("old:1", &content("old")), real.push("new:1", &content("new")));
    let _controller = real.controller().await;
    let list = |images: &[&str]| {
        let images: Vec<String> = images.iter().map(|image| real.reference(image)).collect();
        json!({"images": images}).to_string()
    };
    real.trial.write_list("tools", &list(&["old:1"])).await;
    real.only_held_everywhere(&[old.as_str()]).await;

    let label = Label::on(&real, "node1");
    select_by_default(&real.trial, &format!("{}=yes", label.key)).await;
    let watch = real.watch(&[&[old.as_str()]]);
    real.trial.write_list("tools", &list(&["old:1", "new:1"])).await;
    let reported = real.trial.reported("NodesExcluded").await;
    assert!(reported.contains(&format!("{}=yes excludes 1 node (node2)", label.key)), "{reported}");
    let report = eventually("node1 to hold both", async || {
        Some(real.trial.status()).filter(|report| image(report, 1)["nodes"]["warm"] == 1)
    })
    .await;
    assert_eq!(image(&report, 0)["nodes"]["warm"], 2, "node2 keeps it: {report:#}");
    assert_eq!(image(&report, 1)["nodes"]["excluded"], 1, "{report:#}");
    let rollout = &report["lists"][0]["groups"][0]["rollout"];
    assert_eq!((&rollout["complete"], &rollout["nodesWithAll"]), (&json!(false), &json!(1)), "{rollout}");

    select_by_default(&real.trial, "").await;
    let without_node = ListParams::default().fields("spec.nodeName=");
    real.trial.api::<Pod>().delete_collection(&DeleteParams::default(), &without_node).await.unwrap();
    real.only_held_everywhere(&[old.as_str(), new.as_str()]).await;
    assert!(watch.gaps().is_empty(), "it was held throughout");
}
