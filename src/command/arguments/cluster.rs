//! How to find the cluster: of most commands.

use std::path::PathBuf;

use clap::Args;

/// How to find the cluster.
#[derive(Debug, Args)]
pub struct KubeconfigArguments {
    /// The kubeconfig file [default: $KUBECONFIG, ~/.kube/config or the pod's own account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// How to find the cluster, and a namespace in it.
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// The cluster.
    #[command(flatten)]
    pub kubeconfig: KubeconfigArguments,
    /// The namespace of the lists [default: the kubeconfig's, or the pod's own]
    #[arg(short, long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
}
