//! Arguments of `status`.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};

use super::cluster::ClusterArguments;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// The lists: the names of their ConfigMaps [default: all lists of the namespace]
    #[arg(id = "list", value_name = "LIST")]
    pub lists: Vec<String>,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Report the lists of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Report only this list, as LIST does; may be repeated
    #[arg(long = "list", value_name = "NAME")]
    pub named_lists: Vec<String>,
    /// Report only images whose reference contains this text; may be repeated
    #[arg(long = "image", value_name = "TEXT")]
    pub images: Vec<String>,
    /// Report only this node; may be repeated
    #[arg(long = "node", value_name = "NAME")]
    pub nodes: Vec<String>,
    /// Where the report comes from; the leader's needs the right to forward ports to its pod (docs/status.md)
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub from: ReportSource,
    /// How to print the report
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: StatusFormat,
    /// Keep reporting until Ctrl-C: redraw on a terminal, elsewhere print a report for each change
    #[arg(short, long)]
    pub watch: bool,
}

impl StatusArguments {
    /// The names of the lists to report, however they were given. Empty for all lists.
    pub fn list_names(&self) -> BTreeSet<String> {
        self.lists.iter().chain(&self.named_lists).cloned().collect()
    }
}

/// Where a report comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportSource {
    /// The leader if it can be asked, or else the objects
    Auto,
    /// The controller that leads
    Leader,
    /// ConfigMaps, DaemonSets, pods and nodes
    Objects,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// A table, for people
    Table,
    /// A table with nothing left out
    Wide,
    /// One object, for programs: docs/status.md
    Json,
    /// The same as YAML
    Yaml,
}
