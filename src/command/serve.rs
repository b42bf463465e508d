//! The controller's HTTP endpoints: the kubelet's probes, metrics and the status.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::cluster::readiness::Readiness;
use crate::cluster::status_server::Overview;
use crate::metrics::Metrics;
use crate::metrics::exposition::Format;

/// How many connections are served at a time. The next one waits until one of them ends.
const MOST_CONNECTIONS: usize = 64;
/// How long a client may take to send a request and to read the answer. Each connection serves one request.
const PATIENCE: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/status`, and the gauges of `/metrics`.
    pub overview: Overview,
    /// For `/metrics`.
    pub metrics: Metrics,
}

/// Begins to listen. Separate from [`serve`], so that an address in use is reported at the start.
///
/// # Errors
/// If the controller cannot listen on the address.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with --listen"))
}

/// Answers requests forever.
pub async fn serve(listener: TcpListener, sources: Sources) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                continue;
            }
        };
        let sources = sources.clone();
        let service = service_fn(move |request| {
            let sources = sources.clone();
            async move { Ok::<_, Infallible>(sources.answer(&request).await) }
        });
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
            match timeout(PATIENCE, server.serve_connection(TokioIo::new(connection), service)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "a connection ended early"),
                Err(_) => debug!("a client took too long"),
            }
            drop(place);
        });
    }
}

impl Sources {
    async fn answer(self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is supported\n".to_owned());
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match request.uri().path() {
            "/livez" => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => match self.readiness.why_not_ready() {
                none if none.is_empty() => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
                reasons => unavailable(&reasons),
            },
            "/metrics" => {
                let wanted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
                let format = Format::wanted(&wanted.collect::<Vec<_>>().join(","));
                on_another_thread(move || self.metrics(format)).await
            }
            "/status" => on_another_thread(move || self.status()).await,
            _ => {
                let known = "there are /livez, /readyz, /metrics and /status\n";
                response(StatusCode::NOT_FOUND, TEXT, known.to_owned())
            }
        }
    }

    fn metrics(&self, format: Format) -> Response<Full<Bytes>> {
        let text = self.metrics.exposition(format, self.overview.leads(), self.overview.report());
        response(StatusCode::OK, format.content_type(), text)
    }

    fn status(&self) -> Response<Full<Bytes>> {
        let Some(report) = self.overview.report() else { return unavailable(&self.readiness.why_not_ready()) };
        match serde_json::to_string_pretty(&*report) {
            Ok(json) => response(StatusCode::OK, JSON, json + "\n"),
            Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        }
    }
}

fn unavailable(reasons: &[String]) -> Response<Full<Bytes>> {
    response(StatusCode::SERVICE_UNAVAILABLE, TEXT, reasons.join("\n") + "\n")
}

/// Computes a slow answer on another thread, so that it delays neither watches nor workers.
async fn on_another_thread(answer: impl FnOnce() -> Response<Full<Bytes>> + Send + 'static) -> Response<Full<Bytes>> {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.unwrap_or_else(|error| response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")))
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
