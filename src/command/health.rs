//! `/livez` and `/readyz`, for the kubelet's probes.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tracing::debug;

use crate::cluster::readiness::Readiness;

/// Listens, so that an address in use is told at the start.
///
/// # Errors
/// Where the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with --listen"))
}

/// Answers for ever.
pub async fn serve(listener: TcpListener, readiness: Readiness) {
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                continue;
            }
        };
        let readiness = readiness.clone();
        let service = service_fn(move |request| {
            let answer = answer(&request, &readiness);
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            if let Err(error) =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await
            {
                debug!(%error, "a connection ended early");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, readiness: &Readiness) -> Response<Full<Bytes>> {
    let hindrances = readiness.hindrances();
    let (status, text) = match request.uri().path() {
        "/livez" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if hindrances.is_empty() => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, hindrances.join("\n") + "\n"),
        _ => (StatusCode::NOT_FOUND, "there are /livez and /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
