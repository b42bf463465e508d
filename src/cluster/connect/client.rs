//! Clients of the API server.
//!
//! kube builds clients too, but theirs keep every connection that they ever needed for a minute and a half, each with buffers of up to
//! hundreds of kilobytes, and have a shortcoming with proxies ([`super::tunnel`]). Everything above the connection is kube's.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::{Request, Response, Uri};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Builder;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder};

use super::proxy::Proxy;
use super::tunnel;

/// More connections than these are closed as soon as their requests are answered.
const MOST_IDLE: usize = 4;
/// An idle connection is closed after this time. It is longer than the pause between two renewals of the Lease.
const IDLE: Duration = Duration::from_secs(10);
/// How much of an answer is read at a time, at most.
const BUFFER: usize = 64 * 1024;

/// Returns a client with that configuration whose connections go through the proxy, if there is one.
///
/// # Errors
/// If the configuration's certificates or credentials are of no use.
pub fn client(config: &Config, proxy: Option<&Proxy>) -> anyhow::Result<Client> {
    let Some(proxy) = proxy else { return Ok(direct_builder(config)?.build()) };
    let connector = tunnel::connector(config, proxy, direct(config))?;
    // The part beyond the proxy has a time limit of its own.
    Ok(builder(config, connector, config.connect_timeout.map(|limit| limit * 2))?.build())
}

/// Returns a builder of a client with that configuration.
///
/// # Errors
/// If the configuration's certificates or credentials are of no use.
pub fn direct_builder(config: &Config) -> anyhow::Result<ClientBuilder<impl HttpService>> {
    builder(config, direct(config), config.connect_timeout)
}

/// What sends requests to the API server.
pub trait HttpService:
    Service<Request<Body>, Response = Response<Incoming>, Error = BoxError, Future: Send + 'static> + Send + Clone + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = BoxError, Future: Send + 'static>
        + Send
        + Clone
        + 'static
{
}

fn direct(config: &Config) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    connector
}

/// `limit` is the time for a connection, with its handshakes.
fn builder<C>(config: &Config, connector: C, limit: Option<Duration>) -> anyhow::Result<ClientBuilder<impl HttpService>>
where
    C: Service<Uri, Error: Into<BoxError>, Future: Send + 'static> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Unpin + Send + 'static,
{
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(limit);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http = Builder::new(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(MOST_IDLE)
        .pool_idle_timeout(IDLE)
        .http1_max_buf_size(BUFFER)
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace.clone()))
}
