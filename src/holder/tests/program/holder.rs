//! The program under test, built for each architecture.

use std::{
    env::consts::ARCH,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Makes a test of each function for each architecture.
macro_rules! on_every_architecture {
    ($($test:ident),+ $(,)?) => {
        mod x86_64 {
            $(#[test] fn $test() { super::$test(&$crate::holder::Holder::of("x86_64")) })+
        }
        mod aarch64 {
            $(#[test] fn $test() { super::$test(&$crate::holder::Holder::of("aarch64")) })+
        }
    };
}

/// The program as built for one architecture.
pub struct Holder {
    architecture: &'static str,
    /// Where the build put it.
    pub path: PathBuf,
}

impl Holder {
    pub fn of(architecture: &'static str) -> Self {
        let place = ARCHITECTURES.iter().position(|known| *known == architecture);
        let path = built()[place.expect("a known architecture")].clone();
        Self { architecture, path }
    }

    /// For what an emulator does not show as it is: its own threads, memory and system calls come on top.
    pub fn native() -> Self {
        Self::of(ARCH)
    }

    /// The command that runs the program.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        self.command_of(&self.path, arguments)
    }

    /// The command that runs a copy of the program.
    pub fn command_of<A: AsRef<OsStr>>(&self, copy: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
        let words = self.words(copy);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments);
        command
    }

    /// What to put before the arguments for `copy` to run: its path, and the emulator if this machine needs one.
    pub fn words(&self, copy: &Path) -> Vec<OsString> {
        let emulator = (self.architecture != ARCH).then(|| format!("qemu-{}-static", self.architecture));
        emulator.map(OsString::from).into_iter().chain([copy.into()]).collect()
    }
}

/// The paths of the programs, in the order of [`ARCHITECTURES`].
fn built() -> &'static [PathBuf] {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.sh");
        let output = Command::new(&script)
            .args(ARCHITECTURES)
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", script.display()));
        assert!(output.status.success(), "{} failed; its messages are above", script.display());
        let paths = String::from_utf8(output.stdout).expect("paths in UTF-8");
        paths.lines().map(PathBuf::from).collect()
    })
}
