//! Sends requests with credentials that a plugin renews when they expire, or when the API server no longer accepts them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use kube::{Client, Config};
use tokio::sync::Mutex;
use tower::{BoxError, Service};

use super::client;
use super::kubeconfig::Connection;
use super::origin::Origin;
use super::plugin::{Credentials, Plugin};
use super::proxy::Proxy;
use crate::error::ConnectionProblem;

/// Credentials are renewed this long before they expire: requests take their time.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);
/// Credentials that are not accepted are only renewed if they are at least this old: others would not be accepted either.
const NEW: Duration = Duration::from_secs(10);

/// A service that sends requests with credentials that are valid.
#[derive(Clone)]
pub struct Renewing {
    shared: Arc<Shared>,
    /// Whether a 401 becomes an error that says whose credentials are not accepted.
    explains: bool,
}

struct Shared {
    config: Config,
    proxy: Option<Proxy>,
    plugin: Option<Plugin>,
    origin: Origin,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    since: Instant,
    expires: Option<Timestamp>,
}

impl Renewing {
    /// Runs the plugin, if there is one.
    ///
    /// # Errors
    /// If it fails, or the configuration is of no use.
    pub async fn start(connection: Connection, explains: bool) -> anyhow::Result<Self> {
        let Connection { config, proxy, plugin, origin } = connection;
        let current = Mutex::new(connected(&config, proxy.as_ref(), plugin.as_ref()).await?);
        Ok(Self { shared: Arc::new(Shared { config, proxy, plugin, origin, current }), explains })
    }
}

/// A client with the credentials of the plugin, if there is one.
async fn connected(config: &Config, proxy: Option<&Proxy>, plugin: Option<&Plugin>) -> anyhow::Result<Current> {
    let credentials = match plugin {
        Some(plugin) => plugin.run().await?,
        None => Credentials::default(),
    };
    let mut config = config.clone();
    let user = &mut config.auth_info;
    if let Some((certificate, key)) = credentials.certificate {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    if let Some(token) = credentials.token {
        user.token = Some(token.into());
    }
    let client = client::client(&config, proxy)?;
    Ok(Current { client, since: Instant::now(), expires: credentials.expires })
}

impl Shared {
    /// A client with valid credentials, other ones than those that were `refused`.
    async fn current(&self, refused: Option<Instant>) -> Result<Current, BoxError> {
        // Other requests wait here while the plugin runs, so it runs once.
        let mut current = self.current.lock().await;
        let is_expired = current.expires.is_some_and(|at| Timestamp::now() >= at.saturating_sub(MARGIN).unwrap_or(at));
        let is_refused = refused == Some(current.since) && current.since.elapsed() >= NEW;
        if self.plugin.is_some() && (is_expired || is_refused) {
            *current = connected(&self.config, self.proxy.as_ref(), self.plugin.as_ref()).await?;
        }
        Ok(current.clone())
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let again = self.plugin.as_ref().and_then(|_| copy(&request));
        let used = self.current(None).await?;
        let response = used.client.send(request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(again) = again else { return Ok(response) };
        let renewed = self.current(Some(used.since)).await?;
        if renewed.since == used.since { Ok(response) } else { Ok(renewed.client.send(again).await?) }
    }
}

fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    request.extensions().clone_into(copy.extensions_mut());
    Some(copy)
}

impl Service<Request<Body>> for Renewing {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (shared, explains) = (Arc::clone(&self.shared), self.explains);
        Box::pin(async move {
            let response = shared.send(request).await?;
            if explains && response.status() == StatusCode::UNAUTHORIZED {
                return Err(Box::new(not_accepted(&shared.origin)) as BoxError);
            }
            Ok(response)
        })
    }
}

fn not_accepted(origin: &Origin) -> ConnectionProblem {
    ConnectionProblem(format!(
        "the API server does not accept the credentials of {origin} (401 Unauthorized); log in again, or choose another context with \
         --context"
    ))
}
