//! Gets the status through a forwarded port of the leader's pod.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Response, Uri};
use hyper_util::rt::TokioIo;
use kube::Client;

use super::answer::{LEADS, LeaderAnswer, MOST_BYTES, NAMESPACE_QUERY};
use super::forwarded::ForwardedPort;
use super::obstacle::Obstacle;
use super::progress::AnswerProgress;
use super::request::send;
use super::target::LeaderPort;
use crate::text::CleanText;

/// Gets `/status` of the leader.
///
/// # Errors
/// If the port may not be forwarded, or there is no answer.
pub async fn get_status(
    client: &Client,
    namespace: &str,
    target: &LeaderPort,
    progress: &AnswerProgress,
) -> Result<LeaderAnswer, Obstacle> {
    let mut forwarded = ForwardedPort::open(client, namespace, target).await?;
    match exchange(TokioIo::new(forwarded.stream()?), namespace, progress).await {
        Ok(answer) => answer,
        Err(error) => Err(forwarded.explain(CleanText::of(error)).await),
    }
}

async fn exchange<S>(
    stream: S,
    namespace: &str,
    progress: &AnswerProgress,
) -> hyper::Result<Result<LeaderAnswer, Obstacle>>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    // A controller for all namespaces needs to know which; others have only one.
    let path = format!("/status?{NAMESPACE_QUERY}={namespace}");
    let uri = path.parse().unwrap_or_else(|_| Uri::from_static("/status"));
    let (response, _connection) = send(stream, Method::GET, uri).await?;
    read(response, progress).await
}

/// Reads an answer, as far as its body is not too large.
async fn read(
    response: Response<Incoming>,
    progress: &AnswerProgress,
) -> hyper::Result<Result<LeaderAnswer, Obstacle>> {
    let (head, mut incoming) = response.into_parts();
    let leads = head.headers.get(LEADS).and_then(|value| value.to_str().ok()?.parse().ok());
    let announced = hyper::body::Body::size_hint(&incoming).exact().unwrap_or_default();
    // All of it at once: what grows is copied, and both are there for a moment.
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(usize::MAX).min(MOST_BYTES));
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        progress.made();
        if body.len() + data.len() > MOST_BYTES {
            return Ok(Err(Obstacle::TooLarge));
        }
        body.extend_from_slice(&data);
    }
    Ok(Ok(LeaderAnswer { status: head.status.as_u16(), leads, body }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What is made of this answer, of which the beginning was sent as long as somebody read it.
    async fn answered(head: &str, body: &[u8]) -> hyper::Result<Result<LeaderAnswer, Obstacle>> {
        let (here, mut there) = duplex(1 << 20);
        let (head, body) = (head.to_owned(), body.to_vec());
        let server = tokio::spawn(async move {
            let mut request = [0; 1024];
            let length = there.read(&mut request).await.expect("a request");
            let _ = there.write_all(head.as_bytes()).await;
            let _ = there.write_all(&body).await;
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = exchange(TokioIo::new(here), "prepull", &AnswerProgress::begin()).await;
        let request = server.await.expect("a server");
        assert!(request.starts_with("GET /status?namespace=prepull HTTP/1.1\r\nhost: localhost\r\n"), "{request}");
        answer
    }

    #[tokio::test]
    async fn the_status_is_asked_for_and_the_answer_read() {
        let head = "HTTP/1.1 200 OK\r\nKube-Prepull-Leads: true\r\nContent-Length: 2\r\n\r\n";
        let answer = answered(head, b"{}").await.expect("a connection").expect("an answer");
        assert_eq!((answer.status, answer.leads, answer.body.as_slice()), (200, Some(true), b"{}".as_slice()));
        let answer = answered("HTTP/1.1 503 Service Unavailable\r\n\r\n", b"still reading").await;
        let answer = answer.expect("a connection").expect("an answer");
        assert_eq!((answer.status, answer.leads, answer.body.as_slice()), (503, None, b"still reading".as_slice()));
    }

    #[tokio::test]
    async fn of_a_body_that_is_too_large_no_more_is_kept_than_is_allowed() {
        let body = vec![b' '; MOST_BYTES + 1];
        let answer = answered("HTTP/1.1 200 OK\r\n\r\n", &body).await.expect("a connection");
        assert_eq!(answer.expect_err("too large"), Obstacle::TooLarge);
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_an_error() {
        assert!(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"{}").await.is_err());
        assert!(answered("", b"").await.is_err());
    }
}
