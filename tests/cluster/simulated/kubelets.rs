//! Nodes whose kubelets the test plays itself, since those of the simulated cluster say nothing of what tags stand for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::nodes::{Nodes, unattended};
use crate::trial::Trial;

/// A pull, as the runtime answers it.
pub struct Pull<'p> {
    /// Which of the nodes, from 0.
    pub node: usize,
    /// The image as the pod has it.
    pub image: &'p str,
    /// How many pulls there were before, on all nodes together.
    pub number: usize,
}

/// Nodes with kubelets that pull everything at once.
pub struct Kubelets<'t> {
    nodes: Nodes<'t>,
    work: JoinHandle<()>,
}

impl<'t> Kubelets<'t> {
    /// Makes a node of each of these architectures; `image_id` is what their runtimes say of an image, or nothing where it cannot
    /// be pulled, which they try again.
    pub async fn start(
        trial: &'t Trial,
        architectures: &[&str],
        image_id: impl Fn(&Pull) -> Option<String> + Send + 'static,
    ) -> Self {
        let manifests = architectures.iter().map(|architecture| unattended(architecture)).collect();
        Self::start_on(trial, manifests, image_id).await
    }

    /// The same with nodes of these manifests.
    pub async fn start_on(
        trial: &'t Trial,
        manifests: Vec<Value>,
        image_id: impl Fn(&Pull) -> Option<String> + Send + 'static,
    ) -> Self {
        let nodes = Nodes::of(trial);
        let names = (0..manifests.len()).map(|index| nodes.name(index)).collect();
        for (index, manifest) in manifests.into_iter().enumerate() {
            nodes.add(index, manifest).await;
        }
        let kubelets = Playing { pods: trial.api(), nodes: names, image_id: Box::new(image_id), pulls: Arc::default() };
        Self { nodes, work: tokio::spawn(kubelets.play()) }
    }

    /// The nodes.
    pub fn nodes(&self) -> &Nodes<'t> {
        &self.nodes
    }

    /// What a group needs to belong on these nodes and on no others, as a part of a mapping in YAML.
    pub fn placement(&self) -> String {
        self.nodes.placement()
    }
}

impl Drop for Kubelets<'_> {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// What runtimes say of an image, if they can pull it.
type Answers = dyn Fn(&Pull) -> Option<String> + Send;

struct Playing {
    pods: Api<Pod>,
    nodes: Vec<String>,
    image_id: Box<Answers>,
    pulls: Arc<AtomicUsize>,
}

impl Playing {
    async fn play(self) {
        loop {
            let pods = self.pods.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
            for pod in &pods {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
                let Some(node) = node.and_then(|node| self.nodes.iter().position(|own| own == node)) else { continue };
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
                let name = pod.name_any();
                // Another client may have changed or deleted it meanwhile: the next list shows.
                if pod.metadata.deletion_timestamp.is_some() {
                    drop(self.pods.delete(&name, &DeleteParams::default().grace_period(0)).await);
                } else if phase == "Pending" {
                    let patch = Patch::Merge(json!({"status": self.running(pod, node)}));
                    drop(self.pods.patch_status(&name, &PatchParams::default(), &patch).await);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sets the whole status in one step, so that no client sees a running container without its image id.
    fn running(&self, pod: &Pod, node: usize) -> Value {
        let spec = pod.spec.as_ref().unwrap();
        let now = format!("{:.0}", Timestamp::now());
        let status = |name: &str, image: &str, image_id: &str, state: Value| {
            json!({"name": name, "image": image, "imageID": image_id, "ready": true, "started": true,
                   "restartCount": 0, "state": state})
        };
        let inits = spec.init_containers.iter().flatten().map(|init| {
            let ended = json!({"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now}});
            status(&init.name, init.image.as_deref().unwrap_or_default(), "", ended)
        });
        let containers = spec.containers.iter().map(|container| {
            let image = container.image.as_deref().unwrap_or_default();
            let number = self.pulls.fetch_add(1, Ordering::Relaxed);
            match (self.image_id)(&Pull { node, image, number }) {
                Some(image_id) => status(&container.name, image, &image_id, json!({"running": {"startedAt": now}})),
                None => {
                    let waiting = json!({"reason": "ErrImagePull", "message": "manifest unknown"});
                    status(&container.name, image, "", json!({"waiting": waiting}))
                }
            }
        });
        let containers: Vec<Value> = containers.collect();
        let all_run = containers.iter().all(|container| container["state"]["running"].is_object());
        let condition = |type_: &str| {
            let holds = all_run || !type_.ends_with("Ready");
            json!({"type": type_, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now})
        };
        let conditions = ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"];
        json!({
            "phase": if all_run { "Running" } else { "Pending" }, "startTime": now, "conditions": conditions.map(condition),
            "initContainerStatuses": inits.collect::<Vec<_>>(), "containerStatuses": containers,
        })
    }
}
