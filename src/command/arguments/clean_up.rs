//! Arguments of `clean-up`.

use clap::Args;

use super::cluster::ClusterArguments;

/// Arguments of `clean-up`.
#[derive(Debug, Args)]
pub struct CleanUpArguments {
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Delete all that was created from lists in other namespaces, too
    #[arg(long)]
    pub all_namespaces: bool,
}
