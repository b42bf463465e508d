//! Connects to the cluster that the arguments name.

use kube::Client;

use super::arguments;
use crate::cluster::connect::{self, KubeconfigContext};

/// A client, and the namespace that the arguments or else the configuration names.
///
/// # Errors
/// If there is no usable configuration of a cluster.
pub async fn connect(arguments: &arguments::ClusterArguments) -> anyhow::Result<(Client, String)> {
    let (client, default_namespace) = connect_to(&arguments.kubeconfig).await?;
    Ok((client, arguments.namespace.clone().unwrap_or(default_namespace)))
}

/// A client, and the namespace that the configuration names.
///
/// # Errors
/// If there is no usable configuration of a cluster.
pub async fn connect_to(arguments: &arguments::KubeconfigArguments) -> anyhow::Result<(Client, String)> {
    connect::connect(&cluster(arguments)).await
}

/// The cluster that the arguments name.
pub fn cluster(arguments: &arguments::KubeconfigArguments) -> KubeconfigContext {
    KubeconfigContext { kubeconfig: arguments.kubeconfig.clone(), context: arguments.context.clone() }
}
