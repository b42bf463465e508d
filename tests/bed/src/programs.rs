//! The programs that a bed is made of: those built from Go modules, and those of the system.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::debian;
use crate::state::checkout;

/// Where distributions put the CNI plugins.
const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Builds those of the named programs that were not built before, and returns the folder that holds them.
pub fn build(tools: &[&str]) -> Result<PathBuf> {
    path_printed_by("tests/binaries/install.sh", tools)
}

/// Builds the holder for this machine's architecture and returns where it is.
pub fn build_holder() -> Result<PathBuf> {
    path_printed_by("src/holder/build.sh", &[std::env::consts::ARCH])
}

fn path_printed_by(script: &str, arguments: &[&str]) -> Result<PathBuf> {
    let script = checkout().join(script);
    let mut command = Command::new(&script);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(output.status.success(), "{} failed", script.display());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// A program of the system that real nodes need, and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// The name of the program.
    pub program: &'static str,
    /// The name of the package.
    pub package: &'static str,
}

const fn needed(program: &'static str, package: &'static str) -> Needed {
    Needed { program, package }
}

/// All that real nodes need of the system.
pub const FOR_REAL_NODES: [Needed; 7] = [
    needed("ip", "iproute2"),
    needed("iptables", "iptables"),
    needed("nsenter", "util-linux"),
    needed("setsid", "util-linux"),
    needed("runc", "runc"),
    needed("docker-registry", "docker-registry"),
    needed("bridge", "containernetworking-plugins"),
];

/// Makes sure that the programs for real nodes are there, and installs them where that is possible.
pub fn require_for_real_nodes() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(&missing)?;
    let still = self::missing();
    ensure!(still.is_empty(), "installed, and still not found: {}", names(&still));
    Ok(())
}

/// Those of the list that are not there, by name.
#[must_use]
pub fn names(list: &[Needed]) -> String {
    list.iter().map(|needed| needed.program).collect::<Vec<_>>().join(", ")
}

/// The folder with the CNI plugins.
pub fn cni_plugins() -> Result<PathBuf> {
    let holds_bridge = |folder: &&&str| Path::new(folder).join("bridge").is_file();
    CNI_FOLDERS.iter().find(holds_bridge).map(PathBuf::from).context("no CNI plugins are installed")
}

/// Where a program of the system is, looked for also where only root's search path leads.
pub fn find(name: &str) -> Result<PathBuf> {
    let mine = std::env::var("PATH").unwrap_or_default();
    let path = format!("{mine}:{SYSTEM_PATH}");
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    match found {
        Some(program) => Ok(program),
        None => bail!("there is no program {name}"),
    }
}

const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The search path of a bed's own processes: the built programs first, so that containerd finds its own shim.
#[must_use]
pub fn search_path(built: &Path) -> String {
    format!("{}:{SYSTEM_PATH}", built.display())
}

fn missing() -> Vec<Needed> {
    let is_there = |needed: &Needed| match needed.program {
        // iproute2 has a program of this name too.
        "bridge" => cni_plugins().is_ok(),
        program => find(program).is_ok(),
    };
    FOR_REAL_NODES.into_iter().filter(|needed| !is_there(needed)).collect()
}
