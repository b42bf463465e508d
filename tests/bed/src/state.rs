//! Where a bed keeps its files, and what it writes down about itself.
//!
//! There is one folder per checkout and user, so that two checkouts can have their beds up at the same time, and it is
//! found from the checkout's path alone: a test binary needs no arguments to find the cluster that `make` started.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{member, wait};

/// A lock on a folder, held as long as this lives.
pub type Lock = Flock<File>;

/// A first start builds nothing while it has the lock, so this is enough.
const LONGEST_START: Duration = Duration::from_secs(300);
const OTHERS: &str = "another start or end of this checkout's clusters";
/// A test that needs the bed for itself may have to wait for all others, which is no reason to fail.
const LONGEST_RUN: Duration = Duration::from_secs(3600);

/// The two kinds of cluster a bed can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A real control plane whose nodes are played by kwok.
    Simulated,
    /// A real control plane with real kubelets, containerds and a registry.
    Real,
}

impl Kind {
    fn folder_name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Simulated => "simulated cluster",
            Self::Real => "real nodes",
        })
    }
}

/// The top of the checkout that this program was built from.
#[must_use]
pub fn checkout() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// The folder of one bed.
#[derive(Clone, Debug)]
pub struct State {
    base: PathBuf,
    kind: Kind,
}

/// What a bed that is completely up writes down for those who use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The folder of kubectl and the other programs that were built.
    pub programs: PathBuf,
    /// How many nodes it was started with.
    pub nodes: u32,
    /// The registry, as seen from the host (real nodes only).
    pub registry: Option<String>,
}

impl State {
    /// This checkout's state of that kind. Nothing is created yet.
    #[must_use]
    pub fn of_checkout(kind: Kind) -> Self {
        Self::in_temporary(&std::env::temp_dir(), kind)
    }

    /// The state that a process with this folder for temporary files finds.
    #[must_use]
    pub fn in_temporary(folder: &Path, kind: Kind) -> Self {
        Self { base: base(folder, nix::unistd::getuid().as_raw(), &checkout()), kind }
    }

    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The folder itself, which is also what marks the processes of this bed.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.base.join(self.kind.folder_name())
    }

    /// The administrator's kubeconfig for programs on the host.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// A name for what has to be unique on the whole machine, such as control groups.
    #[must_use]
    pub fn unique_name(&self) -> String {
        format!("kube-prepull-{}", short_hash(&self.folder()))
    }

    /// Keeps everyone else from starting or ending a bed of this checkout as long as the result lives.
    pub fn lock(&self) -> Result<Lock> {
        wait::until(OTHERS, LONGEST_START, || self.try_lock())
    }

    /// The same for a clean-up, which a signal must not cut short: most often it is a signal that leads to it.
    pub(crate) fn lock_to_clean_up(&self) -> Result<Lock> {
        wait::until_uninterrupted(OTHERS, LONGEST_START, || self.try_lock())
    }

    fn try_lock(&self) -> Result<Option<Lock>> {
        create_private(&self.base)?;
        let Some(lock) = try_lock(&self.base, FlockArg::LockExclusiveNonblock)? else { return Ok(None) };
        // Whoever had the lock before may have removed the folder, and this lock would be of no use.
        let is_current = fs::metadata(&self.base).is_ok_and(|now| lock.metadata().is_ok_and(|then| same(&now, &then)));
        Ok(is_current.then_some(lock))
    }

    /// Says that a test uses the bed, or that it needs it for itself alone, as long as the result lives.
    pub fn use_it(&self, alone: bool) -> Result<Lock> {
        let how = if alone { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
        wait::until("other tests to be done with the bed", LONGEST_RUN, || try_lock(&self.folder(), how))
    }

    /// Creates the folder, empty and for this user alone.
    pub fn create(&self) -> Result<()> {
        create_private(&self.base)?;
        create_private(&self.folder())
    }

    /// Writes down that the bed is up. To be called last.
    pub fn publish(&self, facts: &Facts) -> Result<()> {
        let scratch = self.folder().join("facts.json.new");
        fs::write(&scratch, serde_json::to_vec_pretty(facts)?)?;
        fs::rename(&scratch, self.facts_path()).context("cannot write the bed's facts")
    }

    /// What the bed said of itself, or `None` if it is not (or no longer) up.
    pub fn facts(&self) -> Result<Option<Facts>> {
        let Ok(text) = fs::read(self.facts_path()) else { return Ok(None) };
        // A reboot ends the processes and may keep the folder.
        if member::all(&self.folder())?.is_empty() {
            return Ok(None);
        }
        let path = self.facts_path();
        serde_json::from_slice(&text).map(Some).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Removes the folder with everything in it.
    pub fn remove(&self) -> Result<()> {
        let folder = self.folder();
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
        // The last one goes; with the other kind's folder in it this fails, as it should.
        let _ = fs::remove_dir(&self.base);
        Ok(())
    }

    fn facts_path(&self) -> PathBuf {
        self.folder().join("facts.json")
    }
}

fn base(temporary: &Path, uid: u32, checkout: &Path) -> PathBuf {
    temporary.join(format!("kube-prepull-{uid}-{}", short_hash(checkout)))
}

fn short_hash(path: &Path) -> String {
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn try_lock(folder: &Path, how: FlockArg) -> Result<Option<Lock>> {
    let folder_itself = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    match Flock::lock(folder_itself, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("cannot lock {}", folder.display())),
    }
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The folder for temporary files is everyone's, so a folder that is there already may be somebody's trap.
fn create_private(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot create {}", folder.display()))?;
    let found = fs::symlink_metadata(folder)?;
    ensure!(found.is_dir(), "{} is not a folder: remove it", folder.display());
    if found.uid() != nix::unistd::getuid().as_raw() {
        bail!("{} belongs to another user: set TMPDIR to a folder of your own", folder.display());
    }
    if found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_depends_on_user_and_checkout() {
        let one = base(Path::new("/tmp"), 0, Path::new("/a"));
        assert_eq!(one, Path::new("/tmp/kube-prepull-0-6a50dc85"));
        assert_ne!(one, base(Path::new("/tmp"), 1, Path::new("/a")));
        assert_ne!(one, base(Path::new("/tmp"), 0, Path::new("/b")));
    }

    #[test]
    fn the_checkout_holds_the_workspace() {
        assert!(checkout().join("tests/bed/Cargo.toml").exists());
    }
}
