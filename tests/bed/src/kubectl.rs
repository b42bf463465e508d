//! kubectl, always with a kubeconfig that was named: the user's own is never read.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// The administrator's kubectl for one cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// A kubectl of that folder of programs, which keeps its cache in `cache` (and not in the user's home).
    #[must_use]
    pub fn new(programs: &Path, kubeconfig: &Path, cache: PathBuf) -> Self {
        Self { program: programs.join("kubectl"), kubeconfig: kubeconfig.to_path_buf(), cache }
    }

    /// The kubeconfig that it uses.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs it and returns what it printed on standard output.
    ///
    /// # Errors
    /// If it fails; the error says what it printed on standard error.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.run_with_input(arguments, "")
    }

    /// The same with something on standard input, such as a manifest for `apply -f -`.
    pub fn run_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<String> {
        let mut command = self.command();
        command.args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that reads nothing has closed its end. What it says about that is in its output.
            let _ = stdin.write_all(input.as_bytes());
        }
        output_of(&command, &child.wait_with_output()?)
    }

    /// Applies a manifest (YAML or JSON, any number of documents) on the server's side.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.run_with_input(["apply", "--server-side", "--filename", "-"], manifest)
    }

    /// A command for those who want to see the output as it comes.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_remove("KUBECONFIG").arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--cache-dir").arg(&self.cache);
        command
    }
}

/// Standard output of a command that has ended well, otherwise an error with its standard error.
pub(crate) fn output_of(command: &Command, output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
}
