//! Connections of browsers to the leader's page, each through a forwarded port of its own.

use std::time::Duration;

use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use kube::Client;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::time::timeout;

use super::forwarded::{ForwardedPort, leader_of};
use super::obstacle::Obstacle;
use super::request::send;
use crate::text::CleanText;

/// How long it may take until there is a connection, or the leader has answered the first request.
const PATIENCE: Duration = Duration::from_secs(15);

/// The way to the page of whoever leads.
#[derive(Clone)]
pub struct PageTunnels {
    client: Client,
    namespace: String,
}

impl PageTunnels {
    /// To the leader of this namespace, with the rights of this client.
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Asks for the page once.
    ///
    /// # Errors
    /// Why nobody would see it.
    pub async fn check(&self) -> Result<(), Obstacle> {
        timeout(PATIENCE, self.ask()).await.unwrap_or(Err(Obstacle::TimedOut))
    }

    async fn ask(&self) -> Result<(), Obstacle> {
        let mut forwarded = self.open().await?;
        match send(TokioIo::new(forwarded.stream()?), Method::HEAD, Uri::from_static("/")).await {
            Ok((page, _)) if page.status() == StatusCode::OK => Ok(()),
            Ok((page, _)) => {
                Err(Obstacle::OtherVersion(format!("status {} of the page", page.status().as_u16()).into()))
            }
            Err(error) => Err(forwarded.explain(CleanText::of(error)).await),
        }
    }

    /// Carries what a browser and the leader send each other. The leader is looked up for each connection, so that the page goes on after
    /// another one was elected. If there is no way to it, the browser gets to know why.
    pub async fn carry<L: AsyncRead + AsyncWrite + Unpin>(&self, mut local: L) {
        if let Err(obstacle) = self.exchange(&mut local).await {
            // It may have gone.
            let _ = local.write_all(refusal(&obstacle).as_bytes()).await;
        }
        let _ = local.shutdown().await;
    }

    async fn exchange<L: AsyncRead + AsyncWrite + Unpin>(&self, local: &mut L) -> Result<(), Obstacle> {
        let mut forwarded = timeout(PATIENCE, self.open()).await.unwrap_or(Err(Obstacle::TimedOut))?;
        match pass_on(local, forwarded.stream()?).await {
            true => Ok(()),
            false => Err(forwarded.explain("the connection was closed".into()).await),
        }
    }

    async fn open(&self) -> Result<ForwardedPort, Obstacle> {
        let target = leader_of(&self.client, &self.namespace).await?;
        ForwardedPort::open(&self.client, &self.namespace, &target).await
    }
}

/// Passes bytes on in both directions until the leader has sent all. Returns whether it has sent any.
async fn pass_on<L, R>(local: &mut L, remote: R) -> bool
where
    L: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_local, mut to_local) = split(local);
    let (mut from_remote, mut to_remote) = split(remote);
    let send = async {
        let _ = copy(&mut from_local, &mut to_remote).await;
        // The answer is still to come.
        std::future::pending().await
    };
    let receive = async {
        let mut first = [0; 1];
        if !matches!(from_remote.read(&mut first).await, Ok(1)) {
            return false;
        }
        // Whoever closes the connection early has what they wanted.
        if to_local.write_all(&first).await.is_ok() {
            let _ = copy(&mut from_remote, &mut to_local).await;
        }
        true
    };
    tokio::select! {
        answered = receive => answered,
        () = send => false,
    }
}

/// An answer of ours, which the page shows.
fn refusal(obstacle: &Obstacle) -> String {
    let text = format!("{}\n", CleanText::of(obstacle));
    let length = text.len();
    format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: \
         {length}\r\nConnection: close\r\n\r\n{text}"
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn a_request_is_passed_on_and_the_answer_comes_back() {
        let ((mut browser, mut local), (remote, mut leader)) = (duplex(64), duplex(64));
        let leader = tokio::spawn(async move {
            let mut request = [0; 3];
            leader.read_exact(&mut request).await.expect("a request");
            leader.write_all(&[request.as_slice(), b" answered"].concat()).await.expect("a browser");
        });
        browser.write_all(b"GET").await.expect("a tunnel");
        assert!(pass_on(&mut local, remote).await);
        leader.await.expect("a leader");
        drop(local);
        let mut answer = String::new();
        browser.read_to_string(&mut answer).await.expect("an answer");
        assert_eq!(answer, "GET answered");
    }

    #[tokio::test]
    async fn a_leader_that_sends_nothing_has_not_answered() {
        let ((_browser, mut local), (remote, leader)) = (duplex(64), duplex(64));
        drop(leader);
        assert!(!pass_on(&mut local, remote).await);
    }

    #[test]
    fn the_reason_is_one_line_of_text() {
        let answer = refusal(&Obstacle::Unreachable("<b>\r\nSet-Cookie: a".into()));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.starts_with("HTTP/1.1 502 ") && head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert!(!head.contains("Cookie") && body.contains("cannot reach the leader: <b>"), "{answer}");
    }
}
