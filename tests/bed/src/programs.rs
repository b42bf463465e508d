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
pub const FOR_REAL_NODES: [&str; 7] = ["ip", "iptables", "nsenter", "setsid", "runc", "docker-registry", "bridge"];

/// No program, but what that compiler includes; a compiler for arm64 is no use without it.
const ARM64_HEADERS: &str = "aarch64-linux-gnu-headers";

/// A browser without windows.
pub(crate) const BROWSER: &str = "chromium-headless-shell";
/// No program, but what a browser writes with.
pub(crate) const FONTS: &str = "dejavu-fonts";

/// Which package has which program.
const PACKAGES: [Needed; 15] = [
    needed("ip", "iproute2"),
    needed("iptables", "iptables"),
    needed("nsenter", "util-linux"),
    needed("setsid", "util-linux"),
    needed("runc", "runc"),
    needed("docker-registry", "docker-registry"),
    needed("bridge", "containernetworking-plugins"),
    needed("qemu-aarch64-static", "qemu-user-static"),
    needed("lua5.4", "lua5.4"),
    needed("shellcheck", "shellcheck"),
    needed("buildah", "buildah"),
    needed("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    needed(ARM64_HEADERS, "libc6-dev-arm64-cross"),
    needed(BROWSER, "chromium-headless-shell"),
    needed(FONTS, "fonts-dejavu-core"),
];

/// Makes sure that these programs of the system are there, and installs them where that is possible.
///
/// # Errors
/// For a program whose package is not known, and where one is missing and cannot be installed.
pub fn require<N: AsRef<str>>(programs: &[N]) -> Result<()> {
    let needed = programs.iter().map(|name| packaged(name.as_ref())).collect::<Result<Vec<_>>>()?;
    let missing = missing(&needed);
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(&missing)?;
    let still = self::missing(&needed);
    ensure!(still.is_empty(), "installed, and still not found: {}", names(&still));
    Ok(())
}

fn packaged(program: &str) -> Result<Needed> {
    let known = PACKAGES.into_iter().find(|needed| needed.program == program);
    known.with_context(|| format!("it is not known which package has {program}"))
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

/// Where a program of the system is, also if only root's search path leads there.
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

fn missing(needed: &[Needed]) -> Vec<Needed> {
    let is_there = |needed: &Needed| match needed.program {
        // iproute2 has a program of this name too.
        "bridge" => cni_plugins().is_ok(),
        ARM64_HEADERS => Path::new("/usr/aarch64-linux-gnu/include/stdint.h").is_file(),
        FONTS => Path::new("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").is_file(),
        program => find(program).is_ok(),
    };
    needed.iter().copied().filter(|needed| !is_there(needed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_every_needed_program_is_known() {
        for program in FOR_REAL_NODES {
            assert_eq!(packaged(program).unwrap().program, program);
        }
        assert!(packaged("nonsense").is_err());
    }
}
