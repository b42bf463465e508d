//! A real node: what its containerd has and runs, and a way to stop and start its services.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::layout::{Layout, NodeId};
use super::node_services::{containerd, kubelet, kubelet_configuration};
use super::task_record::TaskRecord;
use crate::image::Digest;
use crate::machine::Machine;
use crate::wait;

/// Sandboxes are containers too, for containerd.
const CONTAINERS: &str = r#"labels."io.cri-containerd.kind"==container"#;
/// Where containerd keeps what the kubelet asked for when it made a container.
const METADATA: &str = "io.cri-containerd.container.metadata";
const CONTAINERD_START: Duration = Duration::from_secs(30);
/// A busy machine needs seconds to describe a container.
const DESCRIBED: Duration = Duration::from_secs(120);

/// One real node.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) layout: Layout,
    id: NodeId,
    machine: Machine,
    described: Arc<Mutex<BTreeMap<String, Described>>>,
}

/// An image that a node has, under one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOnNode {
    /// The reference: `registry.test/app:1`, `registry.test/app@sha256:…`, or the id of its configuration.
    pub name: String,
    /// The digest of what the reference stands for (an index, or a manifest).
    pub digest: String,
    /// The size of what was pulled (compressed layers, configuration and manifests), as `ctr` prints it: `1.2 KiB`.
    pub size: String,
}

/// A container of a pod (not the sandbox) that a node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// containerd's id.
    pub id: String,
    /// The namespace of its pod.
    pub namespace: String,
    /// The name of its pod.
    pub pod: String,
    /// Its name in the pod.
    pub name: String,
    /// The image by one of its names: where one image has several on the node, containerd takes any of them. A tag that
    /// has moved since stands for another image now.
    pub image: String,
    /// The digest of the image that it was made from (an index, or a manifest), if the node still has that image.
    pub digest: Option<String>,
    /// Whether its process runs now.
    pub running: bool,
}

/// What stays the same in a container's life.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Described {
    container: Container,
    /// The name of its image that never moves: the id of the image's configuration, `sha256:…`.
    image_id: String,
}

impl Node {
    pub(super) fn new(layout: Layout, id: NodeId, machine: Machine) -> Self {
        Self { layout, id, machine, described: Arc::default() }
    }

    /// Its name in the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// Its address, as the registry sees it.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.id.address().into()
    }

    /// Runs a program in the node (its files, processes and network) and returns what it printed.
    pub fn exec(&self, program: &str, arguments: &[&str]) -> Result<String> {
        self.machine.run(program, arguments)
    }

    /// Runs containerd's client in the namespace that Kubernetes uses.
    pub fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["--namespace", "k8s.io"];
        all.extend(arguments);
        self.machine.run("ctr", &all)
    }

    /// The images that the node has, by all their names.
    pub fn images(&self) -> Result<Vec<ImageOnNode>> {
        Ok(parse_images(&self.ctr(&["images", "list"])?))
    }

    /// The containers that the node has, running or not.
    pub fn containers(&self) -> Result<Vec<Container>> {
        wait::until("containers that stay long enough to be described", DESCRIBED, || self.containers_if_described())
    }

    /// `None` if a container that ran was removed before it could be described: then it is unknown whose it was.
    fn containers_if_described(&self) -> Result<Option<Vec<Container>>> {
        let list = || self.ctr(&["containers", "list", "--quiet", CONTAINERS]);
        let before = list()?;
        // containerd notes which tasks there are, and then asks one after the other how it is. So a list has neither what has started
        // meanwhile nor what has ended, and a container that takes another one's place would leave a gap that there is not.
        let tasks = [self.ctr(&["tasks", "list"])?, self.ctr(&["tasks", "list"])?];
        let running: BTreeSet<&str> = tasks.iter().flat_map(|tasks| tasks.lines()).filter_map(running_task).collect();
        let after = list()?;
        // One that ran when the tasks were listed, and was removed since, counts as it was then.
        let ids: BTreeSet<&str> = before.lines().filter(|id| running.contains(id)).chain(after.lines()).collect();
        let mut described = Vec::new();
        for id in ids {
            match self.describe(id)? {
                Some(it) => described.push(it),
                None if running.contains(id) => return Ok(None),
                None => {}
            }
        }
        let images = self.images()?;
        let with_state = |Described { mut container, image_id }: Described| {
            container.running = running.contains(container.id.as_str());
            container.digest = images.iter().find(|image| image.name == image_id).map(|image| image.digest.clone());
            container
        };
        Ok(Some(described.into_iter().map(with_state).collect()))
    }

    /// The environment that the runtime, and each of its hooks, was given for a container: `VARIABLE=value`.
    pub fn environment(&self, container: &Container) -> Result<Vec<String>> {
        let info: Value = serde_json::from_str(&self.ctr(&["containers", "info", &container.id])?)?;
        let variables = info["Spec"]["process"]["env"].as_array();
        let variables = variables.with_context(|| format!("containerd does not say how {} runs", container.id))?;
        Ok(variables.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The digest of the program that a container's first process runs, or `None` if it does not run.
    pub fn program(&self, container: &Container) -> Result<Option<Digest>> {
        let tasks = self.ctr(&["tasks", "list"])?;
        let Some(process) = tasks.lines().find_map(|line| process_of(line, &container.id)) else { return Ok(None) };
        // It may have ended since.
        let Ok(printed) = self.exec("sha256sum", &[&format!("/proc/{process}/exe")]) else { return Ok(None) };
        Ok(printed.split_whitespace().next().map(Digest::from_hex))
    }

    fn known(&self) -> Result<MutexGuard<'_, BTreeMap<String, Described>>> {
        self.described.lock().map_err(|_| anyhow!("another thread has panicked"))
    }

    /// Begins to record which containers' processes start and end.
    pub fn record_tasks(&self) -> Result<TaskRecord> {
        TaskRecord::begin(self.machine.clone(), self.layout.program("ctr"))
    }

    /// Asking containerd is slow, so it is asked once for each container.
    fn describe(&self, id: &str) -> Result<Option<Described>> {
        let mut known = self.known()?;
        if let Some(described) = known.get(id) {
            return Ok(Some(described.clone()));
        }
        // One that was removed since the list was made is no longer there, which is what was asked.
        let Ok(info) = self.ctr(&["containers", "info", id]) else { return Ok(None) };
        let info = serde_json::from_str(&info).context("containerd describes a container in an unknown way")?;
        let Some(container) = read_container(id, &info) else { return Ok(None) };
        let image_id = image_id(&info).with_context(|| format!("containerd does not say what container {id} runs"))?;
        let described = Described { container, image_id };
        known.insert(id.to_owned(), described.clone());
        Ok(Some(described))
    }

    /// Stops the kubelet. Containers go on.
    pub fn stop_kubelet(&self) -> Result<()> {
        self.machine.stop(&kubelet(&self.layout, self.id))
    }

    /// Starts the kubelet. The node becomes ready later.
    pub fn start_kubelet(&self) -> Result<()> {
        self.machine.start(&kubelet(&self.layout, self.id))
    }

    /// Restarts the kubelet with these settings of a KubeletConfiguration in place of the bed's: with none of them it is as it
    /// was. Containers go on.
    pub fn configure_kubelet(&self, settings: &[(&str, Value)]) -> Result<()> {
        let mut configuration = kubelet_configuration(&self.layout, self.id);
        settings.iter().for_each(|(setting, value)| configuration[setting] = value.clone());
        self.stop_kubelet()?;
        fs::write(self.layout.file(self.name(), "kubelet.yaml"), serde_json::to_vec_pretty(&configuration)?)?;
        self.start_kubelet()
    }

    /// Stops containerd. Containers go on.
    pub fn stop_containerd(&self) -> Result<()> {
        self.machine.stop(&containerd(&self.layout, self.id))
    }

    /// Starts containerd and waits until it answers.
    pub fn start_containerd(&self) -> Result<()> {
        self.machine.start(&containerd(&self.layout, self.id))?;
        self.await_containerd()
    }

    /// Waits until containerd answers.
    pub(super) fn await_containerd(&self) -> Result<()> {
        let service = containerd(&self.layout, self.id);
        self.machine.await_service(&service, CONTAINERD_START, || Ok(self.ctr(&["version"]).ok().map(drop)))
    }
}

/// `TASK PID STATUS`
fn running_task(line: &str) -> Option<&str> {
    line.ends_with("RUNNING").then(|| line.split_whitespace().next())?
}

/// The process of the line's task, if it is this container's and runs.
fn process_of<'a>(line: &'a str, container: &str) -> Option<&'a str> {
    (running_task(line)? == container).then(|| line.split_whitespace().nth(1))?
}

/// `REF TYPE DIGEST SIZE PLATFORMS LABELS`, where the size is a number and a unit.
fn parse_images(table: &str) -> Vec<ImageOnNode> {
    let parse = |line: &str| {
        let mut columns = line.split_whitespace();
        let (name, digest) = (columns.next()?, columns.nth(1)?);
        let size = format!("{} {}", columns.next()?, columns.next()?);
        Some(ImageOnNode { name: name.to_owned(), digest: digest.to_owned(), size })
    };
    table.lines().skip(1).filter_map(parse).collect()
}

/// A container of a pod, or nothing if it belongs to none.
fn read_container(id: &str, info: &Value) -> Option<Container> {
    let label = |name: &str| info["Labels"][name].as_str().map(str::to_owned);
    Some(Container {
        id: id.to_owned(),
        namespace: label("io.kubernetes.pod.namespace")?,
        pod: label("io.kubernetes.pod.name")?,
        name: label("io.kubernetes.container.name")?,
        image: info["Image"].as_str()?.to_owned(),
        digest: None,
        running: false,
    })
}

/// The `ImageRef` of containerd's `pkg/cri/store/container.Metadata`.
fn image_id(info: &Value) -> Option<String> {
    let metadata = BASE64_STANDARD.decode(info["Extensions"][METADATA]["value"].as_str()?).ok()?;
    let metadata: Value = serde_json::from_slice(&metadata).ok()?;
    metadata["Metadata"]["ImageRef"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_are_read_from_the_table() {
        let table = "REF                 TYPE                                       DIGEST     SIZE    PLATFORMS   LABELS\n\
            registry.test/app:1 application/vnd.oci.image.manifest.v1+json sha256:abc 1.2 KiB linux/amd64 -\n";
        let image =
            ImageOnNode { name: "registry.test/app:1".into(), digest: "sha256:abc".into(), size: "1.2 KiB".into() };
        assert_eq!(parse_images(table), [image]);
    }

    #[test]
    fn running_tasks_are_read_from_the_table() {
        let table = "TASK    PID    STATUS    \nabc     1234   RUNNING\ndef     1235   STOPPED";
        assert_eq!(table.lines().filter_map(running_task).collect::<Vec<_>>(), ["abc"]);
        assert_eq!(table.lines().find_map(|line| process_of(line, "abc")), Some("1234"));
        assert_eq!(table.lines().find_map(|line| process_of(line, "def")), None);
    }

    fn info(labels: Value) -> Value {
        let metadata = json!({"Version": "v1", "Metadata": {"ImageRef": "sha256:abc"}});
        let metadata = BASE64_STANDARD.encode(metadata.to_string());
        json!({"Image": "registry.test/app:1", "Labels": labels, "Extensions": {METADATA: {"value": metadata}}})
    }

    #[test]
    fn a_container_is_described_by_its_labels() {
        let info = info(json!({
            "io.kubernetes.pod.namespace": "default",
            "io.kubernetes.pod.name": "pod",
            "io.kubernetes.container.name": "app",
        }));
        let container = read_container("1", &info).unwrap();
        assert_eq!((container.pod.as_str(), container.name.as_str()), ("pod", "app"));
    }

    #[test]
    fn a_container_without_a_pod_is_none_of_kubernetes() {
        assert_eq!(read_container("1", &info(json!({}))), None);
    }

    #[test]
    fn a_containers_image_is_known_by_an_id_that_does_not_move() {
        assert_eq!(image_id(&info(json!({}))).as_deref(), Some("sha256:abc"));
    }
}
