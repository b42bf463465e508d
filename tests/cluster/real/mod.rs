//! On real nodes: what kubelet, containerd and registry make of it.

mod alerts;
mod all_namespaces;
mod always_pull_images;
mod classes;
mod crowded;
mod dashboard;
mod diagnoses;
mod discovery;
mod eviction_loop;
mod exclusion;
mod faults;
mod hostile_images;
mod hostile_texts;
mod init_containers;
mod lists;
mod long_lists;
mod metrics;
mod node_gate;
mod own_images;
mod pull_credentials;
mod requests;
mod rollouts;
mod sealing;
mod secrets;
mod status;
mod tag_checks;
mod user_namespaces;
mod volumes;
mod wait;
mod workloads;

use std::collections::BTreeSet;

use test_bed::real::{Held, Sample, Watch};
use test_bed::{Digest, Image, Node, Real};

use super::controller::Controller;
use super::trial::{Trial, eventually, within};
use faults::HEALING;

/// A namespace on the real cluster, with images of its own in the registry.
struct RealTrial {
    trial: Trial,
    bed: Real,
    /// Kept, since a node remembers of which image a container was, when the container is removed while it is asked for.
    nodes: Vec<Node>,
}

impl RealTrial {
    async fn begin(name: &str) -> Self {
        Self::begin_on(Real::running().unwrap(), name).await
    }

    /// The same for a test that stops parts of the bed: others wait meanwhile.
    async fn begin_alone(name: &str) -> Self {
        Self::begin_on(Real::alone().unwrap(), name).await
    }

    /// The same in a namespace of that very name.
    async fn begin_alone_in(namespace: &str) -> Self {
        let bed = Real::alone().unwrap();
        let trial = Trial::begin_in(bed.kubeconfig(), namespace.to_owned()).await;
        Self::begin_with(bed, trial)
    }

    async fn begin_on(bed: Real, name: &str) -> Self {
        let trial = Trial::begin(bed.kubeconfig(), name).await;
        Self::begin_with(bed, trial)
    }

    fn begin_with(bed: Real, trial: Trial) -> Self {
        let real = Self { trial, nodes: bed.nodes().unwrap(), bed };
        real.push("kube-prepull:1", &real.bed.holder_image().unwrap());
        real
    }

    /// A reference that no other test uses.
    fn reference(&self, image: &str) -> String {
        format!("registry.test/{}/{image}", self.trial.namespace)
    }

    fn push(&self, image: &str, content: &Image) -> Digest {
        self.bed.registry().unwrap().push(&self.reference(image), content).unwrap()
    }

    /// The reference of an image by another name of the registry.
    fn reference_at(&self, registry: &str, image: &str) -> String {
        format!("{registry}/{}/{image}", self.trial.namespace)
    }

    /// Starts a controller.
    async fn controller(&self) -> Controller {
        Controller::start_with(&self.trial, &["--holder-image", &self.reference("kube-prepull:1")]).await
    }

    /// Waits until all nodes hold these digests and no other.
    async fn only_held_everywhere(&self, digests: &[&str]) {
        let wanted: BTreeSet<&str> = digests.iter().copied().collect();
        within(HEALING, &format!("{wanted:?} and nothing else to be held on all nodes"), async || {
            let mut held = self.nodes.iter().map(|node| self.held_on(node.name()));
            held.all(|held| held.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted).then_some(())
        })
        .await;
    }

    /// Waits until kubelets have reported that all images of all lists are held, which is a moment after containerd holds them. A tag
    /// check compares what they have reported.
    async fn reported_warm(&self) {
        eventually("kubelets to report all images as held", async || {
            (self.trial.status()["warm"] == true).then_some(())
        })
        .await;
    }

    /// From now on, on every node, one digest of each of these sets is to be held at any time.
    fn watch(&self, wanted: &[&[&str]]) -> Watch {
        Watch::begin(self.nodes.clone(), &self.trial.namespace, wanted)
    }

    /// The digests whose containers run on a node in this namespace, as containerd has them.
    fn held_on(&self, node: &str) -> Vec<String> {
        let node = self.nodes.iter().find(|it| it.name() == node).unwrap();
        self.held(node).into_iter().map(|held| held.digest).collect()
    }

    /// The containers that run on a node in this namespace, as containerd has them.
    fn held(&self, node: &Node) -> Vec<Held> {
        Sample::take(node, &self.trial.namespace).unwrap().held
    }
}

/// An image without a shell or anything else that could run.
fn content(text: &str) -> Image {
    Image::of_file("/content", text)
}
