//! No client of a listener takes it from the others, and none of another listener.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use super::*;
use crate::cluster::readiness::Readiness;

/// How long an answer may take. A kubelet waits for a second, but tests share a busy machine. Whoever waited for the clients that hold
/// connections would take longer: 200 of them lose theirs after two seconds, 32 at a time.
const PATIENCE: Duration = Duration::from_secs(8);
/// For how long new connections keep coming.
const FLOOD: Duration = Duration::from_secs(3);
/// More than anybody reads without asking for it.
const LARGE: usize = 8 << 20;

#[derive(Clone)]
struct LargePage(hyper::body::Bytes);

impl listener::Pages for LargePage {
    async fn answer(&self, _: hyper::http::request::Parts, _: std::net::IpAddr) -> listener::HttpAnswer {
        answers::text(hyper::StatusCode::OK, self.0.clone())
    }
}

/// Listeners with the limits of the controller on a thread like the controller's: probes, and a page that is large.
fn start() -> [SocketAddr; 2] {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let [probes, large] =
                [0, 1].map(|_| listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a listener"));
            let addresses = [&probes, &large].map(|it| it.local_addr().expect("an address"));
            let pages = ProbePages { readiness: Readiness::default(), heartbeat: Heartbeat::new() };
            let page = LargePage("x".repeat(LARGE).into());
            sender.send(addresses).expect("a waiting test");
            tokio::join!(
                listener::serve(TcpListener::from_std(probes).expect("a listener"), OF_PROBES, None, pages),
                listener::serve(TcpListener::from_std(large).expect("a listener"), OF_METRICS, None, page),
            );
        });
    });
    receiver.recv().expect("addresses")
}

/// The status line of an answer.
fn probe(address: SocketAddr, path: &str) -> String {
    let started = Instant::now();
    let mut client = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    write!(client, "GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").expect("a connection");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    let took = started.elapsed();
    assert!(took < PATIENCE, "{took:?}");
    answer.lines().next().unwrap_or_default().to_owned()
}

fn assert_probes_answer(address: SocketAddr) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(probe(address, path), "HTTP/1.1 200 OK", "{path}");
    }
}

/// Sends this on so many connections and holds them.
fn hold(address: SocketAddr, number: usize, sent: &str) -> Vec<TcpStream> {
    let connect = |_| {
        let mut client = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
        // It may have been closed already, to make place for a later one.
        drop(client.write_all(sent.as_bytes()));
        client
    };
    (0..number).map(connect).collect()
}

#[test]
fn probes_answer_at_once_whoever_holds_connections_to_any_listener() {
    let [probes, large] = start();
    let mut held = Vec::new();
    for (sent, number) in [
        ("", 200),
        // A head that does not end.
        ("GET /livez HTTP/1.1\r\nHost: slow", 200),
        // An answer that is not read.
        ("GET /livez HTTP/1.1\r\nHost: deaf\r\n\r\n", 200),
    ] {
        for address in [probes, large] {
            held.extend(hold(address, number, sent));
            assert_probes_answer(probes);
        }
    }
    // Others get the large page too.
    let mut client = hold(large, 1, "GET /metrics HTTP/1.1\r\nHost: it\r\n\r\n").remove(0);
    client.set_read_timeout(Some(OF_METRICS.answer)).expect("a time limit");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer");
    assert!(answer.len() > LARGE, "{}", answer.len());
    drop(held);
    assert_probes_answer(probes);
}

#[test]
fn while_new_connections_keep_coming_probes_answer() {
    let [probes, _] = start();
    // The flood ends with its sender, and not before the last probe is answered.
    let (probing, probed) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let mut held = std::collections::VecDeque::new();
        while probed.try_recv() == Err(TryRecvError::Empty) {
            held.extend(hold(probes, 1, "GET /livez HTTP/1.1\r\n"));
            if held.len() > 200 {
                // It has been displaced long ago, or is about to be.
                let mut oldest: TcpStream = held.pop_front().expect("200 connections");
                drop(oldest.read(&mut [0]));
            }
        }
    });
    // The kubelet has an address of its own.
    let kubelet = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let started = Instant::now();
    let mut answered = 0;
    while started.elapsed() < FLOOD {
        answered += usize::from(ask_from(kubelet.into(), probes) == "HTTP/1.1 200 OK");
    }
    drop(probing);
    flood.join().expect("a flood");
    assert!(answered > 0);
}

/// The status line for `/livez`, asked for from this address of the machine.
fn ask_from(from: std::net::IpAddr, address: SocketAddr) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address of this machine");
        tokio::time::timeout(PATIENCE, socket.connect(address))
            .await
            .expect("a connection in time")
            .expect("a connection")
            .into_std()
            .expect("a socket")
    });
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut client = &stream;
    client.write_all(b"GET /livez HTTP/1.1\r\nHost: kubelet\r\n\r\n").expect("a connection");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer to the kubelet");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_client_that_sends_nothing_or_too_much_loses_its_connection() {
    let [probes, _] = start();
    for sent in ["", "GET /livez HTTP/1.1\r\nHost: slow"] {
        let mut idle = hold(probes, 1, sent).remove(0);
        idle.set_read_timeout(Some(OF_PROBES.head + Duration::from_secs(5))).expect("a time limit");
        let mut answer = Vec::new();
        idle.read_to_end(&mut answer).expect("the connection to be closed");
    }
    let header = format!("GET /livez HTTP/1.1\r\nHost: large\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let mut large = hold(probes, 1, &header).remove(0);
    large.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut answer = [0; 12];
    large.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[test]
fn a_listener_serves_its_own_pages_only_and_takes_no_writes() {
    let [probes, _] = start();
    for path in ["/metrics", "/status", "/", "/livez/"] {
        assert_eq!(probe(probes, path), "HTTP/1.1 404 Not Found", "{path}");
    }
    let mut writer = hold(probes, 1, "POST /livez HTTP/1.1\r\nHost: it\r\n\r\n").remove(0);
    let mut answer = String::new();
    writer.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    writer.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}
