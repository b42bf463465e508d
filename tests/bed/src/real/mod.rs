//! A cluster of real nodes on one machine: kubelet, containerd and runc, each node in namespaces of its own.

mod control_plane;
mod faulty_registry;
mod held;
mod layout;
mod network;
mod node;
mod node_services;
mod power_cut;
mod task_record;
mod up;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::image::Image;
use crate::kubectl::Kubectl;
use crate::machine::Machine;
use crate::needed;
use crate::registry::Registry;
use crate::state::{Facts, Kind, Lock, State};
use layout::{HOLDER, HUB, Layout, NodeId};

pub use faulty_registry::{Fault, FaultyRegistry};
pub use held::{Held, Sample, Watch, gap};
pub use layout::REGISTRY_NAME;
pub use node::{Container, ImageOnNode, Node};
pub use power_cut::Remains;
pub use task_record::{TaskEvent, TaskRecord};
pub use up::{Options, up};

/// The running cluster of real nodes of this checkout.
///
/// As long as it lives no other test can have the bed [alone](Real::alone).
#[derive(Clone, Debug)]
pub struct Real {
    layout: Layout,
    facts: Facts,
    kubectl: Kubectl,
    _use: Option<Arc<Lock>>,
}

impl Real {
    /// Finds it, for a test that does not mind others beside it. If it does not run, all tests end with a line that says what to do.
    ///
    /// # Errors
    /// If this user may not enter its machines.
    pub fn running() -> Result<Self> {
        Self::acquire(false)
    }

    /// Finds it and waits until nobody else uses it, for a test that stops a part of it. Others wait until it is dropped.
    ///
    /// # Errors
    /// As [`Real::running`]. A thread that has one already waits in vain.
    pub fn alone() -> Result<Self> {
        Self::acquire(true)
    }

    fn acquire(alone: bool) -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "only root can look into real nodes");
        let Some(found) = Self::find()? else { needed::end_without(Kind::Real) };
        let lock = found.layout.state.use_it(alone)?;
        Ok(Self { _use: Some(Arc::new(lock)), ..found })
    }

    /// Finds it, if it runs, without a claim to use it.
    pub fn find() -> Result<Option<Self>> {
        let state = State::of_checkout(Kind::Real);
        Ok(state.facts()?.map(|facts| Self::new(state, facts)))
    }

    fn new(state: State, facts: Facts) -> Self {
        let kubectl = Kubectl::new(&facts.programs, &state.kubeconfig(), state.folder().join("kubectl"));
        let layout = Layout { state, programs: facts.programs.clone() };
        Self { layout, facts, kubectl, _use: None }
    }

    /// The administrator's kubeconfig, for programs on the host.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// The folder of kubectl and the other programs that were built for it.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.layout.programs
    }

    /// The API server's audit log: one JSON object per line, at the level `Metadata`.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.layout.file(HUB, "audit.log")
    }

    /// Runs kubectl as the administrator and returns what it printed.
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.kubectl.run(arguments)
    }

    /// Applies a manifest (YAML or JSON, any number of documents) on the server's side.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.kubectl.apply(manifest)
    }

    /// The holder that the nodes' sandboxes run, for tests that put it into images of their own.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn holder(&self) -> Result<Vec<u8>> {
        let path = self.layout.state.folder().join(HOLDER);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// kube-prepull's own image as nodes see it: the holder and nothing else.
    ///
    /// # Errors
    /// If the holder cannot be read.
    pub fn holder_image(&self) -> Result<Image> {
        Ok(Image::of_holder(self.holder()?))
    }

    /// The registry that the nodes know as `registry.test`.
    pub fn registry(&self) -> Result<Registry> {
        let address = self.facts.registry.clone().context("the bed has no registry")?;
        let hub = Machine::find(&self.layout.state, HUB, &self.layout.programs)?;
        Ok(Registry::new(address, REGISTRY_NAME, hub, control_plane::registry(&self.layout)?))
    }

    /// A way to the same registry on which things go wrong, under a name that no other test uses.
    pub fn faulty_registry(&self, name: &str) -> Result<FaultyRegistry> {
        let hub = Machine::find(&self.layout.state, HUB, &self.layout.programs)?;
        let nodes: Vec<_> = NodeId::first(self.facts.nodes).map(NodeId::name).collect();
        FaultyRegistry::start(&self.layout, &nodes, hub.init().as_raw(), name)
    }

    /// A node by its name: `node1`, `node2`, …
    pub fn node(&self, name: &str) -> Result<Node> {
        let id = NodeId::of_name(name).with_context(|| format!("{name} is not the name of a node"))?;
        let machine = Machine::find(&self.layout.state, name, &self.layout.programs)?;
        Ok(Node::new(self.layout.clone(), id, machine))
    }

    /// All nodes.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        NodeId::first(self.facts.nodes).map(|id| self.node(&id.name())).collect()
    }
}
