//! Draws the images of the page that the documentation shows: a cluster on which most is warm, and some is not.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_bed::{Browser, Simulated};

use crate::controller::Controller;
use crate::nodes::{Nodes, simulated, unattended};
use crate::trial::{Trial, eventually};

/// If it is set, the images are written. Otherwise this only shows that they could be.
const UPDATE: &str = "UPDATE_SCREENSHOTS";
/// The most bytes of one.
const MOST_BYTES: usize = 200_000;
const UNAUTHORIZED: &str = "failed to pull and unpack image: failed to resolve reference: unexpected status from HEAD request to \
                            https://registry.example/v2/team/notebook/manifests/5: 401 Unauthorized";

fn in_pool(mut node: Value, pool: &str) -> Value {
    node["metadata"]["labels"]["karpenter.sh/nodepool"] = json!(pool);
    node
}

/// Plays the kubelets of nodes that nobody takes care of: the first image of their pods fails or is still being pulled.
async fn play(trial: &Trial, nodes: &[String]) {
    let pods: Api<Pod> = trial.api();
    let mine = eventually("a pod on each node", async || {
        let on =
            |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|node| nodes.contains(node));
        let mine: Vec<_> = trial.pods().await.into_iter().filter_map(|pod| Some((on(&pod)?, pod))).collect();
        (mine.len() >= nodes.len()).then_some(mine)
    })
    .await;
    for (node, pod) in mine {
        let containers = &pod.spec.as_ref().unwrap().containers;
        let statuses: Vec<_> = containers
            .iter()
            .map(|it| {
                let is_private = it.image.as_deref().is_some_and(|image| image.starts_with("registry.example"));
                let waiting = match is_private {
                    true => json!({"waiting": {"reason": "ImagePullBackOff", "message": UNAUTHORIZED}}),
                    false if node.ends_with('0') => json!({"waiting": {"reason": "ContainerCreating"}}),
                    false => json!({"running": {"startedAt": "2026-03-01T12:00:00Z"}}),
                };
                json!({"name": it.name, "image": it.image, "imageID": "", "ready": false, "restartCount": 0, "state": waiting})
            })
            .collect();
        let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).map(|it| {
            let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
            json!({"name": it.name, "image": it.image, "imageID": "", "ready": true, "restartCount": 0, "state": ended})
        });
        let init: Vec<_> = init.collect();
        let status =
            json!({"status": {"phase": "Pending", "initContainerStatuses": init, "containerStatuses": statuses}});
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "make screenshots"]
async fn the_page_is_drawn_in_light_and_dark() {
    let trial = Trial::begin_in(Simulated::running().unwrap().kubeconfig(), "prepull".to_owned()).await;
    let nodes = Nodes::of(&trial);
    for number in 0..24 {
        nodes.add(format!("web-{number}"), in_pool(simulated("amd64"), "web")).await;
    }
    let mut played = Vec::new();
    for number in 0..8 {
        nodes.add(format!("gpu-{number}"), in_pool(unattended("amd64"), "gpu")).await;
        played.push(nodes.name(format!("gpu-{number}")));
    }
    let placement = nodes.placement();
    let group = |name: &str, images: &str| format!("- {{name: {name}, images: [{images}], {placement}}}\n");
    let images =
        "'nginx:1.29', 'ghcr.io/acme/app:stable', 'redis:7.4', 'registry.example/team/notebook:5', 'busybox:1.37'";
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", &format!("groups:\n{}", group("default", images))).await;
    play(&trial, &played).await;
    let browser = Browser::start().unwrap();
    let mut tab = browser.open(&format!("http://{}/", controller.status_address()), 1200, 900).unwrap();
    tab.until("document.querySelector('#behind tbody')?.innerText.includes('401')").unwrap();
    tab.until("document.querySelector('#behind tbody').innerText.includes('pulling')").unwrap();
    tab.until("[...document.querySelectorAll('.map li')].some(row => row.innerText.endsWith('31/32'))").unwrap();
    for scheme in ["light", "dark"] {
        tab.prefer(scheme).unwrap();
        // Two frames: one notices the colours, and the next has them.
        tab.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100))))",
        )
        .unwrap();
        let drawn = tab.screenshot().unwrap();
        assert!(drawn.len() > 10_000 && drawn.len() < MOST_BYTES, "{}", drawn.len());
        if std::env::var_os(UPDATE).is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("page-{scheme}.png")), drawn).unwrap();
        }
    }
    assert_eq!(tab.complaints(), [""; 0]);
}
