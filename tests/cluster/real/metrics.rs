//! What metrics say, against what containerd and kubelets say.

use k8s_openapi::api::core::v1::Pod;

use super::{RealTrial, content};
use crate::controller::Controller;
use crate::trial::{eventually, within};

/// The value of a series of the list `tools`, by its name and its labels after `list`.
pub fn value(controller: &Controller, name: &str, labels: &str) -> Option<f64> {
    let (_, text) = controller.get("/metrics")?;
    let series = format!("kube_prepull_{name}{{list=\"tools\"{labels}}} ");
    text.lines().find_map(|line| line.strip_prefix(&series))?.parse().ok()
}

/// Images that could not be pulled on a node, for any reason.
pub fn pull_failures(controller: &Controller) -> f64 {
    let (_, text) = controller.get("/metrics").unwrap();
    let series = text.lines().filter(|line| line.starts_with("kube_prepull_pull_failures_total{list=\"tools\""));
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// The pods whose kubelet says that it cannot pull an image.
async fn pods_that_cannot_pull(real: &RealTrial) -> usize {
    let cannot = |pod: &&Pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
        waiting.any(|reason| reason == "ErrImagePull" || reason == "ImagePullBackOff")
    };
    real.trial.pods().await.iter().filter(cannot).count()
}

#[tokio::test]
async fn images_that_are_held_and_a_tag_that_is_missing_are_counted_as_containerd_and_kubelets_see_them() {
    let real = RealTrial::begin("metrics").await;
    let there = real.push("there:1", &content("there"));
    let controller = real.controller().await;
    let references = [real.reference("there:1"), real.reference("missing:1")];
    real.trial.write_list("tools", &format!("images: [\"{}\", \"{}\"]", references[0], references[1])).await;
    let nodes = real.nodes.len();
    let count = |image: usize, state: &str| {
        let labels = format!(",group=\"default\",image=\"{}\",state=\"{state}\"", references[image]);
        value(&controller, "image_nodes", &labels)
    };
    let holding =
        |digest: &str| real.nodes.iter().filter(|it| real.held_on(it.name()).iter().any(|it| it == digest)).count();
    eventually("one image to be held, the other to fail, and both to be reported", async || {
        let (held, failing) = (holding(there.as_str()), pods_that_cannot_pull(&real).await);
        let reported = (count(0, "warm"), count(1, "failed"));
        (held == nodes && failing == nodes && reported == (Some(held as f64), Some(failing as f64))).then_some(())
    })
    .await;
    assert_eq!(pull_failures(&controller), nodes as f64, "once for each pod, however often its kubelet tries");
    assert_eq!(value(&controller, "list_images_desired", ""), Some(2.0 * nodes as f64));
    assert_eq!(value(&controller, "list_images_warm", ""), Some(nodes as f64));

    let late = real.push("missing:1", &content("no longer missing"));
    within(super::faults::HEALING, "the other to be held too, and that to be reported", async || {
        let held = holding(late.as_str());
        (held == nodes && count(1, "warm") == Some(held as f64) && count(1, "failed") == Some(0.0)).then_some(())
    })
    .await;
    assert_eq!(pull_failures(&controller), nodes as f64);
}
