//! Arguments of `wait`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::cluster::ClusterArguments;
use crate::command::wait::goal::{Share, Wanted};
use crate::list::schedule::parse_interval;

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub struct WaitArguments {
    /// The list: the name of its ConfigMap [default: the name in FILE]
    pub list: Option<String>,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Wait for the data in this file instead of the data in the cluster: a ConfigMap's manifest, the text of an images.yaml, or a
    /// folder with a file per key; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Wait only until the list is accepted
    #[arg(long, conflicts_with_all = ["images", "nodes"])]
    pub accepted: bool,
    /// Wait only for this image, with @sha256:… only for that digest; may be repeated
    #[arg(long = "image", value_name = "REFERENCE")]
    pub images: Vec<Wanted>,
    /// On how many nodes the images must be warm: a share of those that count, such as 90%, or a number
    #[arg(long, value_name = "SHARE", default_value = "100%")]
    pub nodes: Share,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub timeout: std::time::Duration,
    /// What standard output gets at the end; progress and reasons are on standard error
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: WaitFormat,
}

/// How the result of waiting is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitFormat {
    /// A sentence, for people
    Text,
    /// One object, for programs: docs/wait.md
    Json,
}

fn time(text: &str) -> Result<std::time::Duration, String> {
    let time = parse_interval(text).map_err(|error| format!("{error}; write it as 90s or 10m"))?;
    time.try_into().map_err(|_| "it must not be negative".to_owned())
}
