//! `bed run`: a command with clusters around it.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_bed::state::Kind;
use test_bed::{Real, Simulated, Started, real, simulated, wait};

use crate::{Holder, SIMULATED_NODES, real_options};

/// How long a command may take to end after a signal.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Args)]
pub struct Options {
    /// With a simulated cluster.
    #[arg(long)]
    simulated: bool,
    /// With real nodes (needs root).
    #[arg(long)]
    real: bool,
    /// How many real nodes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    #[command(flatten)]
    holder: Holder,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// Returns the command's exit code. Clusters that ran before are used and left running.
pub fn run(options: Options) -> Result<ExitCode> {
    wait::heed_signals()?;
    let mut started = Started::default();
    if options.simulated && Simulated::find()?.is_none() {
        started.start(Kind::Simulated, || simulated::up(SIMULATED_NODES))?;
    }
    if options.real && Real::find()?.is_none() {
        let real = real_options(options.count, options.holder)?;
        started.start(Kind::Real, || real::up(&real))?;
    }
    let status = execute(&options.command)?;
    started.end()?;
    Ok(exit_code(status))
}

fn execute(command: &[OsString]) -> Result<ExitStatus> {
    let (program, arguments) = command.split_first().context("there is no command")?;
    let child = Command::new(program).args(arguments).spawn();
    let mut child = child.with_context(|| format!("cannot run {}", program.display()))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if wait::interrupted() {
            return end_child(&mut child);
        }
        thread::sleep(PAUSE);
    }
}

/// A terminal sends its signals to the command too, others do not.
fn end_child(child: &mut Child) -> Result<ExitStatus> {
    let begun = Instant::now();
    let _ = kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM);
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(PAUSE);
    }
    child.kill()?;
    Ok(child.wait()?)
}

/// As shells do: what a signal has ended has 128 and the signal's number.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
