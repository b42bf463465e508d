//! The command line: the commands, and a file for the arguments of each.

mod clean_up;
mod cluster;
mod completion;
mod estimate;
mod history;
mod holder;
mod images;
mod refresh;
mod render;
mod run;
mod status;
mod ui;
mod validate;
mod wait;

use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
pub use clean_up::CleanUpArguments;
pub use cluster::{ClusterArguments, KubeconfigArguments};
pub use completion::CompletionArguments;
pub use estimate::{EstimateArguments, EstimateFormat};
pub use history::{HistoryArguments, HistoryFormat, RollbackArguments};
pub use holder::HolderArguments;
pub use images::{ImagesArguments, ImagesFormat};
pub use refresh::RefreshArguments;
pub use render::{ManifestFormat, RenderArguments};
pub use run::{ListenArguments, LogFormat, PlatformArgument, RunArguments};
pub use status::{ReportSource, StatusArguments, StatusFormat};
pub use ui::UiArguments;
pub use validate::{ResultFormat, ValidateArguments};
pub use wait::{WaitArguments, WaitFormat};

use super::terminal;

/// Keeps container images warm on every node of a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(name = "kube-prepull", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Parses the command line of this process. Exits if it is wrong or asks for help.
    ///
    /// kubectl finds plugins by their file names, so with a link named `kubectl-prepull` to this program, `kubectl prepull` runs it.
    pub fn from_command_line() -> Self {
        let called = std::env::args_os().next().unwrap_or_default();
        let is_plugin = Path::new(&called).file_stem().is_some_and(|name| name == "kubectl-prepull");
        let command = match is_plugin {
            true => Self::command().name("kubectl prepull").bin_name("kubectl prepull"),
            false => Self::command(),
        };
        let given = command.try_get_matches().and_then(|given| Self::from_arg_matches(&given));
        given.unwrap_or_else(|error| terminal::refuse(&error))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller, which keeps the images of all lists on their nodes
    Run(Box<RunArguments>),
    /// Print the manifests that the controller creates for a list; only --discovered needs a cluster
    #[command(after_help = "\
        Example: kubectl prepull render --discovered --file list.yaml\n\n\
        Exit codes: 0 success, 1 the list is rejected, or cannot be read from the cluster, 2 wrong usage.")]
    Render(RenderArguments),
    /// Validate a list as the controller does, without a cluster
    #[command(after_help = "\
        Examples:\n  \
        kubectl prepull validate -f tools.yaml -f gpu.yaml\n  \
        kubectl prepull validate -f 'lists/*.yaml'\n\n\
        Exit codes: 0 accepted, 1 rejected or without images, 2 no list to validate; of several files, the highest.")]
    Validate(ValidateArguments),
    /// Show which images are warm on which nodes, and why others are not
    #[command(
        after_help = "Exit codes: 0 all lists are accepted (or have no images yet) and all images are warm, 1 otherwise, 2 wrong usage."
    )]
    Status(StatusArguments),
    /// Estimate what a list costs, without a cluster: ImageCache charges and resource requests
    #[command(after_help = "Exit codes: 0 success, 1 the list is rejected, 2 wrong usage or an invalid price file.")]
    Estimate(EstimateArguments),
    /// Print the images of lists, to pull them ahead of time, for example into the machine image of nodes
    #[command(
        after_help = "Exit codes: 0 success, 1 rejected, unreadable or without a digest, 2 wrong usage. docs/images.md has recipes."
    )]
    Images(ImagesArguments),
    /// Wait until exactly this list is accepted and its images are warm
    #[command(
        after_help = "Exit codes: 0 accepted and warm, or no images yet, 1 rejected, timed out or unreadable, 2 wrong usage. docs/wait.md has recipes."
    )]
    Wait(WaitArguments),
    /// Ask the controller to check a list's tags now
    Refresh(RefreshArguments),
    /// Show the accepted versions of a list, and what each of them changed
    #[command(
        after_help = "Example: kubectl prepull history tools\n\nExit codes: 0 success, 1 no version or unreadable, 2 wrong usage."
    )]
    History(HistoryArguments),
    /// Write an earlier accepted version into a list
    #[command(after_help = "\
        Examples:\n  \
        kubectl prepull rollback tools\n  \
        kubectl prepull rollback tools --to 3 --dry-run\n\n\
        Exit codes: 0 success, 1 no such version, managed by another tool, or not allowed, 2 wrong usage.")]
    Rollback(RollbackArguments),
    /// Print a script with which a shell completes the command line
    #[command(after_help = "\
        Examples:\n  \
        kube-prepull completion bash >/etc/bash_completion.d/kube-prepull\n  \
        kube-prepull completion zsh >\"${fpath[1]}/_kube-prepull\"\n  \
        kube-prepull completion fish >~/.config/fish/completions/kube-prepull.fish")]
    Completion(CompletionArguments),
    /// Show what is warm on which nodes in a browser: forwards a port of this machine to the controller's page, until Ctrl-C
    #[command(
        after_help = "Exit codes: 0 ended by Ctrl-C, 1 the controller cannot be reached, 2 wrong usage. docs/page.md has more."
    )]
    Ui(UiArguments),
    /// Delete what uninstalling the controller would leave behind: the ImageCaches of its lists, and what is in other namespaces
    #[command(hide = true)]
    CleanUp(CleanUpArguments),
}
