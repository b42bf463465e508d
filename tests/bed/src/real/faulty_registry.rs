//! A way to the registry on which things go wrong: a proxy before the real one, under a name and a port of its own.
//!
//! It lives in the process of the test that wants it, so nobody else meets its faults.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::json;

use super::layout::{HUB_ADDRESS, Layout, REGISTRY_PORT};
use crate::forward;

/// More than the head of any request that containerd sends.
const LONGEST_HEAD: usize = 64 << 10;
/// A client that says nothing keeps no thread for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// What goes wrong, or slowly. It changes for connections that are open, too: they are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections are closed at once.
    Closed,
    /// Requests are taken and never answered.
    Silent,
    /// Every request is answered with 429 and the wish to be left alone for so many seconds.
    TooManyRequests {
        /// The value of `Retry-After`.
        retry_after: u32,
    },
    /// Requests are referred to a token service, which gives no token.
    NoToken,
    /// What a connection carries to the client is limited, each connection by itself, as many registries and proxies do.
    Slow {
        /// What each may carry.
        bytes_per_second: u32,
    },
    /// Requests without this user and password are answered with 401.
    Private {
        /// `user:password` in base64.
        credentials: String,
    },
    /// Manifests exist and are redirected to signed URLs, which are answered with 403 and this message.
    Hostile {
        /// What the answer says.
        message: String,
        /// The signature in the URL.
        signature: String,
    },
}

/// The proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct FaultyRegistry {
    name: String,
    shared: Arc<Mutex<Shared>>,
    hosts: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Shared {
    fault: Fault,
    connections: Vec<TcpStream>,
    ended: bool,
}

impl FaultyRegistry {
    /// Starts it in the hub's network, and makes its name known to the nodes.
    pub(super) fn start(layout: &Layout, nodes: &[String], hub: i32, name: &str) -> Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (sender, port) = std::sync::mpsc::channel();
        let proxy = Arc::clone(&shared);
        // Only that thread, and those that it starts, are in the hub's network.
        thread::spawn(move || {
            let listening = listen(hub);
            let port =
                listening.as_ref().map_err(|error| anyhow!("{error:#}")).and_then(|it| Ok(it.local_addr()?.port()));
            let _ = sender.send(port);
            if let Ok(listener) = listening {
                serve(&listener, &proxy);
            }
        });
        let port = port.recv().context("the proxy has ended")??;
        let hosts: Vec<_> = nodes.iter().map(|node| layout.file(node, "certs.d").join(name)).collect();
        let faulty = Self { name: name.to_owned(), shared, hosts };
        for folder in &faulty.hosts {
            fs::create_dir_all(folder)?;
            fs::write(folder.join("hosts.toml"), format!("server = \"http://{HUB_ADDRESS}:{port}\"\n"))?;
        }
        Ok(faulty)
    }

    /// How the nodes call it: `registry.test/app:1` is `NAME/app:1` here.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From now on this goes wrong.
    pub fn set(&self, fault: Fault) {
        let mut shared = lock(&self.shared);
        shared.fault = fault;
        cut(&mut shared);
    }
}

impl Drop for FaultyRegistry {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.ended = true;
        cut(&mut shared);
        for folder in &self.hosts {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cut(shared: &mut Shared) {
    for connection in shared.connections.drain(..) {
        let _ = connection.shutdown(Shutdown::Both);
    }
}

fn listen(hub: i32) -> Result<TcpListener> {
    forward::enter_network(hub)?;
    let listener = TcpListener::bind((HUB_ADDRESS, 0)).context("cannot listen in the hub's network")?;
    // To notice the end without a connection that would have to come.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn serve(listener: &TcpListener, shared: &Arc<Mutex<Shared>>) {
    while !lock(shared).ended {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = client.set_nonblocking(false).and_then(|()| answer(client, &shared));
        });
    }
}

fn answer(client: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let fault = {
        let mut shared = lock(shared);
        shared.connections.push(client.try_clone()?);
        shared.fault.clone()
    };
    match fault {
        Fault::None => relay(&client, &[]),
        Fault::Slow { bytes_per_second } => {
            let server = TcpStream::connect(SocketAddr::from((HUB_ADDRESS, REGISTRY_PORT)))?;
            forward::exchange_slowly(&client, &server, bytes_per_second)
        }
        Fault::Closed => client.shutdown(Shutdown::Both),
        Fault::Silent => io::copy(&mut &client, &mut io::sink()).map(drop),
        Fault::TooManyRequests { retry_after } => {
            read_head(&client)?;
            refuse(&client, "429 Too Many Requests", &format!("Retry-After: {retry_after}"))
        }
        Fault::NoToken => {
            let head = String::from_utf8_lossy(&read_head(&client)?).into_owned();
            if head.starts_with("GET /token") || head.starts_with("POST /token") {
                return refuse(&client, "401 Unauthorized", "X-Reason: no");
            }
            let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
            let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"{host}\"");
            refuse(&client, "401 Unauthorized", &challenge)
        }
        Fault::Hostile { message, signature } => {
            let head = String::from_utf8_lossy(&read_head(&client)?).into_owned();
            let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
            let url = format!("http://{host}/storage?X-Amz-Expires=60&X-Amz-Signature={signature}");
            if head.starts_with("HEAD ") {
                let manifest = "application/vnd.oci.image.manifest.v1+json";
                let digest = "0".repeat(64);
                let found = format!("Content-Type: {manifest}\r\nDocker-Content-Digest: sha256:{digest}");
                return answer_with(&client, "200 OK", &found, "{}");
            }
            if head.contains("/manifests/") {
                return refuse(&client, "307 Temporary Redirect", &format!("Location: {url}"));
            }
            let errors = json!({"errors": [{"code": "DENIED", "message": format!("{message} {url}")}]}).to_string();
            answer_with(&client, "403 Forbidden", "Content-Type: application/json", &errors)
        }
        Fault::Private { credentials } => {
            let head = read_head(&client)?;
            if is_authorized(&head, &credentials) {
                return relay(&client, &head);
            }
            refuse(&client, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"private\"")
        }
    }
}

/// Passes on what was read already, and then everything in both directions.
fn relay(client: &TcpStream, head: &[u8]) -> io::Result<()> {
    let mut server = TcpStream::connect(SocketAddr::from((HUB_ADDRESS, REGISTRY_PORT)))?;
    server.write_all(head)?;
    forward::exchange(client, &server)
}

fn read_head(mut client: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

/// Names of headers may be written in any case, what they hold may not.
fn is_authorized(head: &[u8], credentials: &str) -> bool {
    let head = String::from_utf8_lossy(head);
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.any(|(name, value)| {
        name.eq_ignore_ascii_case("authorization") && value.strip_prefix("Basic ") == Some(credentials)
    })
}

fn refuse(client: &TcpStream, status: &str, header: &str) -> io::Result<()> {
    answer_with(client, status, header, "")
}

fn answer_with(mut client: &TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    client.write_all(
        format!("HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .as_bytes(),
    )?;
    client.shutdown(Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_compared_as_they_are() {
        let head = b"GET /v2/ HTTP/1.1\r\nHost: it\r\nAUTHORIZATION: Basic YTpi\r\n\r\n";
        assert!(is_authorized(head, "YTpi"));
        assert!(!is_authorized(head, "ytpi"));
        assert!(!is_authorized(b"GET /v2/ HTTP/1.1\r\n\r\n", "YTpi"));
    }
}
