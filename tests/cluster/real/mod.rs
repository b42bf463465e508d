//! On real nodes: what kubelet, containerd and registry make of it.

mod faults;
mod held;
mod rounds;

use test_bed::{Digest, Image, Layer, Node, Real};

use super::trial::Trial;

/// A namespace on the real cluster, with images of its own in the registry.
struct RealTrial {
    trial: Trial,
    bed: Real,
    /// Kept, since a node remembers what it was told of containers that are removed while it is looked at.
    nodes: Vec<Node>,
}

impl RealTrial {
    async fn begin(name: &str) -> Self {
        Self::on(Real::running().unwrap(), name).await
    }

    /// The same for a test that stops a part of the cluster: no other test has it meanwhile.
    async fn begin_alone(name: &str) -> Self {
        Self::on(Real::alone().unwrap(), name).await
    }

    async fn on(bed: Real, name: &str) -> Self {
        let trial = Trial::begin(bed.kubeconfig(), name).await;
        let real = Self { trial, nodes: bed.nodes().unwrap(), bed };
        let holder = std::fs::read(real.bed.holder()).unwrap();
        real.push("kube-prepull:1", &Image::from_scratch().layer(Layer::new().file("/holder", holder, 0o755)));
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

    /// The digests whose containers run on a node in this namespace, as containerd has them.
    fn held_on(&self, node: &str) -> Vec<String> {
        let node = self.nodes.iter().find(|it| it.name() == node).unwrap();
        let containers = node.containers().unwrap().into_iter();
        let ours = containers.filter(|container| container.namespace == self.trial.namespace && container.running);
        ours.filter_map(|container| container.digest).collect()
    }
}

/// An image without a shell or anything else that could run.
fn content(text: &str) -> Image {
    Image::from_scratch().layer(Layer::new().file("/content", text.as_bytes(), 0o644))
}
