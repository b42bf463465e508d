//! Accepts connections and serves one request on each, within limits.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::connections::{Connections, RequestProgress};

/// How many connections the kernel holds for a listener until it accepts them.
const BACKLOG: u32 = 1024;
/// The kernel keeps what clients have not read yet, in the controller's memory. It doubles this number.
const SEND_BUFFER: u32 = 64 * 1024;
/// A head is a path and a token at most.
const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;
/// The pauses after an error of `accept`, such as that there are no file descriptors left.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the clients of a listener may take.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// How many connections are open at a time. Each is a file descriptor.
    pub connections: usize,
    /// How long a client may take to send the head of its request, and before it for TLS.
    pub head: Duration,
    /// How long the answer and reading it may take.
    pub answer: Duration,
}

/// An answer, whose text is shared by all clients that get it.
pub type HttpAnswer = Response<Full<Bytes>>;

/// What a listener serves.
pub trait Pages: Clone + Send + Sync + 'static {
    /// Answers a request without a body.
    fn answer(&self, request: Parts, peer: IpAddr) -> impl Future<Output = HttpAnswer> + Send;
}

/// Begins to listen.
///
/// # Errors
/// If it cannot listen on this address.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Answers requests forever.
pub async fn serve(listener: TcpListener, limits: ListenerLimits, tls: Option<TlsAcceptor>, pages: impl Pages) {
    let mut connections = Connections::at_most(limits.connections);
    let mut pause = SHORTEST_PAUSE;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // The connection stays in the kernel's queue, so trying again at once would spin.
                warn!(%error, "cannot accept a connection; retrying");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = SHORTEST_PAUSE;
        if connections.make_place(peer) {
            debug!(%peer, "too many connections: closed one of the address that has the most");
        }
        let progress = RequestProgress::default();
        let client = HttpClient { peer, progress: progress.clone(), limits };
        let task = tokio::spawn(client.serve(stream, tls.clone(), pages.clone()));
        connections.add(peer, progress, task.abort_handle());
        // A request that is there already is read before the next connection can displace this one.
        tokio::task::yield_now().await;
    }
}

struct HttpClient {
    peer: IpAddr,
    progress: RequestProgress,
    limits: ListenerLimits,
}

impl HttpClient {
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, pages: impl Pages) {
        let peer = self.peer;
        let Some(tls) = tls else { return self.serve_http(stream, pages).await };
        match timeout(self.limits.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve_http(stream, pages).await,
            Ok(Err(error)) => debug!(%peer, %error, "no TLS connection"),
            Err(_) => debug!(%peer, "a client took too long to begin with TLS"),
        }
    }

    async fn serve_http<S>(self, stream: S, pages: impl Pages)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, progress, limits } = self;
        let pages = Arc::new(pages);
        let service = service_fn(move |request: Request<Incoming>| {
            progress.requested();
            let pages = Arc::clone(&pages);
            async move { Ok::<_, Infallible>(pages.answer(request.into_parts().0, peer).await) }
        });
        let mut server = Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(limits.head).keep_alive(false);
        server.max_header_size(LARGEST_HEAD).max_headers(MOST_HEADERS);
        match timeout(limits.head + limits.answer, server.serve_connection(TokioIo::new(stream), service)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%peer, %error, "a connection ended early"),
            Err(_) => debug!(%peer, "a client took too long to read the answer"),
        }
    }
}
