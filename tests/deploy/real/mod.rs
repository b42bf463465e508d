//! The chart on real nodes: the controller is a pod, under its own account and in a namespace that enforces "restricted".
//!
//! `make test` has one release from its install to its end; `make test-faults` runs the others too, which take minutes.

mod connections;
mod image_caches;
mod leader;
mod migration;
mod openshift;
mod policies;
mod readme;
mod releases;
mod replicas;
mod rights;
mod secure_metrics;
mod wait_hook;

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use test_bed::real::{Container, Watch};
use test_bed::{Image, Layer, Node, Real};

use super::namespace::Namespace;
use super::release::Sequence;

/// The name of the controller's container.
const CONTROLLER_CONTAINER: &str = "kube-prepull";

struct Install {
    it: Sequence,
    bed: Real,
    nodes: Vec<Node>,
}

impl Install {
    fn begin(name: &str) -> Self {
        Self::begin_on(Real::running().unwrap(), name)
    }

    /// The same for a test that changes the cluster: others wait meanwhile.
    fn begin_alone(name: &str) -> Self {
        Self::begin_on(Real::alone().unwrap(), name)
    }

    fn begin_on(bed: Real, name: &str) -> Self {
        let it = Sequence::begin(Namespace::of_real(&bed, name));
        Self { it, nodes: bed.nodes().unwrap(), bed }
    }

    /// A reference that no other test uses.
    fn reference(&self, image: &str) -> String {
        format!("registry.test/{}/{image}", self.it.namespace.name)
    }

    fn push(&self, image: &str, content: &Image) -> String {
        self.bed.registry().unwrap().push(&self.reference(image), content).unwrap().to_string()
    }

    /// Pushes an image without a shell or anything else that could run, and returns its digest.
    fn push_content(&self, image: &str, text: &str) -> String {
        self.push(image, &Image::of_file("/content", text))
    }

    /// Pushes the controller's image with the program that is tested, and with the libraries that it loads: the one that
    /// deploy/image.sh builds is static, and takes minutes. The image of the holder is pushed beside it.
    fn push_controller(&self, version: &str) {
        let program = env!("CARGO_BIN_EXE_kube-prepull");
        let listed = Command::new("ldd").arg(program).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        let layer = Layer::new().file("/bin/kube-prepull", fs::read(program).unwrap(), 0o755);
        let layer = layer.file("/holder", self.bed.holder().unwrap(), 0o755);
        let layer = libraries.fold(layer, |layer, path| layer.file(path, fs::read(path).unwrap(), 0o755));
        let image = Image::from_scratch().layer(layer).user("65532:65532").entrypoint(&["/bin/kube-prepull"]);
        let image = image.label("version", version);
        self.push(&format!("kube-prepull:{version}-holder"), &self.bed.holder_image().unwrap());
        self.push(&format!("kube-prepull:{version}"), &image);
    }

    /// Values with kube-prepull's image of that tag.
    fn values(&self, tag: &str) -> String {
        self.values_with(tag, json!({}))
    }

    /// The same with others.
    fn values_with(&self, tag: &str, mut values: Value) -> String {
        values["image"] = json!({"repository": self.reference("kube-prepull"), "tag": tag});
        values.to_string()
    }

    /// Writes a list of these images, each named after its repository.
    fn list(&self, images: &[&str]) {
        let name = |image: &str| image.split(':').next().unwrap().to_owned();
        let pairs: Vec<_> = images.iter().map(|image| format!("{}={}", name(image), self.reference(image))).collect();
        self.it.edit(&pairs.join("; "));
    }

    /// The containers of the namespace that run.
    fn running(&self) -> Vec<Container> {
        let all = self.nodes.iter().flat_map(|node| node.containers().unwrap());
        all.filter(|it| it.namespace == self.it.namespace.name && it.running).collect()
    }

    /// Those of the list's images.
    fn holding(&self) -> Vec<Container> {
        self.running().into_iter().filter(|container| container.name != CONTROLLER_CONTAINER).collect()
    }

    /// Waits until exactly one container on each node holds each of these digests, and none another.
    fn held(&self, digests: &[&str]) -> Vec<Container> {
        let mut wanted: Vec<_> = self.nodes.iter().flat_map(|_| digests.iter().copied()).collect();
        wanted.sort_unstable();
        let mut holding = Vec::new();
        self.it.eventually(&format!("{digests:?} to be held once on each node, and nothing else"), || {
            holding = self.holding();
            let mut held: Vec<_> = holding.iter().filter_map(|container| container.digest.as_deref()).collect();
            held.sort_unstable();
            held == wanted
        });
        holding
    }

    /// From now on, on every node, one digest of each of these sets is to be held at any time.
    fn watch(&self, wanted: &[&[&str]]) -> Watch {
        Watch::begin(self.nodes.clone(), &self.it.namespace.name, wanted)
    }
}
