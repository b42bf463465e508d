//! Clients for the cluster that the user named.

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderValue, USER_AGENT};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::leader_writes::LeaderWrites;
use super::leadership::Leadership;
use super::requests::CountRequests;
use crate::metrics::Metrics;

/// How to find the cluster.
#[derive(Clone, Debug, Default)]
pub struct KubeconfigContext {
    /// A kubeconfig file; otherwise `KUBECONFIG`, `~/.kube/config` or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
}

/// Returns a client for a command that a user runs, and the namespace that the configuration names.
///
/// # Errors
/// If there is no usable configuration.
pub async fn connect(arguments: &KubeconfigContext) -> anyhow::Result<(Client, String)> {
    let config = configuration(arguments).await?;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

/// Returns a client for a controller, which counts its requests and writes only while the controller leads, and the namespace
/// that the configuration names.
///
/// # Errors
/// If there is no usable configuration.
pub async fn connect_controller(
    arguments: &KubeconfigContext,
    metrics: &Metrics,
    leadership: &Leadership,
) -> anyhow::Result<(Client, String)> {
    let config = configuration(arguments).await?;
    let namespace = config.default_namespace.clone();
    // The last layer is the outermost: a refused write is no request to the API server, so it is not counted.
    let client = ClientBuilder::try_from(config)?
        .with_layer(&CountRequests(metrics.clone()))
        .with_layer(&LeaderWrites(leadership.clone()));
    Ok((client.build(), namespace))
}

async fn configuration(arguments: &KubeconfigContext) -> anyhow::Result<Config> {
    let mut config = found_configuration(arguments).await?;
    // The controller retries by itself. Retries of the client would hide an error for minutes.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("kube-prepull/", env!("CARGO_PKG_VERSION")))));
    Ok(config)
}

async fn found_configuration(arguments: &KubeconfigContext) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    Ok(match &arguments.kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
        None if arguments.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await?,
    })
}
