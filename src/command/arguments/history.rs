//! Arguments of `history` and `rollback`.

use clap::{Args, ValueEnum};

use super::cluster::ClusterArguments;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// The list: the name of its ConfigMap
    pub list: String,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// How to print the versions
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: HistoryFormat,
}

/// How versions are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// A table, for people
    Table,
    /// An array, for programs: docs/history.md
    Json,
}

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// The list: the name of its ConfigMap
    pub list: String,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// The number of the version, as `history` shows it [default: the newest one that the list does not have now]
    #[arg(long, value_name = "VERSION")]
    pub to: Option<i64>,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Write the list although another tool manages it, which may undo the change
    #[arg(long)]
    pub force: bool,
}
