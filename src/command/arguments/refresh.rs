//! Arguments of `refresh`.

use clap::Args;

use super::cluster::ClusterArguments;

/// Arguments of `refresh`.
#[derive(Debug, Args)]
pub struct RefreshArguments {
    /// The list: the name of its ConfigMap
    pub list: String,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}
