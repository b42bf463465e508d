//! Arguments of `completion`.

use clap::Args;
use clap_complete::Shell;

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArguments {
    /// The shell
    pub shell: Shell,
}
