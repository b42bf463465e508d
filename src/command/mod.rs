//! The commands.
//!
//! - [`arguments`]: the command line
//! - [`run`]: the controller
//! - [`serve`]: the controller's HTTP listeners
//! - [`render`]: a list → its manifests, offline unless these are to show what was discovered
//! - [`validate`]: checks a list, offline
//! - [`status`]: shows what is warm where, and why not
//! - [`wait`]: waits until a list is accepted and warm
//! - [`refresh`]: requests a refresh of a list
//! - [`history`]: prints the accepted versions of a list, and goes back to one of them
//! - [`estimate`]: estimates what a list costs, offline
//! - [`images`]: prints the images of lists, for those who pull them ahead of time
//! - [`completion`]: prints a script with which a shell completes the command line
//! - [`ui`]: opens the controller's page in a browser
//! - [`clean_up`]: deletes what uninstalling the controller would leave behind
//! - [`rights`]: what to say of rights that are missing
//! - [`connection`]: connects to the cluster that the arguments name
//! - [`policy`]: reads what lists may ask for
//! - [`source`]: reads lists from a file
//! - [`list_files`]: the files that patterns and folders mean
//! - [`outcome`]: how a command ended
//! - [`logging`], [`log_lines`]: the controller's log
//! - [`terminal`]: lines on the terminal

pub mod arguments;
mod clean_up;
mod completion;
mod connection;
mod estimate;
mod history;
mod images;
mod list_files;
mod log_lines;
mod logging;
mod outcome;
mod policy;
mod refresh;
mod render;
mod rights;
mod run;
mod seed;
mod serve;
mod source;
mod status;
mod terminal;
mod ui;
mod validate;
mod wait;

use arguments::{Arguments, Command};
pub use outcome::Outcome;
pub use terminal::report;

/// Runs the command that the arguments name.
///
/// # Errors
/// If the command cannot be carried out.
pub fn execute(arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments.command {
        Command::Run(arguments) => block_on_threads(run::run(*arguments)),
        Command::Render(arguments) => block_on(render::render(&arguments)),
        Command::Validate(arguments) => validate::validate(&arguments, &mut anstream::stdout().lock()),
        Command::Status(arguments) => block_on_threads(status::status(arguments)),
        Command::Estimate(arguments) => estimate::estimate(&arguments, &mut anstream::stdout().lock()),
        Command::Images(arguments) => block_on_threads(images::images(arguments)),
        Command::Wait(arguments) => block_on(wait::wait(arguments)),
        Command::Refresh(arguments) => block_on(refresh::refresh(arguments)),
        Command::History(arguments) => {
            block_on(async { history::history(arguments, &mut anstream::stdout().lock()).await })
        }
        Command::Rollback(arguments) => block_on(history::rollback(arguments)),
        Command::Completion(arguments) => completion::completion(&arguments, &mut anstream::stdout().lock()),
        Command::Ui(arguments) => block_on(ui::ui(arguments)),
        Command::CleanUp(arguments) => block_on(clean_up::clean_up(arguments)),
    }
}

/// The controller has some threads, so that what computes on one of them holds up neither probes nor other lists; `status` and
/// `images` have them to decode nodes beside pods.
fn block_on_threads(future: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    const THREADS: usize = 4;
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?.block_on(future)
}

/// One thread is enough, because the other commands almost always wait for the cluster.
fn block_on(future: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
