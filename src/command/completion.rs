//! `completion`: prints a script with which a shell completes the command line.

use std::io::Write;

use clap::{Command, CommandFactory};

use super::arguments::{Arguments, CompletionArguments};
use super::outcome::Outcome;
use crate::naming::labels::PROGRAM;

/// Prints the script.
///
/// # Errors
/// If it cannot be written.
pub fn completion(arguments: &CompletionArguments, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let whole = Arguments::command();
    // The generators offer hidden commands, too.
    let visible = whole.get_subcommands().filter(|it| !it.is_hide_set()).cloned();
    let mut command = Command::new(PROGRAM).version(env!("CARGO_PKG_VERSION")).subcommands(visible);
    // The generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, PROGRAM, &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Good)
}
