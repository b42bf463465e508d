//! A machine: mount, network and process namespaces of its own, held by a small init process.
//!
//! Whatever happens in a machine ends with its init: the kernel kills the processes, and the mounts and network
//! interfaces go with the namespaces. So there is nothing to remember about a machine, and nothing to clean up in it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::kubectl::output_of;
use crate::member::{self, Member};
use crate::state::State;
use crate::{log, programs, wait};

const BOOT: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(15);

/// A program that runs in a machine until it is stopped.
#[derive(Clone, Debug)]
pub struct Service {
    /// The name of its log and of the service.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// One running machine.
#[derive(Clone, Debug)]
pub struct Machine {
    name: String,
    init: Pid,
    bed: PathBuf,
    programs: PathBuf,
}

impl Machine {
    /// Makes the namespaces and starts an init in them. `bed` is the program that can play it.
    pub fn boot(state: &State, name: &str, programs: &Path, bed: &Path) -> Result<Self> {
        let folder = state.folder().join(name);
        fs::create_dir_all(&folder)?;
        let log = folder.join("init.log");
        let mut command = Command::new(bed);
        member::mark(&mut command, &state.folder(), &format!("{name}/init"), &programs::search_path(programs));
        command.arg("init").arg(&folder).stdin(Stdio::null());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let mut child = spawn_in_new_namespaces(command)?;

        let ready = folder.join(crate::init::READY);
        wait::until(&format!("machine {name}"), BOOT, || {
            if child.try_wait()?.is_some() {
                bail!("machine {name} did not start\n{}", log::tail(&log));
            }
            Ok(ready.exists().then_some(()))
        })?;
        let init = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { name: name.to_owned(), init, bed: state.folder(), programs: programs.to_path_buf() })
    }

    /// The machine of that name, which somebody has booted before.
    pub fn find(state: &State, name: &str, programs: &Path) -> Result<Self> {
        let bed = state.folder();
        let service = format!("{name}/init");
        let init = member::all(&bed)?.into_iter().find(|member| member.service == service);
        let init = init.with_context(|| format!("there is no machine {name}"))?.pid;
        Ok(Self { name: name.to_owned(), init, bed, programs: programs.to_path_buf() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its init's process id, as seen from the host.
    #[must_use]
    pub fn init(&self) -> Pid {
        self.init
    }

    /// The folder that keeps its files and logs.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.bed.join(&self.name)
    }

    /// A command that will run inside.
    #[must_use]
    pub fn command(&self, service: &str, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let path = programs::search_path(&self.programs);
        member::mark(&mut command, &self.bed, &format!("{}/{service}", self.name), &path);
        command.arg(format!("--target={}", self.init)).args(["--mount", "--pid", "--net", "--"]).arg(program);
        command
    }

    /// Runs a program inside and returns what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command("run", Path::new(program));
        command.args(arguments).stdin(Stdio::null());
        let output = command.output().context("cannot run nsenter")?;
        output_of(&command, &output)
    }

    /// Runs `ip` with these lines as its batch, in this machine's network only: so process ids in the lines are the host's.
    pub fn ip(&self, lines: &[String]) -> Result<()> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init)).args(["--net", "--", "ip", "-batch", "-"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot run nsenter")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(lines.join("\n").as_bytes())?;
        }
        output_of(&command, &child.wait_with_output()?).map(drop)
    }

    /// Starts a service, unless it runs already, and does not wait for anything.
    pub fn start(&self, service: &Service) -> Result<()> {
        if !self.processes(service)?.is_empty() {
            return Ok(());
        }
        let path = self.log(service.name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        // setsid leaves at once, so that the service becomes the child of the machine's init, which reaps it.
        let mut command = self.command(service.name, Path::new("setsid"));
        command.arg("--fork").arg(&service.program).args(&service.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let status = command.status().context("cannot run nsenter")?;
        if !status.success() {
            bail!("cannot start {}\n{}", service.name, log::tail(&path));
        }
        Ok(())
    }

    /// Waits until `check` returns a value about that service, as long as the service runs.
    pub fn await_service<T>(
        &self,
        service: &Service,
        limit: Duration,
        mut check: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let what = format!("{} on {}", service.name, self.name);
        let answer = wait::until(&what, limit, || {
            let answer = check()?;
            if answer.is_none() && self.processes(service)?.is_empty() {
                bail!("{what} has ended by itself");
            }
            Ok(answer)
        });
        answer.map_err(|error| anyhow!("{error:#}\n{}", log::tail(&self.log(service.name))))
    }

    /// Stops a service, the hard way if it does not listen. What it started itself (such as containers) goes on. A signal
    /// does not cut this short, since it is what clean-ups do.
    pub fn stop(&self, service: &Service) -> Result<()> {
        self.signal(service, Signal::SIGTERM)?;
        let gone = || Ok(self.processes(service)?.is_empty().then_some(()));
        if wait::until_uninterrupted(service.name, STOP, gone).is_err() {
            self.signal(service, Signal::SIGKILL)?;
            wait::until_uninterrupted(service.name, STOP, gone)?;
        }
        Ok(())
    }

    /// Sends the service a signal.
    pub fn signal(&self, service: &Service, signal: Signal) -> Result<()> {
        self.processes(service)?.iter().try_for_each(|process| process.signal(signal))
    }

    /// Where a service's output goes.
    #[must_use]
    pub fn log(&self, service: &str) -> PathBuf {
        self.folder().join(format!("{service}.log"))
    }

    /// What a service starts inherits its mark, so the program must be the service's too, or still be on its way to it.
    fn processes(&self, service: &Service) -> Result<Vec<Member>> {
        let name = format!("{}/{}", self.name, service.name);
        let own = service.program.file_name().unwrap_or_default();
        let is_it = |member: &Member| member.program().is_some_and(|program| program == "setsid" || program == own);
        let members = member::all(&self.bed)?.into_iter();
        Ok(members.filter(|member| member.service == name && is_it(member)).collect())
    }
}

/// Only the calling thread changes its namespaces, so that is done in a thread which then ends.
fn spawn_in_new_namespaces(mut command: Command) -> Result<Child> {
    let spawn = move || {
        let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
        unshare(flags).context("cannot make namespaces")?;
        // A group of its own: Ctrl-C in the user's terminal is not meant for the machine.
        command.process_group(0).spawn().context("cannot start init")
    };
    thread::spawn(spawn).join().map_err(|_| anyhow!("the thread for a machine has panicked"))?
}
