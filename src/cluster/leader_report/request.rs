//! One HTTP request through a connection to the leader's pod.

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use tokio::task::JoinSet;

/// What carries a connection, which ends with the value.
pub type LeaderConnection = JoinSet<hyper::Result<()>>;

/// Sends a request. Returns the beginning of the answer, whose body comes as long as the connection is kept.
///
/// # Errors
/// If the connection fails before.
pub async fn send<S>(stream: S, method: Method, uri: Uri) -> hyper::Result<(Response<Incoming>, LeaderConnection)>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake::<_, Empty<Bytes>>(stream).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    Ok((sender.send_request(request).await?, tasks))
}
