//! Proxies between a client and a server, as there are at the edges of companies: one that understands CONNECT, one that speaks
//! SOCKS5. Both connect to one server, whatever host they are asked for: as a proxy with a name service of its own would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::forward::exchange;

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP's CONNECT.
    Connect,
    /// SOCKS 5.
    Socks5,
    /// Nothing at all: connections are accepted, and that is it.
    Silence,
}

/// A proxy on the loopback, which runs until the program ends.
#[derive(Clone, Debug)]
pub struct Tunnels {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What each connection needs.
#[derive(Clone)]
struct Rules {
    protocol: Protocol,
    server: SocketAddr,
    user: Option<(String, String)>,
}

impl Tunnels {
    /// Starts a proxy in front of a server. Given a user name and a password, it demands them.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(protocol: Protocol, server: SocketAddr, user: Option<(&str, &str)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let tunnels = Self { address: listener.local_addr()?, asked: Arc::default() };
        let rules = Rules { protocol, server, user: user.map(|(name, it)| (name.to_owned(), it.to_owned())) };
        let asked = Arc::clone(&tunnels.asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (rules, asked) = (rules.clone(), Arc::clone(&asked));
                // A client that is refused shows as a connection that is closed.
                thread::spawn(move || rules.serve(client, &asked));
            }
        });
        Ok(tunnels)
    }

    /// Where it listens, as host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts and ports that clients have asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Rules {
    fn serve(&self, mut client: TcpStream, asked: &Mutex<Vec<String>>) -> Result<()> {
        let host = match self.protocol {
            Protocol::Connect => self.connect(&mut client)?,
            Protocol::Socks5 => self.socks(&mut client)?,
            Protocol::Silence => {
                // Until the client gives up.
                std::io::copy(&mut client, &mut std::io::sink())?;
                return Ok(());
            }
        };
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(host);
        let server = TcpStream::connect(self.server)?;
        client.write_all(match self.protocol {
            Protocol::Socks5 => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            _ => b"HTTP/1.1 200 Connection established\r\n\r\n",
        })?;
        exchange(&client, &server)?;
        Ok(())
    }

    /// RFC 9110, section 9.3.6.
    fn connect(&self, client: &mut TcpStream) -> Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 8192, "too long");
            head.push(byte(client)?);
        }
        let head = String::from_utf8(head)?;
        let expected = self.user.as_ref().map(|(name, password)| {
            format!("proxy-authorization: basic {}", STANDARD.encode(format!("{name}:{password}")).to_lowercase())
        });
        if expected.is_some_and(|expected| !head.to_lowercase().lines().any(|line| line == expected)) {
            client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")?;
            bail!("other credentials");
        }
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
        Ok(target.context("no CONNECT")?.to_owned())
    }

    /// RFC 1928 and RFC 1929.
    fn socks(&self, client: &mut TcpStream) -> Result<String> {
        ensure!(byte(client)? == 5, "not SOCKS 5");
        let methods = counted(client)?;
        let method = if self.user.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            client.write_all(&[5, 0xff])?;
            bail!("no common method");
        }
        client.write_all(&[5, method])?;
        if let Some((name, password)) = &self.user {
            byte(client)?;
            let given = (counted(client)?, counted(client)?);
            let is_right = given == (name.clone().into_bytes(), password.clone().into_bytes());
            client.write_all(&[1, u8::from(!is_right)])?;
            ensure!(is_right, "other credentials");
        }
        let mut request = [0; 4];
        client.read_exact(&mut request)?;
        let host = match request[3] {
            1 => {
                let mut address = [0; 4];
                client.read_exact(&mut address)?;
                std::net::Ipv4Addr::from(address).to_string()
            }
            3 => String::from_utf8(counted(client)?)?,
            _ => bail!("an address of another kind"),
        };
        let port = u16::from_be_bytes([byte(client)?, byte(client)?]);
        Ok(format!("{host}:{port}"))
    }
}

fn byte(client: &mut TcpStream) -> Result<u8> {
    let mut byte = [0];
    client.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Bytes with their number before them.
fn counted(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = vec![0; byte(client)?.into()];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}
