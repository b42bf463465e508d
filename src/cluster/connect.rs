//! A client for the cluster that was named.

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderValue, USER_AGENT};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::requests::CountRequests;
use crate::metrics::Metrics;

/// How to find the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterArguments {
    /// A kubeconfig file; otherwise `KUBECONFIG`, `~/.kube/config` or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
}

/// A client and the namespace that its configuration names.
///
/// # Errors
/// Where there is no usable configuration.
pub async fn connect(arguments: &ClusterArguments) -> anyhow::Result<(Client, String)> {
    let config = own_configuration(arguments).await?;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

/// The same, with a client whose requests are counted.
///
/// # Errors
/// Where there is no usable configuration.
pub async fn connect_counting(arguments: &ClusterArguments, metrics: &Metrics) -> anyhow::Result<(Client, String)> {
    let config = own_configuration(arguments).await?;
    let namespace = config.default_namespace.clone();
    let client = ClientBuilder::try_from(config)?.with_layer(&CountRequests(metrics.clone()));
    Ok((client.build(), namespace))
}

async fn own_configuration(arguments: &ClusterArguments) -> anyhow::Result<Config> {
    let mut config = configuration(arguments).await?;
    // Retries are the controller's own: the client's would hide an error for minutes.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("kube-prepull/", env!("CARGO_PKG_VERSION")))));
    Ok(config)
}

async fn configuration(arguments: &ClusterArguments) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    Ok(match &arguments.kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
        None if arguments.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await?,
    })
}
