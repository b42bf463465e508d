//! Clients for the cluster that the user named.
//!
//! - [`kubeconfig`]: finds the configuration that the user means; [`origin`]: where that is
//! - [`proxy`], [`no_proxy`]: which proxy is between a client and the API server. Pure
//! - [`client`]: clients of an API server; [`tunnel`]: connections through a proxy
//! - [`plugin`]: runs a credential plugin
//! - [`renewing`]: sends requests with credentials that are valid

mod client;
mod kubeconfig;
mod no_proxy;
mod origin;
mod plugin;
mod proxy;
mod renewing;
mod tunnel;

use std::time::Duration;

use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use kubeconfig::Connection;
pub use origin::KubeconfigContext;
use renewing::Renewing;
use tower::{BoxError, Service};

use super::consistent_lists::ConsistentLists;
use super::leader_writes::LeaderWrites;
use super::leadership::Leadership;
use super::requests::CountRequests;
use crate::metrics::Metrics;

/// Returns a client for a command that a user runs, and the namespace that the configuration names. Errors of the client say which
/// credentials are not accepted.
///
/// # Errors
/// If there is no usable configuration, or its credential plugin fails.
pub async fn connect(arguments: &KubeconfigContext) -> anyhow::Result<(Client, String)> {
    let connection = connection(arguments).await?;
    let namespace = connection.config.default_namespace.clone();
    let service = Renewing::start(connection, true).await?;
    Ok((ClientBuilder::new(service, namespace.clone()).build(), namespace))
}

/// Returns a client for a controller, which counts its requests and writes only while the controller leads, and the namespace
/// that the configuration names.
///
/// # Errors
/// If there is no usable configuration, or its credential plugin fails.
pub async fn connect_controller(
    arguments: &KubeconfigContext,
    metrics: &Metrics,
    leadership: &Leadership,
) -> anyhow::Result<(Client, String)> {
    let connection = connection(arguments).await?;
    let namespace = connection.config.default_namespace.clone();
    let client = if connection.proxy.is_none() && connection.plugin.is_none() {
        layered(client::direct_builder(&connection.config)?, metrics, leadership)
    } else {
        let service = Renewing::start(connection, false).await?;
        layered(ClientBuilder::new(service, namespace.clone()), metrics, leadership)
    };
    Ok((client, namespace))
}

fn layered<S, B>(builder: ClientBuilder<S>, metrics: &Metrics, leadership: &Leadership) -> Client
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Send + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = hyper::body::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // The last layer is the outermost: a refused write is no request to the API server, so it is not counted.
    let builder = builder.with_layer(&ConsistentLists).with_layer(&CountRequests(metrics.clone()));
    builder.with_layer(&LeaderWrites(leadership.clone())).build()
}

async fn connection(arguments: &KubeconfigContext) -> anyhow::Result<Connection> {
    let mut connection = kubeconfig::find(arguments).await?;
    let config = &mut connection.config;
    // The controller retries by itself. Retries of the client would hide an error for minutes.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("kube-prepull/", env!("CARGO_PKG_VERSION")))));
    Ok(connection)
}
