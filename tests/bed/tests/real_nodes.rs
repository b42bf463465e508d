//! On real nodes: what is pushed can be pulled, a holder keeps any image in use, and parts can fail. All of it is seen
//! from containerd and the registry, not from what Kubernetes says.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use anyhow::{Context, Result};
use test_bed::real::Container;
use test_bed::{Digest, Image, Layer, Node, Real, Registry, wait};

/// Two cores pull, start and end containers for all tests.
const SOON: Duration = Duration::from_secs(300);

/// A namespace that goes with the test.
struct Trial {
    real: Real,
    namespace: String,
}

impl Trial {
    fn begin(name: &str, real: Real) -> Self {
        let namespace = format!("{name}-{}", std::process::id());
        let manifest = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, \
             labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
        );
        real.apply(&manifest).unwrap();
        Self { real, namespace }
    }

    /// A reference that no other test uses.
    fn reference(&self, image: &str) -> String {
        format!("registry.test/{}/{image}", self.namespace)
    }

    fn push(&self, image: &str, content: &Image) -> Digest {
        self.real.registry().unwrap().push(&self.reference(image), content).unwrap()
    }

    /// What the node has under that reference.
    fn digest_on(&self, node: &Node, image: &str) -> String {
        let reference = self.reference(image);
        let found = node.images().unwrap().into_iter().find(|image| image.name == reference);
        found.unwrap_or_else(|| panic!("{} has no {reference}", node.name())).digest
    }

    /// Pushes an image with the holder in it.
    fn push_holder(&self) {
        self.push("kube-prepull:1", &self.real.holder_image().unwrap());
    }

    /// A DaemonSet as the controller makes them, for these images.
    fn hold(&self, generation: &str, images: &[&str]) {
        let containers: String = images
            .iter()
            .enumerate()
            .map(|(index, image)| {
                CONTAINER.replace("INDEX", &index.to_string()).replace("IMAGE", &self.reference(image))
            })
            .collect();
        let manifest = DAEMON_SET.replace("NAMESPACE", &self.namespace).replace("GENERATION", generation);
        let manifest = manifest.replace("HOLDER", &self.reference("kube-prepull:1"));
        self.real.apply(&manifest.replace("CONTAINERS\n", &containers)).unwrap();
    }

    /// Waits until containers of exactly these images run on the node.
    fn await_held(&self, node: &Node, images: &[&Digest]) -> Result<()> {
        let mut expected: Vec<_> = images.iter().map(|digest| Some(digest.to_string())).collect();
        expected.sort();
        let held = || -> Result<Option<()>> {
            let running = self.containers(node)?.into_iter().filter(|container| container.running);
            let mut held: Vec<_> = running.map(|container| container.digest).collect();
            held.sort();
            Ok((held == expected).then_some(()))
        };
        wait::until(&format!("holders on {}", node.name()), SOON, held).with_context(|| {
            let pods = self.real.kubectl(["describe", "pods", "--namespace", &self.namespace]);
            format!("{}\n{:#?}", pods.unwrap_or_default(), self.containers(node))
        })
    }

    /// This test's containers on the node.
    fn containers(&self, node: &Node) -> Result<Vec<Container>> {
        let mut containers = node.containers()?;
        containers.retain(|container| container.namespace == self.namespace);
        Ok(containers)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.real.kubectl(["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

const DAEMON_SET: &str = r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: GENERATION, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: GENERATION}}
  template:
    metadata: {labels: {app: GENERATION}}
    spec:
      terminationGracePeriodSeconds: 1
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      volumes: [{name: holder, emptyDir: {}}]
      initContainers:
      - name: install
        image: HOLDER
        command: [/holder, install, v1, /kube-prepull/holder, "0", "0", $(NODE_NAME)]
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        volumeMounts: [{name: holder, mountPath: /kube-prepull}]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      containers:
CONTAINERS
"#;

const CONTAINER: &str = "
      - name: image-INDEX
        image: IMAGE
        imagePullPolicy: Always
        command: [/kube-prepull/holder, hold, v1]
        volumeMounts: [{name: holder, mountPath: /kube-prepull, readOnly: true}]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
";

/// An image that no other test and no other run has: containerd knows equal images as one.
fn sample(seed: u64) -> Image {
    let run = u64::from(std::process::id());
    Image::from_scratch().layer(Layer::new().random("/data/bulk", run << 32 | seed, 1 << 20))
}

#[test]
fn holders_run_in_any_image_on_every_node() {
    let trial = Trial::begin("holders", Real::running().unwrap());
    trial.push_holder();
    let bare = trial.push("bare:1", &sample(1));
    // No layer at all: not even a folder to mount something on.
    let empty = trial.push("empty:1", &Image::from_scratch().label("namespace", &trial.namespace));
    let unpacked = Layer::new().zeros("/var/big", 8 << 20).symlink("/bin/sh", "/nowhere");
    let rich = trial.push("rich:1", &sample(2).layer(unpacked).entrypoint(&["/does/not/exist"]).user("1234"));
    trial.hold("holders", &["bare:1", "empty:1", "rich:1"]);

    for node in trial.real.nodes().unwrap() {
        trial.await_held(&node, &[&bare, &empty, &rich]).unwrap();
        for (repository, digest) in [("bare", &bare), ("empty", &empty), ("rich", &rich)] {
            assert_eq!(trial.digest_on(&node, &format!("{repository}:1")), digest.as_str());
            let registry = trial.real.registry().unwrap();
            let asked = registry.manifest_requests(&trial.reference(repository), node.address()).unwrap();
            assert!(asked >= 1, "{} has not asked for {repository}", node.name());
        }
    }
}

#[test]
fn a_node_takes_its_architecture_from_an_index() {
    let trial = Trial::begin("index", Real::running().unwrap());
    trial.push_holder();
    let foreign = sample(3).architecture("riscv64");
    let reference = trial.reference("both:1");
    let index = trial.real.registry().unwrap().push_index(&reference, &[foreign, sample(4)]).unwrap();
    trial.hold("holders", &["both:1"]);

    let node = trial.real.node("node1").unwrap();
    trial.await_held(&node, &[&index]).unwrap();
    assert_eq!(trial.digest_on(&node, "both:1"), index.as_str());
}

#[test]
fn a_container_keeps_its_digest_when_the_tag_moves() {
    let trial = Trial::begin("moved", Real::running().unwrap());
    trial.push_holder();
    let node = trial.real.node("node1").unwrap();
    let old = trial.push("app:1", &sample(9));
    trial.hold("old", &["app:1"]);
    trial.await_held(&node, &[&old]).unwrap();

    let new = trial.push("app:1", &sample(10));
    trial.hold("new", &["app:1"]);
    trial.await_held(&node, &[&old, &new]).unwrap();
    assert_eq!(trial.digest_on(&node, "app:1"), new.as_str());
}

#[test]
fn a_record_reports_which_containers_start_and_end() {
    let trial = Trial::begin("record", Real::running().unwrap());
    trial.push_holder();
    let node = trial.real.node("node1").unwrap();
    let app = trial.push("app:1", &sample(11));
    let record = node.record_tasks().unwrap();
    trial.hold("holders", &["app:1"]);
    trial.await_held(&node, &[&app]).unwrap();
    let container = trial.containers(&node).unwrap().into_iter().find(|container| container.running).unwrap();
    trial.real.kubectl(["delete", "daemonset", "holders", "--namespace", &trial.namespace]).unwrap();

    let of_container = || -> Result<Option<Vec<bool>>> {
        let events = record.events()?.into_iter().filter(|event| event.container == container.id);
        let starts: Vec<_> = events.map(|event| event.started).collect();
        Ok((starts.len() == 2).then_some(starts))
    };
    assert_eq!(wait::until("a start and an end", SOON, of_container).unwrap(), [true, false]);
}

#[test]
fn what_is_deleted_cannot_be_pulled() {
    let trial = Trial::begin("deleted", Real::running().unwrap());
    let registry = trial.real.registry().unwrap();
    let node = trial.real.node("node1").unwrap();
    let (kept, lost) = (trial.reference("app:1"), trial.reference("app:2"));
    trial.push("app:1", &sample(5));
    let digest = trial.push("app:2", &sample(6));
    let pull = |reference: &str| {
        let certificates = trial.real.kubeconfig().with_file_name("node1").join("certs.d");
        node.ctr(&["images", "pull", "--hosts-dir", &certificates.display().to_string(), reference])
    };

    pull(&lost).unwrap();
    registry.delete(&lost[..lost.len() - 2], &digest).unwrap();
    let error = pull(&lost).unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
    pull(&kept).unwrap();
    registry.delete_tag(&kept).unwrap();
    assert!(pull(&kept).unwrap_err().to_string().contains("not found"));
}

/// A part of the bed is down. Other tests find it up again, however this one ends.
struct Outage {
    registry: Registry,
    node: Node,
}

impl Outage {
    fn begin(registry: Registry, node: Node) -> Self {
        let outage = Self { registry, node };
        outage.registry.stop().unwrap();
        outage.node.stop_kubelet().unwrap();
        outage.node.stop_containerd().unwrap();
        outage
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        for restarted in [self.registry.start(), self.node.start_containerd(), self.node.start_kubelet()] {
            if let Err(error) = restarted {
                eprintln!("{error:#}");
            }
        }
    }
}

#[test]
fn holders_outlive_kubelet_containerd_and_registry() {
    let trial = Trial::begin("outage", Real::alone().unwrap());
    trial.push_holder();
    let app = trial.push("app:1", &sample(7));
    trial.hold("holders", &["app:1"]);
    let (registry, node) = (trial.real.registry().unwrap(), trial.real.node("node1").unwrap());
    trial.await_held(&node, &[&app]).unwrap();
    let before = trial.containers(&node).unwrap();

    let outage = Outage::begin(registry.clone(), node.clone());
    assert!(registry.push(&trial.reference("app:2"), &sample(8)).is_err());
    node.start_containerd().unwrap();
    node.start_kubelet().unwrap();
    trial.await_held(&node, &[&app]).unwrap();
    assert_eq!(trial.containers(&node).unwrap(), before, "containers were replaced");

    drop(outage);
    registry.push(&trial.reference("app:2"), &sample(8)).unwrap();
}
