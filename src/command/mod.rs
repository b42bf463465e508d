//! What the user runs.
//!
//! - [`arguments`]: the command line
//! - [`run`]: the controller
//! - [`serve`]: what it answers over HTTP
//! - [`render`]: list in, manifests out, offline
//! - [`validate`]: is this list good? offline
//! - [`status`]: what is warm where, and why not
//! - [`wait`]: until a list is accepted and warm
//! - [`refresh`]: asks for a refresh of a list
//! - [`estimate`]: what a list costs, offline
//! - [`clean_up`]: what the chart runs before it uninstalls the controller
//! - [`source`]: reading lists from a file
//! - [`logging`]: how the controller logs

pub mod arguments;
mod clean_up;
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
    /// What was asked for is so.
    Good,
    /// It is not, and the reasons were printed.
    Not,
    /// It cannot be told, since what was given is of no use; the reasons were printed.
    WrongUsage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Not => Self::FAILURE,
            // As clap does it.
            Outcome::WrongUsage => Self::from(2),
        }
    }
}

/// Says what is wrong with what was given.
fn wrong_usage(error: &anyhow::Error) -> Outcome {
    eprintln!("error: {error:#}");
    Outcome::WrongUsage
}

/// Runs the command that the arguments name.
///
/// # Errors
/// Whatever kept it from being carried out.
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

/// One thread is enough: the controller waits for the cluster nearly all of the time.
fn block_on(future: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
