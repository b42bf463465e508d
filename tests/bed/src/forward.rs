//! The way from the host into a machine's network: ports of the host's loopback whose connections go on inside.
//!
//! A socket belongs to the network namespace that its thread was in when it was made. So one process can listen in the
//! host's namespace and connect in another.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

/// Listens on a free port for each target, writes the listening addresses to `written_to` (one line each, in order) and
/// forwards from then on. Does not return.
pub fn run(machine: i32, targets: &[SocketAddr], written_to: &Path) -> Result<()> {
    let listeners: Vec<_> = targets.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    enter_network(machine)?;

    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    write_addresses(written_to, &addresses)?;
    // Threads made from here on are in the machine's network.
    thread::scope(|scope| {
        for (listener, &target) in listeners.iter().zip(targets) {
            scope.spawn(move || accept(listener, target));
        }
    });
    Ok(())
}

/// The calling thread, and those that it starts from now on, are in the machine's network.
pub(crate) fn enter_network(machine: i32) -> Result<()> {
    let namespace = format!("/proc/{machine}/ns/net");
    let namespace = File::open(&namespace).with_context(|| format!("cannot open {namespace}"))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the machine's network")
}

/// The reader must not see half of it.
fn write_addresses(path: &Path, addresses: &[SocketAddr]) -> Result<()> {
    let text: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    let scratch = path.with_extension("new");
    fs::write(&scratch, text)?;
    fs::rename(&scratch, path).with_context(|| format!("cannot write {}", path.display()))
}

fn accept(listener: &TcpListener, target: SocketAddr) {
    for client in listener.incoming().flatten() {
        thread::spawn(move || {
            // A target that is down shows as a connection that is closed at once.
            if let Ok(server) = TcpStream::connect(target) {
                let _ = exchange(&client, &server);
            }
        });
    }
}

/// Passes everything on in both directions, until both have ended.
pub(crate) fn exchange(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        copy(server, client);
    });
    Ok(())
}

/// The same, but no more than so many bytes a second reach the client.
pub(crate) fn exchange_slowly(client: &TcpStream, server: &TcpStream, bytes_per_second: u32) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        let paced = copy_slowly(server, client, bytes_per_second);
        end_copy(server, client, paced.is_err());
    });
    Ok(())
}

/// So often a second some bytes are passed on, if they are slowed down.
const PORTIONS: u32 = 20;

fn copy_slowly(mut from: &TcpStream, mut to: &TcpStream, bytes_per_second: u32) -> io::Result<()> {
    let mut portion = vec![0; (bytes_per_second / PORTIONS).max(1) as usize];
    loop {
        let length = from.read(&mut portion)?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&portion[..length])?;
        thread::sleep(Duration::from_secs(1) * u32::try_from(length).unwrap_or(u32::MAX) / bytes_per_second.max(1));
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let ended = io::copy(&mut from, &mut to);
    end_copy(from, to, ended.is_err());
}

fn end_copy(from: &TcpStream, to: &TcpStream, failed: bool) {
    let _ = to.shutdown(Shutdown::Write);
    if failed {
        // The other direction must not wait for a peer that will not answer any more.
        let _ = from.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_ends_go_both_ways() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || accept(&listener, target));
        thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            stream.write_all(format!("you said {question}").as_bytes()).unwrap();
        });

        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "you said hello");
    }

    #[test]
    fn slow_connections_are_slow_towards_the_client() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            exchange_slowly(&client, &TcpStream::connect(target).unwrap(), 10_000).unwrap();
        });
        thread::spawn(move || server.accept().unwrap().0.write_all(&[7; 3_000]).unwrap());

        let started = std::time::Instant::now();
        let mut client = TcpStream::connect(address).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [7; 3_000]);
        // The last portion has arrived before its pause.
        assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
    }
}
