//! Connections through a proxy.
//!
//! kube has connectors for proxies, too, but compares `NO_PROXY` with the proxy instead of the API server and leaves out the
//! credentials of SOCKS proxies.

use std::error::Error;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use kube::Config;
use kube::client::ConfigExt;
use kube::config::AuthInfo;
use tower::{BoxError, Service};

use super::proxy::Proxy;
use crate::error::{ConnectionProblem, chain};

/// Returns what connects to the API server through the proxy. `to_proxy` reaches the proxy; TLS is added here.
///
/// # Errors
/// If the configuration's certificates are of no use.
pub fn connector(
    config: &Config,
    proxy: &Proxy,
    to_proxy: HttpConnector,
) -> anyhow::Result<
    impl Service<
        Uri,
        Response: Connection + Read + Write + Unpin + Send + 'static,
        Error: Into<BoxError>,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static,
> {
    // As with kubectl, the certificate authority of the cluster has to vouch for a proxy with TLS, too. It has a name of its own, and
    // must not see the user's certificate.
    let mut for_proxy = config.clone();
    for_proxy.tls_server_name = None;
    for_proxy.auth_info = AuthInfo::default();
    let to_proxy = for_proxy.rustls_https_connector_with_connector(to_proxy)?;
    let limit = config.connect_timeout.unwrap_or(Duration::MAX);
    Ok(Through { proxy: proxy.clone(), to_proxy, limit })
}

/// Connects to a host through a proxy, in limited time. `C` connects to the proxy.
#[derive(Clone)]
struct Through<C> {
    proxy: Proxy,
    to_proxy: C,
    limit: Duration,
}

impl<C> Service<Uri> for Through<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    C::Response: Read + Write + Unpin + Send + 'static,
{
    type Response = C::Response;
    type Error = ConnectionProblem;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, ConnectionProblem>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionProblem>> {
        self.to_proxy.poll_ready(context).map_err(|error| unreachable(&self.proxy, "", error.into().as_ref()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (proxy, limit) = (self.proxy.clone(), self.limit);
        let reaching = self.to_proxy.call(proxy.address.clone());
        Box::pin(async move {
            let host = target.host().unwrap_or_default().to_owned();
            let connecting = async {
                let reached = reaching.await.map_err(|error| unreachable(&proxy, &host, error.into().as_ref()))?;
                handshake(&proxy, reached, target).await.map_err(|error| refused(&proxy, &host, error.as_ref()))
            };
            tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
                let (seconds, remedy) = (limit.as_secs(), proxy.remedy(&host));
                Err(ConnectionProblem(format!("{proxy} did not answer within {seconds} s; {remedy}")))
            })
        })
    }
}

/// Makes a proxy that is reached connect to the target.
async fn handshake<T>(proxy: &Proxy, reached: T, target: Uri) -> Result<T, BoxError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let mut reached = Some(reached);
    let given = tower::service_fn(move |_: Uri| {
        std::future::ready(reached.take().ok_or_else(|| std::io::Error::from(ErrorKind::NotConnected)))
    });
    let address = proxy.address.clone();
    Ok(match (proxy.socks, proxy.credentials.clone()) {
        (true, None) => SocksV5::new(address, given).call(target).await?,
        (true, Some((user, password))) => SocksV5::new(address, given).with_auth(user, password).call(target).await?,
        (false, None) => Tunnel::new(address, given).call(target).await?,
        (false, Some((user, password))) => {
            let basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))?;
            Tunnel::new(address, given).with_auth(basic).call(target).await?
        }
    })
}

fn unreachable(proxy: &Proxy, host: &str, error: &(dyn Error + 'static)) -> ConnectionProblem {
    let root = chain(error).last().map(ToString::to_string).unwrap_or_default();
    ConnectionProblem(format!("cannot reach {proxy}: {root}; {}", proxy.remedy(host)))
}

fn refused(proxy: &Proxy, host: &str, error: &(dyn Error + 'static)) -> ConnectionProblem {
    let words = chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // hyper-util keeps the types of its errors to itself, but not what they say.
    let is_about_user = ["proxy authorization required", "authentication", "credentials not accepted"]
        .iter()
        .any(|said| words.contains(said));
    ConnectionProblem(match (is_about_user, &proxy.credentials) {
        (true, None) => {
            format!("{proxy} demands a user name and a password; put USER:PASSWORD@ before the host in its URL")
        }
        (true, Some(_)) => format!("{proxy} does not accept the user name and the password in its URL; correct them"),
        (false, _) => format!("{proxy} does not connect to {host} ({words}); {}", proxy.remedy(host)),
    })
}
