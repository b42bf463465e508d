//! Installs what is missing, on Debian and its relatives.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::programs::{self, Needed};

/// Installs the packages with the missing programs, or says what to install.
pub fn install(missing: &[Needed]) -> Result<()> {
    let names = programs::names(missing);
    let packages = packages(missing);
    if programs::find("apt-get").is_err() {
        bail!("these programs are missing: {names}. Debian has them in: {}", packages.join(" "));
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("these programs are missing: {names}. To install them: sudo apt-get install {}", packages.join(" "));
    }
    eprintln!("installing {} (once)", packages.join(" "));
    let _quiet = NoServices::begin()?;
    apt_get(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn packages(missing: &[Needed]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().map(|needed| needed.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.arg("-qq").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output = command.output().context("cannot run apt-get")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "apt-get {} failed: {}", arguments.join(" "), said.trim());
    Ok(())
}

/// Debian starts the services that a package brings, such as a registry on a fixed port, unless this file forbids it.
/// It forbids as long as the value lives; a machine that has its own policy keeps that.
struct NoServices {
    ours: Option<PathBuf>,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let path = Path::new("/usr/sbin/policy-rc.d");
        if path.exists() {
            return Ok(Self { ours: None });
        }
        fs::write(path, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { ours: Some(path.to_path_buf()) })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.ours {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once() {
        let needed = |program| Needed { program, package: "util-linux" };
        let missing = ["nsenter", "setsid"].map(needed);
        assert_eq!(packages(&missing), ["util-linux"]);
    }
}
