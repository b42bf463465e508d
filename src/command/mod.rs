//! The commands.
//!
//! - [`arguments`]: the command line
//! - [`run`]: the controller
//! - [`serve`]: the controller's HTTP endpoints
//! - [`render`]: a list → its manifests, offline
//! - [`validate`]: checks a list, offline
//! - [`status`]: shows what is warm where, and why not
//! - [`wait`]: waits until a list is accepted and warm
//! - [`refresh`]: requests a refresh of a list
//! - [`estimate`]: estimates what a list costs, offline
//! - [`clean_up`]: deletes what uninstalling the controller would leave behind
//! - [`connection`]: connects to the cluster that the arguments name
//! - [`source`]: reads lists from a file
//! - [`logging`]: starts the controller's log

pub mod arguments;
mod clean_up;
mod connection;
mod estimate;
mod logging;
mod refresh;
mod render;
mod run;
mod serve;
mod source;
mod status;
mod validate;
mod wait;

use std::process::ExitCode;

use arguments::{Arguments, Command};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes: the list is accepted, everything is warm, or the action succeeded.
    Good,
    /// No; the reasons were printed.
    Not,
    /// Unknown, because the arguments or files are unusable; the reasons were printed.
    WrongUsage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Not => Self::FAILURE,
            // The same as clap's.
            Outcome::WrongUsage => Self::from(2),
        }
    }
}

/// Prints what is wrong with the arguments or files.
fn wrong_usage(error: &anyhow::Error) -> Outcome {
    eprintln!("error: {error:#}");
    Outcome::WrongUsage
}

/// Runs the command that the arguments name.
///
/// # Errors
/// If the command cannot be carried out.
pub fn execute(arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments.command {
        Command::Run(arguments) => block_on(run::run(arguments)),
        Command::Render(arguments) => render::render(&arguments, &mut std::io::stdout().lock()),
        Command::Validate(arguments) => validate::validate(&arguments, &mut anstream::stdout().lock()),
        Command::Status(arguments) => block_on(status::status(arguments)),
        Command::Estimate(arguments) => estimate::estimate(&arguments, &mut anstream::stdout().lock()),
        Command::Wait(arguments) => block_on(wait::wait(arguments)),
        Command::Refresh(arguments) => block_on(refresh::refresh(arguments)),
        Command::CleanUp(arguments) => block_on(clean_up::clean_up(arguments)),
    }
}

/// One thread is enough, because the controller almost always waits for the cluster.
fn block_on(future: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
