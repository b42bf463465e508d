//! Starts a cluster of real nodes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::layout::{
    API_PORT, HOLDER, HUB, HUB_ADDRESS, Layout, MOST_NODES, NodeId, PAUSE_IMAGE, REGISTRY_NAME, REGISTRY_PORT,
};
use super::node::Node;
use super::{Real, control_plane, network, node_services};
use crate::image::Image;
use crate::kubectl::Kubectl;
use crate::machine::Machine;
use crate::pki::Pki;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::state::{Facts, Kind, State};
use crate::{cgroup, log, member, programs, wait};

const SLOW: Duration = Duration::from_secs(120);

const PROGRAMS: [&str; 9] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
];

/// How to start it.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes.
    pub nodes: u32,
    /// The program `bed`, which plays the machines' init.
    pub bed: PathBuf,
    /// The holder, which pods' sandboxes run. Without one it is built.
    pub holder: Option<PathBuf>,
}

/// Starts this checkout's cluster of real nodes and returns when all are ready. One that already runs is left as it is.
///
/// # Errors
/// Also if a part of it does not come up. What was started until then is for [`crate::down`] to end.
pub fn up(options: &Options) -> Result<Real> {
    let state = State::of_checkout(Kind::Real);
    ensure!(
        nix::unistd::geteuid().is_root(),
        "real nodes need root, for namespaces and containers. `make cluster` starts a simulated cluster without it"
    );
    ensure!((1..=MOST_NODES).contains(&options.nodes), "there can be 1 to {MOST_NODES} nodes");
    refuse_hidden(&state.folder())?;
    programs::require(&programs::FOR_REAL_NODES)?;
    let built = programs::build(&PROGRAMS)?;
    let holder = options.holder.clone().map_or_else(programs::build_holder, Ok)?;
    let _lock = state.lock()?;
    if let Some(running) = Real::find()? {
        return Ok(running);
    }
    crate::down::remove(&state)?;
    state.create()?;
    let kept = state.folder().join(HOLDER);
    fs::copy(&holder, &kept).with_context(|| format!("cannot copy the holder {}", holder.display()))?;
    Start::begin(state, built, options)?.run()
}

/// A machine has folders of its own in these places, so it would not see the bed's.
fn refuse_hidden(folder: &Path) -> Result<()> {
    let hidden = ["/run", "/var/lib", "/var/log"].iter().find(|place| folder.starts_with(place));
    match hidden {
        Some(place) => bail!("{} is in {place}, which nodes do not share: set TMPDIR", folder.display()),
        None => Ok(()),
    }
}

struct Start<'a> {
    layout: Layout,
    options: &'a Options,
    progress: Progress,
    hub: Machine,
    kubectl: Kubectl,
}

impl<'a> Start<'a> {
    fn begin(state: State, programs: PathBuf, options: &'a Options) -> Result<Self> {
        let progress = Progress::begin(&format!("starting real nodes in {}", state.folder().display()));
        let hub = Machine::boot(&state, HUB, &programs, &options.bed)?;
        let kubectl = Kubectl::new(&programs, &state.kubeconfig(), state.folder().join("kubectl"));
        Ok(Self { layout: Layout { state, programs }, options, progress, hub, kubectl })
    }

    fn run(self) -> Result<Real> {
        let pki = Pki::create(&self.layout.pki(""))?;
        control_plane::prepare(&self.layout, &pki)?;
        network::prepare_hub(&self.hub)?;
        let registry_service = control_plane::registry(&self.layout)?;
        self.hub.start(&control_plane::etcd(&self.layout))?;
        self.hub.start(&registry_service)?;
        let (api, registry_address) = self.forward()?;
        control_plane::write_host_kubeconfig(&self.layout, &api)?;

        let ids: Vec<_> = NodeId::first(self.options.nodes).collect();
        // The API server takes the longest, so the rest is done while it starts. It waits for etcd by itself.
        self.hub.start(&control_plane::api_server_service(&self.layout))?;
        let nodes = ids.iter().map(|&id| self.boot_node(&pki, id)).collect::<Result<Vec<_>>>()?;
        let registry = Registry::new(registry_address.clone(), REGISTRY_NAME, self.hub.clone(), registry_service);
        registry.await_answer()?;
        registry.push(PAUSE_IMAGE, &pause_image(&self.layout.state.folder().join(HOLDER))?)?;
        self.progress.reached("registry answers");
        self.await_api_server()?;

        self.hub.start(&control_plane::controller_manager(&self.layout))?;
        self.hub.start(&control_plane::scheduler(&self.layout))?;
        for node in &nodes {
            node.await_containerd()?;
            node.start_kubelet()?;
        }
        self.await_nodes(&ids)?;
        self.await_default_account()?;
        let facts = Facts {
            programs: self.layout.programs.clone(),
            nodes: self.options.nodes,
            registry: Some(registry_address),
        };
        self.layout.state.publish(&facts)?;
        Ok(Real::new(self.layout.state, facts))
    }

    /// Starts the process that makes API server and registry reachable from the host, and returns their addresses there.
    fn forward(&self) -> Result<(String, String)> {
        let ports = self.layout.state.folder().join("ports");
        let log = self.layout.state.folder().join("forward.log");
        let output = fs::File::create(&log)?;
        let mut command = Command::new(&self.options.bed);
        member::mark(
            &mut command,
            &self.layout.state.folder(),
            "forward",
            &programs::search_path(&self.layout.programs),
        );
        command.arg("forward").arg(&ports).arg(self.hub.init().to_string());
        for port in [API_PORT, REGISTRY_PORT] {
            command.arg(SocketAddr::from((HUB_ADDRESS, port)).to_string());
        }
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn().context("cannot start the forwarder")?;
        wait::until("the forwarder", SLOW, || {
            if child.try_wait()?.is_some() {
                bail!("the forwarder has ended\n{}", log::tail(&log));
            }
            let written = fs::read_to_string(&ports).unwrap_or_default();
            let mut lines = written.lines().map(str::to_owned);
            Ok(lines.next().zip(lines.next()))
        })
    }

    fn boot_node(&self, pki: &Pki, id: NodeId) -> Result<Node> {
        cgroup::create(&self.layout.cgroup(id))?;
        let machine = Machine::boot(&self.layout.state, &id.name(), &self.layout.programs, &self.options.bed)?;
        network::join(&self.hub, &machine, id)?;
        node_services::prepare(&self.layout, pki, id)?;
        machine.start(&node_services::containerd(&self.layout, id))?;
        Ok(Node::new(self.layout.clone(), id, machine))
    }

    fn await_api_server(&self) -> Result<()> {
        let ready = || Ok(self.kubectl.run(["get", "--raw", "/readyz"]).ok().map(drop));
        self.hub.await_service(&control_plane::api_server_service(&self.layout), SLOW, ready)?;
        self.progress.reached("API server is ready");
        Ok(())
    }

    fn await_nodes(&self, ids: &[NodeId]) -> Result<()> {
        for &id in ids {
            let name = id.name();
            let machine = Machine::find(&self.layout.state, &name, &self.layout.programs)?;
            let condition = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            let query = ["get", "node", &name, "--ignore-not-found", "-o", condition];
            let ready = || Ok((self.kubectl.run(query)? == "True").then_some(()));
            machine.await_service(&node_services::kubelet(&self.layout, id), SLOW, ready)?;
            self.progress.reached(&format!("{name} is ready"));
        }
        Ok(())
    }

    /// Before the controller manager has made it, no pod can be created.
    fn await_default_account(&self) -> Result<()> {
        let query = ["get", "serviceaccount", "default", "--namespace", "default", "--ignore-not-found", "-o", "name"];
        let made = || Ok((!self.kubectl.run(query)?.is_empty()).then_some(()));
        self.hub.await_service(&control_plane::controller_manager(&self.layout), SLOW, made)
    }
}

fn pause_image(holder: &Path) -> Result<Image> {
    Ok(Image::of_holder(fs::read(holder)?).entrypoint(&["/holder", "hold", "v1"]))
}
