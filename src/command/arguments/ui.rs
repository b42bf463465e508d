//! Arguments of `ui`.

use clap::Args;

use super::cluster::ClusterArguments;

/// Arguments of `ui`.
#[derive(Debug, Args)]
pub struct UiArguments {
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// The port of this machine that the page is at; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Only print the address of the page, and open no browser
    #[arg(long)]
    pub no_open: bool,
}
